//! Universal Business Language 2.1: invoices and credit notes.

use crate::read::tree::Element;
use crate::read::{Calculation, Decimal, Format, Item, Paper, Reading, Sender, Sums, TaxItem, TaxKey, signed, tax_key};

const TOTAL: &[&str] = &["LegalMonetaryTotal"];

/// What stands on it.
pub(super) fn read(root: &Element) -> Paper {
    let mut reading = Reading::new();
    let none = Element::default();
    let means = |name: &'static str| root.all(&["PaymentMeans"]).find_map(move |means| means.child(&[name]));
    let due = root.child(&["DueDate"]).or_else(|| means("PaymentDueDate"));
    let issued_on = reading.day("day", root.child(&["IssueDate"]));
    let due_on = reading.day("due date", due);
    let lines = root.all(&["InvoiceLine", "CreditNoteLine"]).map(|at| line(&mut reading, at)).collect();
    let mut adjustments = vec![];
    for at in root.all(&["AllowanceCharge"]) {
        let amount = reading.amount("allowance", at.child(&["Amount"]));
        let net = signed(amount, at.text_at(&["ChargeIndicator"]));
        let tax = tax_of(&mut reading, at.child(&["TaxCategory"]));
        adjustments.push(Item { text: at.text_at(&["AllowanceChargeReason"]), net, tax, calculated: None });
    }
    let named = root.child(&["DocumentCurrencyCode"]);
    let currency = named.and_then(Element::text);
    // The tax may be said once more in the currency of the tax office.
    let of_ours = |at: &&Element| {
        let said = at.child(&["TaxAmount"]).and_then(|amount| amount.attribute("currencyID"));
        said.is_none() || currency.is_none() || said == currency.as_deref()
    };
    let total_tax = root.all(&["TaxTotal"]).find(of_ours);
    let mut taxes = vec![];
    for at in total_tax.into_iter().flat_map(|total| total.all(&["TaxSubtotal"])) {
        taxes.push(TaxItem {
            tax: tax_of(&mut reading, at.child(&["TaxCategory"])),
            net: reading.amount("taxed amount", at.child(&["TaxableAmount"])),
            amount: reading.amount("tax", at.child(&["TaxAmount"])),
        });
    }
    let total = root.child(TOTAL).unwrap_or(&none);
    let mut amount = |what, name: &str| reading.amount(what, total.child(&[name]));
    let sums = Sums {
        lines: amount("sum of the lines", "LineExtensionAmount"),
        allowances: amount("sum of what is taken off", "AllowanceTotalAmount"),
        charges: amount("sum of what is added", "ChargeTotalAmount"),
        net: amount("sum without tax", "TaxExclusiveAmount"),
        total: amount("total", "TaxInclusiveAmount"),
        prepaid: amount("amount paid before", "PrepaidAmount"),
        rounding: amount("rounding", "PayableRoundingAmount"),
        due: amount("amount due", "PayableAmount"),
        tax: reading.amount("sum of taxes", total_tax.and_then(|total| total.child(&["TaxAmount"]))),
    };
    let (currency, other_currency) = reading.currency(named);
    let kind = root.text_at(&["InvoiceTypeCode"]).or_else(|| root.text_at(&["CreditNoteTypeCode"]));
    Paper {
        format: Format::Ubl,
        // A credit note is one whatever it says.
        kind: if root.name == "CreditNote" { Some("381".to_owned()) } else { kind },
        number: root.text_at(&["ID"]),
        issued_on,
        due_on,
        currency,
        seller: party(root.at(&["AccountingSupplierParty", "Party"])),
        buyer: party(root.at(&["AccountingCustomerParty", "Party"])),
        payee: root.text_at(&["PayeeParty", "PartyName", "Name"]),
        iban: means("PayeeFinancialAccount").and_then(|account| account.text_at(&["ID"])),
        lines,
        adjustments,
        taxes,
        sums,
        wrong: reading.wrong,
        other_currency,
    }
}

fn line(reading: &mut Reading, line: &Element) -> Item {
    let none = Element::default();
    let item = line.child(&["Item"]).unwrap_or(&none);
    let mut adjusted = Decimal::ZERO;
    for at in line.all(&["AllowanceCharge"]) {
        let amount = reading.amount("allowance of a line", at.child(&["Amount"]));
        let net = signed(amount, at.text_at(&["ChargeIndicator"]));
        adjusted = net.map_or(adjusted, |net| adjusted.plus(net));
    }
    let calculated = reading.calculated(Calculation {
        quantity: line.child(&["InvoicedQuantity", "CreditedQuantity"]),
        price: line.at(&["Price", "PriceAmount"]),
        basis: line.at(&["Price", "BaseQuantity"]),
        adjusted,
    });
    Item {
        text: item.text_at(&["Name"]).or_else(|| item.text_at(&["Description"])),
        net: reading.amount("amount of a line", line.child(&["LineExtensionAmount"])),
        tax: tax_of(reading, item.child(&["ClassifiedTaxCategory"])),
        calculated,
    }
}

fn tax_of(reading: &mut Reading, at: Option<&Element>) -> TaxKey {
    let rate = at.and_then(|at| at.child(&["Percent"]));
    tax_key(at.and_then(|at| at.text_at(&["ID"])), reading.decimal("rate of a tax", rate))
}

fn party(at: Option<&Element>) -> Sender {
    let Some(at) = at else { return Sender::default() };
    let number = |is_vat: bool| {
        let mut schemes = at.all(&["PartyTaxScheme"]);
        let found = schemes.find(|scheme| (scheme.text_at(&["TaxScheme", "ID"]).as_deref() == Some("VAT")) == is_vat);
        found.and_then(|scheme| scheme.text_at(&["CompanyID"]))
    };
    let endpoint = at.child(&["EndpointID"]).filter(|id| id.attribute("schemeID") == Some("EM"));
    let name = at.text_at(&["PartyLegalEntity", "RegistrationName"]);
    Sender {
        name: name.or_else(|| at.text_at(&["PartyName", "Name"])),
        vat_id: number(true),
        tax_number: number(false),
        email: at.text_at(&["Contact", "ElectronicMail"]).or_else(|| endpoint.and_then(Element::text)),
    }
}
