//! Cross Industry Invoice: D16B, as Factur-X, ZUGFeRD 2 and XRechnung have it, and the names that ZUGFeRD 1 gave to the same things.

use crate::read::tree::Element;
use crate::read::{Calculation, Decimal, Format, Item, Paper, Reading, Sender, Sums, TaxItem, TaxKey, signed, tax_key};

const TRANSACTION: &[&str] = &["SupplyChainTradeTransaction", "SpecifiedSupplyChainTradeTransaction"];
const AGREEMENT: &[&str] = &["ApplicableHeaderTradeAgreement", "ApplicableSupplyChainTradeAgreement"];
const SETTLEMENT: &[&str] = &["ApplicableHeaderTradeSettlement", "ApplicableSupplyChainTradeSettlement"];
const LINE_SETTLEMENT: &[&str] = &["SpecifiedLineTradeSettlement", "SpecifiedSupplyChainTradeSettlement"];
const LINE_AGREEMENT: &[&str] = &["SpecifiedLineTradeAgreement", "SpecifiedSupplyChainTradeAgreement"];
const LINE_DELIVERY: &[&str] = &["SpecifiedLineTradeDelivery", "SpecifiedSupplyChainTradeDelivery"];
const SUMMATION: &[&str] =
    &["SpecifiedTradeSettlementHeaderMonetarySummation", "SpecifiedTradeSettlementMonetarySummation"];
const LINE_SUMMATION: &[&str] =
    &["SpecifiedTradeSettlementLineMonetarySummation", "SpecifiedTradeSettlementMonetarySummation"];

/// What stands on it.
pub(super) fn read(root: &Element) -> Paper {
    let mut reading = Reading::new();
    let none = Element::default();
    let head = root.child(&["ExchangedDocument", "HeaderExchangedDocument"]).unwrap_or(&none);
    let transaction = root.child(TRANSACTION).unwrap_or(&none);
    let agreement = transaction.child(AGREEMENT).unwrap_or(&none);
    let settlement = transaction.child(SETTLEMENT).unwrap_or(&none);
    let issued_on = reading.day("day", head.at(&["IssueDateTime", "DateTimeString"]));
    let mut terms = settlement.all(&["SpecifiedTradePaymentTerms"]);
    let due = terms.find_map(|terms| terms.at(&["DueDateDateTime", "DateTimeString"]));
    let due_on = reading.day("due date", due);
    let lines = transaction.all(&["IncludedSupplyChainTradeLineItem"]).filter(|line| counts(line));
    let lines: Vec<Item> = lines.map(|at| line(&mut reading, at)).collect();
    let mut adjustments: Vec<Item> = vec![];
    for at in settlement.all(&["SpecifiedTradeAllowanceCharge"]) {
        let amount = reading.amount("allowance", at.child(&["ActualAmount"]));
        let net = signed(amount, at.text_at(&["ChargeIndicator", "Indicator"]).or(at.text_at(&["ChargeIndicator"])));
        let tax = tax_of(&mut reading, at.child(&["CategoryTradeTax"]));
        adjustments.push(Item { text: at.text_at(&["Reason"]), net, tax, calculated: None });
    }
    for at in settlement.all(&["SpecifiedLogisticsServiceCharge"]) {
        let net = reading.amount("charge", at.child(&["AppliedAmount"]));
        let tax = tax_of(&mut reading, at.child(&["AppliedTradeTax"]));
        adjustments.push(Item { text: at.text_at(&["Description"]), net, tax, calculated: None });
    }
    let mut taxes = vec![];
    for at in settlement.all(&["ApplicableTradeTax"]) {
        taxes.push(TaxItem {
            tax: tax_of(&mut reading, Some(at)),
            net: reading.amount("taxed amount", at.child(&["BasisAmount"])),
            amount: reading.amount("tax", at.child(&["CalculatedAmount"])),
        });
    }
    let named = settlement.child(&["InvoiceCurrencyCode"]);
    let sums = sums(&mut reading, settlement.child(SUMMATION).unwrap_or(&none), named);
    let (currency, other_currency) = reading.currency(named);
    let mut means = settlement.all(&["SpecifiedTradeSettlementPaymentMeans"]);
    Paper {
        format: Format::Cii,
        kind: head.text_at(&["TypeCode"]),
        number: head.text_at(&["ID"]),
        issued_on,
        due_on,
        currency,
        seller: party(agreement.child(&["SellerTradeParty"])),
        buyer: party(agreement.child(&["BuyerTradeParty"])),
        payee: settlement.text_at(&["PayeeTradeParty", "Name"]),
        iban: means.find_map(|means| means.text_at(&["PayeePartyCreditorFinancialAccount", "IBANID"])),
        lines,
        adjustments,
        taxes,
        sums,
        wrong: reading.wrong,
        other_currency,
    }
}

/// What groups other lines, or only informs, is in no sum.
fn counts(line: &Element) -> bool {
    let kind = line.text_at(&["AssociatedDocumentLineDocument", "LineStatusReasonCode"]);
    !matches!(kind.as_deref(), Some("GROUP" | "INFORMATION"))
}

fn line(reading: &mut Reading, line: &Element) -> Item {
    let none = Element::default();
    let settlement = line.child(LINE_SETTLEMENT).unwrap_or(&none);
    let product = line.child(&["SpecifiedTradeProduct"]).unwrap_or(&none);
    let agreement = line.child(LINE_AGREEMENT).unwrap_or(&none);
    let price = agreement.child(&["NetPriceProductTradePrice"]).unwrap_or(&none);
    let mut adjusted = Decimal::ZERO;
    for at in settlement.all(&["SpecifiedTradeAllowanceCharge"]) {
        let amount = reading.amount("allowance of a line", at.child(&["ActualAmount"]));
        let net = signed(amount, at.text_at(&["ChargeIndicator", "Indicator"]).or(at.text_at(&["ChargeIndicator"])));
        adjusted = net.map_or(adjusted, |net| adjusted.plus(net));
    }
    let calculated = reading.calculated(Calculation {
        quantity: line.child(LINE_DELIVERY).and_then(|delivery| delivery.child(&["BilledQuantity"])),
        price: price.child(&["ChargeAmount"]),
        basis: price.child(&["BasisQuantity"]),
        adjusted,
    });
    let amount = settlement.child(LINE_SUMMATION).and_then(|sums| sums.child(&["LineTotalAmount"]));
    Item {
        text: product.text_at(&["Name"]).or_else(|| product.text_at(&["Description"])),
        net: reading.amount("amount of a line", amount),
        tax: tax_of(reading, settlement.child(&["ApplicableTradeTax"])),
        calculated,
    }
}

fn tax_of(reading: &mut Reading, at: Option<&Element>) -> TaxKey {
    let rate = at.and_then(|at| at.child(&["RateApplicablePercent", "ApplicablePercent"]));
    tax_key(at.and_then(|at| at.text_at(&["CategoryCode"])), reading.decimal("rate of a tax", rate))
}

fn sums(reading: &mut Reading, at: &Element, currency: Option<&Element>) -> Sums {
    let currency = currency.and_then(Element::text);
    // The tax may be said once more in the currency of the tax office.
    let of_ours = |at: &&Element| {
        let said = at.attribute("currencyID");
        said.is_none() || currency.is_none() || said == currency.as_deref()
    };
    let tax = at.all(&["TaxTotalAmount"]).find(of_ours);
    let mut amount = |what, name: &str| reading.amount(what, at.child(&[name]));
    Sums {
        lines: amount("sum of the lines", "LineTotalAmount"),
        allowances: amount("sum of what is taken off", "AllowanceTotalAmount"),
        charges: amount("sum of what is added", "ChargeTotalAmount"),
        net: amount("sum without tax", "TaxBasisTotalAmount"),
        total: amount("total", "GrandTotalAmount"),
        prepaid: amount("amount paid before", "TotalPrepaidAmount"),
        rounding: amount("rounding", "RoundingAmount"),
        due: amount("amount due", "DuePayableAmount"),
        tax: reading.amount("sum of taxes", tax),
    }
}

fn party(at: Option<&Element>) -> Sender {
    let Some(at) = at else { return Sender::default() };
    let number = |scheme: &str| {
        let mut ids = at.all(&["SpecifiedTaxRegistration"]).filter_map(|registration| registration.child(&["ID"]));
        ids.find(|id| id.attribute("schemeID") == Some(scheme)).and_then(Element::text)
    };
    let email = at.text_at(&["DefinedTradeContact", "EmailURIUniversalCommunication", "URIID"]);
    let own = at.at(&["URIUniversalCommunication", "URIID"]).filter(|id| id.attribute("schemeID") == Some("EM"));
    Sender {
        name: at.text_at(&["Name"]).or_else(|| at.text_at(&["SpecifiedLegalOrganization", "TradingBusinessName"])),
        vat_id: number("VA"),
        tax_number: number("FC"),
        email: email.or_else(|| own.and_then(Element::text)),
    }
}
