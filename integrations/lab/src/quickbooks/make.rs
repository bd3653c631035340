//! What QuickBooks takes, and what becomes of it.

use super::{HOME, Quickbooks, disliked};
use crate::amounts::{cents, fine, minor, percent_of, times};
use crate::control::Done;
use chrono::NaiveDate;
use serde_json::{Value, json};

/// Characters of a document's number at most.
const NUMBER_MAX: usize = 21;
/// What of a number for taxes is shown.
const SHOWN: usize = 4;

/// The thing as it will be there, if QuickBooks takes it.
pub fn made(quickbooks: &Quickbooks, name: &str, shown: &Value) -> Result<Value, Done> {
    match name {
        "Customer" | "Vendor" => person(quickbooks, None, shown),
        "Item" => item(quickbooks, shown),
        "Invoice" | "Bill" => entry(quickbooks, name, shown),
        "Payment" | "BillPayment" => payment(quickbooks, name, shown),
        _ => Err(disliked("4", "Unsupported Operation", "Operation is not supported")),
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// The thing that something refers to.
fn referred<'q>(quickbooks: &'q Quickbooks, name: &str, reference: &Value) -> Result<&'q Value, Done> {
    let id = text(reference, "value");
    let found = quickbooks.thing(name, id).filter(|thing| thing["Active"] != false);
    found.ok_or_else(|| disliked("2500", "Invalid Reference Id", &format!("Invalid Reference Id : {name} {id}")))
}

/// A customer or a vendor; names are unique over both. `id` is its own, if it is there.
pub fn person(quickbooks: &Quickbooks, id: Option<&str>, shown: &Value) -> Result<Value, Done> {
    let name = text(shown, "DisplayName");
    if name.is_empty() || name.contains([':', '\t', '\n']) {
        return Err(disliked("6000", "A business validation error has occurred", "DisplayName is none"));
    }
    let people = ["Customer", "Vendor"].into_iter().filter_map(|kind| quickbooks.things.get(kind));
    let mut people = people.flat_map(|people| people.values());
    let other = people.find(|one| {
        one["status"] != "Deleted" && one["Id"].as_str() != id && text(one, "DisplayName").eq_ignore_ascii_case(name)
    });
    if let Some(other) = other {
        let detail = format!("The name supplied already exists. : Id={}", text(other, "Id"));
        return Err(disliked("6240", "Duplicate Name Exists Error", &detail));
    }
    let mut person = shown.clone();
    for number in ["PrimaryTaxIdentifier", "TaxIdentifier"] {
        if let Some(whole) = shown[number].as_str() {
            let hidden = whole.chars().count().saturating_sub(SHOWN);
            let end: String = whole.chars().skip(hidden).collect();
            person[number] = format!("{}{end}", "X".repeat(hidden)).into();
        }
    }
    if id.is_none() {
        (person["Active"], person["Balance"]) = (true.into(), cents(0));
    }
    Ok(person)
}

fn item(quickbooks: &Quickbooks, shown: &Value) -> Result<Value, Done> {
    referred(quickbooks, "Account", &shown["IncomeAccountRef"])?;
    let mut items = quickbooks.things.get("Item").into_iter().flat_map(|items| items.values());
    if let Some(other) = items.find(|one| one["Name"] == shown["Name"] && one["status"] != "Deleted") {
        let detail = format!("The name supplied already exists. : Id={}", text(other, "Id"));
        return Err(disliked("6240", "Duplicate Name Exists Error", &detail));
    }
    let mut item = shown.clone();
    item["Active"] = true.into();
    Ok(item)
}

/// Is this day in a period that is closed?
pub fn is_closed(quickbooks: &Quickbooks, thing: &Value) -> bool {
    let day = text(thing, "TxnDate").parse::<NaiveDate>().ok();
    quickbooks.closed_until.zip(day).is_some_and(|(closed, day)| day <= closed)
}

pub fn closed() -> Done {
    let detail = "Business Validation Error: The account period has closed and the account books cannot be updated through the QBO Services API. Please use the QBO website to make these changes.";
    disliked("6210", "A business validation error has occurred while processing your request", detail)
}

fn entry(quickbooks: &Quickbooks, name: &str, shown: &Value) -> Result<Value, Done> {
    let is_invoice = name == "Invoice";
    let invalid = |detail: &str| disliked("6000", "A business validation error has occurred", detail);
    let (party, reference) = if is_invoice { ("Customer", "CustomerRef") } else { ("Vendor", "VendorRef") };
    referred(quickbooks, party, &shown[reference])?;
    if is_closed(quickbooks, shown) {
        return Err(closed());
    }
    let currency = &shown["CurrencyRef"]["value"];
    if !currency.is_null() && currency != HOME {
        return Err(invalid("Multi Currency should be enabled to perform this operation."));
    }
    let number = text(shown, "DocNumber");
    if number.chars().count() > NUMBER_MAX {
        return Err(disliked("2050", "String Length Exceeds Maximum Limit", "DocNumber is too long"));
    }
    let mut others = quickbooks.things.get(name).into_iter().flat_map(|others| others.values());
    let is_taken = |one: &&Value| one["DocNumber"] == number && one["status"] != "Deleted";
    if let Some(other) = others.find(is_taken).filter(|_| is_invoice && !number.is_empty()) {
        let detail = format!(
            "Duplicate Document Number Error : You must specify a different number. This number has already been used. DocNumber={number} is assigned to TxnType=Invoice with TxnId={}",
            text(other, "Id")
        );
        return Err(disliked("6140", "Duplicate Document Number Error", &detail));
    }
    let lines = shown["Line"].as_array().cloned().unwrap_or_default();
    if lines.is_empty() {
        return Err(disliked(
            "2020",
            "Required param missing, need to supply the required value for the API",
            "Required parameter Line is missing in the request",
        ));
    }
    let is_taxed = shown["GlobalTaxCalculation"] == "TaxExcluded";
    let (mut sub, mut tax) = (0, 0);
    for line in &lines {
        let amount = minor(&line["Amount"]);
        let detail = if is_invoice { &line["SalesItemLineDetail"] } else { &line["AccountBasedExpenseLineDetail"] };
        match is_invoice {
            true => referred(quickbooks, "Item", &detail["ItemRef"])?,
            false => referred(quickbooks, "Account", &detail["AccountRef"])?,
        };
        if is_invoice && !detail["UnitPrice"].is_null() && times(&detail["Qty"], &detail["UnitPrice"]) != amount {
            return Err(disliked(
                "6070",
                "Amount calculation incorrect in the request",
                "Amount is not equal to UnitPrice * Qty",
            ));
        }
        sub += amount;
        if is_taxed {
            let code = referred(quickbooks, "TaxCode", &detail["TaxCodeRef"])?;
            let list = if is_invoice { "SalesTaxRateList" } else { "PurchaseTaxRateList" };
            for of in code[list]["TaxRateDetail"].as_array().into_iter().flatten() {
                let rate = referred(quickbooks, "TaxRate", &of["TaxRateRef"])?;
                tax += percent_of(amount, fine(&rate["RateValue"]).unwrap_or_default());
            }
        }
    }
    let said = &shown["TxnTaxDetail"];
    if said["TotalTax"].is_number() {
        let mut sum = 0;
        for line in said["TaxLine"].as_array().into_iter().flatten() {
            referred(quickbooks, "TaxRate", &line["TaxLineDetail"]["TaxRateRef"])?;
            sum += minor(&line["Amount"]);
        }
        if !is_taxed || sum != minor(&said["TotalTax"]) {
            return Err(invalid("The taxes do not come to the total of the tax"));
        }
        tax = sum;
    }
    if let Some(percent) = quickbooks.own_tax {
        tax = percent_of(sub, percent * 10_000);
    }
    let mut entry = shown.clone();
    entry["TxnTaxDetail"]["TotalTax"] = cents(tax);
    entry["TotalAmt"] = cents(sub + tax);
    entry["Balance"] = cents(sub + tax);
    entry["CurrencyRef"] = json!({ "value": HOME, "name": "Euro" });
    entry["LinkedTxn"] = json!([]);
    let mut lines = lines;
    for (index, line) in lines.iter_mut().enumerate() {
        (line["Id"], line["LineNum"]) = ((index + 1).to_string().into(), (index + 1).into());
    }
    if is_invoice {
        lines.push(json!({ "Amount": cents(sub), "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {} }));
    }
    entry["Line"] = lines.into();
    Ok(entry)
}

fn payment(quickbooks: &Quickbooks, name: &str, shown: &Value) -> Result<Value, Done> {
    let (party, reference, kind) = match name {
        "Payment" => ("Customer", "CustomerRef", "Invoice"),
        _ => ("Vendor", "VendorRef", "Bill"),
    };
    referred(quickbooks, party, &shown[reference])?;
    if is_closed(quickbooks, shown) {
        return Err(closed());
    }
    let mut applied = 0;
    for line in shown["Line"].as_array().into_iter().flatten() {
        for linked in line["LinkedTxn"].as_array().into_iter().flatten() {
            let found = quickbooks.thing(kind, text(linked, "TxnId")).filter(|_| linked["TxnType"] == kind);
            let entry = found.ok_or_else(super::not_found)?;
            if entry[reference]["value"] != shown[reference]["value"] {
                return Err(disliked("6000", "A business validation error has occurred", "it is somebody else's"));
            }
            applied += minor(&line["Amount"]);
        }
    }
    let mut payment = shown.clone();
    payment["CurrencyRef"] = json!({ "value": HOME, "name": "Euro" });
    if name == "Payment" {
        // More than is owed stays as a credit.
        payment["UnappliedAmt"] = cents((minor(&shown["TotalAmt"]) - applied).max(0));
    } else {
        referred(quickbooks, "Account", &shown["CheckPayment"]["BankAccountRef"])?;
    }
    Ok(payment)
}
