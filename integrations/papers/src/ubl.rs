//! An invoice as OASIS UBL 2.1, by the rules of EN 16931: for networks and authorities that want XML alone.

use crate::cii::{EN_16931, TRANSFER, exemption, rate_of};
use crate::invoice::{Invoice, InvoiceKind, Line, Party, Period};
use crate::xml::{Xml, decimal, quantity};
use kernel::{PostalAddress, Tax, TaxAmounts};

const CAC: (&str, &str) = ("xmlns:cac", "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2");
const CBC: (&str, &str) = ("xmlns:cbc", "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2");

/// What an invoice and a credit note call the same things.
struct Names {
    root: &'static str,
    namespace: &'static str,
    code: &'static str,
    line: &'static str,
    quantity: &'static str,
}

const INVOICE: Names = Names {
    root: "Invoice",
    namespace: "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2",
    code: "cbc:InvoiceTypeCode",
    line: "cac:InvoiceLine",
    quantity: "cbc:InvoicedQuantity",
};

const CREDIT_NOTE: Names = Names {
    root: "CreditNote",
    namespace: "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2",
    code: "cbc:CreditNoteTypeCode",
    line: "cac:CreditNoteLine",
    quantity: "cbc:CreditedQuantity",
};

/// The XML, in UTF-8; none if it [cannot be an electronic invoice](Invoice::is_electronic).
pub fn ubl(invoice: &Invoice) -> Option<Vec<u8>> {
    invoice.is_electronic().then(|| write(invoice))
}

fn write(invoice: &Invoice) -> Vec<u8> {
    let names = match invoice.kind {
        InvoiceKind::Invoice => &INVOICE,
        InvoiceKind::CreditNote => &CREDIT_NOTE,
    };
    Xml::document(names.root, &[("xmlns", names.namespace), CAC, CBC], |xml| {
        xml.text("cbc:CustomizationID", EN_16931);
        xml.text("cbc:ID", &invoice.number);
        xml.text("cbc:IssueDate", &invoice.issued_on.to_string());
        // A credit note says it with the means of payment.
        if let (InvoiceKind::Invoice, Some(due)) = (invoice.kind, invoice.due_on) {
            xml.text("cbc:DueDate", &due.to_string());
        }
        xml.text(names.code, invoice.kind.code());
        xml.text_of("cbc:Note", invoice.note.as_ref());
        xml.text("cbc:DocumentCurrencyCode", invoice.currency.code());
        xml.text_of("cbc:BuyerReference", invoice.buyer_reference.as_ref());
        billing_period(xml, invoice.period);
        xml.group_of("cac:OrderReference", invoice.order_reference.as_ref(), |xml, id| xml.text("cbc:ID", id));
        xml.group_of("cac:BillingReference", invoice.preceding.as_ref(), |xml, preceding| {
            xml.group("cac:InvoiceDocumentReference", |xml| {
                xml.text("cbc:ID", &preceding.number);
                xml.text("cbc:IssueDate", &preceding.issued_on.to_string());
            });
        });
        xml.group_of("cac:ContractDocumentReference", invoice.contract_reference.as_ref(), |xml, id| {
            xml.text("cbc:ID", id);
        });
        let has_vat = !invoice.is_outside_scope();
        xml.group("cac:AccountingSupplierParty", |xml| party(xml, &invoice.seller, has_vat));
        xml.group("cac:AccountingCustomerParty", |xml| party(xml, &invoice.buyer, has_vat));
        xml.group_of("cac:Delivery", invoice.delivery.as_ref(), |xml, delivery| {
            if let Some(on) = delivery.on {
                xml.text("cbc:ActualDeliveryDate", &on.to_string());
            }
            xml.group_of("cac:DeliveryLocation", delivery.to.as_ref(), |xml, to| address(xml, "cac:Address", to));
        });
        payment(xml, invoice);
        taxes(xml, invoice);
        xml.group("cac:LegalMonetaryTotal", |xml| {
            xml.amount_in("cbc:LineExtensionAmount", invoice.net);
            xml.amount_in("cbc:TaxExclusiveAmount", invoice.net);
            xml.amount_in("cbc:TaxInclusiveAmount", invoice.total);
            if let Some(prepaid) = invoice.prepaid {
                xml.amount_in("cbc:PrepaidAmount", prepaid);
            }
            xml.amount_in("cbc:PayableAmount", invoice.due);
        });
        for (number, item) in (1..).zip(&invoice.lines) {
            line(xml, names, number, item);
        }
    })
}

fn party(xml: &mut Xml, party: &Party, has_vat: bool) {
    xml.group("cac:Party", |xml| {
        if let Some(at) = &party.electronic_address {
            xml.text_with("cbc:EndpointID", &[("schemeID", &at.scheme)], &at.address);
        }
        address(xml, "cac:PostalAddress", &party.address);
        // What is outside the scope of the tax must not name a number for it (BR-O-02).
        for (scheme, id) in [("VAT", party.vat_id.as_ref().filter(|_| has_vat)), ("TAX", party.tax_number.as_ref())] {
            xml.group_of("cac:PartyTaxScheme", id, |xml, id| {
                xml.text("cbc:CompanyID", id);
                xml.group("cac:TaxScheme", |xml| xml.text("cbc:ID", scheme));
            });
        }
        xml.group("cac:PartyLegalEntity", |xml| {
            xml.text("cbc:RegistrationName", &party.name);
            xml.text_of("cbc:CompanyID", party.registration.as_ref());
        });
        xml.group_of("cac:Contact", party.contact.as_ref(), |xml, contact| {
            xml.text_of("cbc:Name", contact.name.as_ref());
            xml.text_of("cbc:Telephone", contact.phone.as_ref());
            xml.text_of("cbc:ElectronicMail", contact.email.as_ref());
        });
    });
}

fn address(xml: &mut Xml, name: &str, address: &PostalAddress) {
    xml.group(name, |xml| {
        xml.text("cbc:StreetName", address.line1.as_str());
        if let Some(line2) = &address.line2 {
            xml.text("cbc:AdditionalStreetName", line2.as_str());
        }
        xml.text("cbc:CityName", address.city.as_str());
        if let Some(code) = &address.postal_code {
            xml.text("cbc:PostalZone", code.as_str());
        }
        if let Some(region) = &address.region {
            xml.text("cbc:CountrySubentity", region.as_str());
        }
        xml.group("cac:Country", |xml| xml.text("cbc:IdentificationCode", address.country.as_str()));
    });
}

fn payment(xml: &mut Xml, invoice: &Invoice) {
    xml.group_of("cac:PaymentMeans", invoice.payment.as_ref(), |xml, payment| {
        xml.text("cbc:PaymentMeansCode", TRANSFER);
        if let (InvoiceKind::CreditNote, Some(due)) = (invoice.kind, invoice.due_on) {
            xml.text("cbc:PaymentDueDate", &due.to_string());
        }
        xml.text_of("cbc:PaymentID", payment.reference.as_ref());
        xml.group("cac:PayeeFinancialAccount", |xml| {
            xml.text("cbc:ID", &payment.iban);
            xml.text_of("cbc:Name", payment.account_name.as_ref());
            xml.group_of("cac:FinancialInstitutionBranch", payment.bic.as_ref(), |xml, bic| xml.text("cbc:ID", bic));
        });
    });
}

fn taxes(xml: &mut Xml, invoice: &Invoice) {
    xml.group("cac:TaxTotal", |xml| {
        xml.amount_in("cbc:TaxAmount", invoice.tax);
        for TaxAmounts { tax, net, amount } in &invoice.taxes {
            xml.group("cac:TaxSubtotal", |xml| {
                xml.amount_in("cbc:TaxableAmount", *net);
                xml.amount_in("cbc:TaxAmount", *amount);
                category(xml, "cac:TaxCategory", *tax, exemption(invoice, *tax));
            });
        }
    });
}

fn category(xml: &mut Xml, name: &str, tax: Tax, exemption: Option<&str>) {
    xml.group(name, |xml| {
        xml.text("cbc:ID", tax.code());
        if let Some(rate) = rate_of(tax) {
            xml.text("cbc:Percent", &rate);
        }
        if let Some(reason) = exemption {
            xml.text("cbc:TaxExemptionReason", reason);
        }
        xml.group("cac:TaxScheme", |xml| xml.text("cbc:ID", "VAT"));
    });
}

fn line(xml: &mut Xml, names: &Names, number: usize, line: &Line) {
    let (count, price) = line.quantity_and_price();
    xml.group(names.line, |xml| {
        xml.text("cbc:ID", &number.to_string());
        xml.text_with(names.quantity, &[("unitCode", line.measure.code())], &quantity(count));
        xml.amount_in("cbc:LineExtensionAmount", line.amounts.net);
        billing_period(xml, line.period);
        xml.group("cac:Item", |xml| {
            xml.text_of("cbc:Description", line.description.as_ref());
            xml.text("cbc:Name", &line.name);
            category(xml, "cac:ClassifiedTaxCategory", line.tax, None);
        });
        xml.group("cac:Price", |xml| {
            xml.text_with("cbc:PriceAmount", &[("currencyID", price.currency().code())], &decimal(price));
        });
    });
}

fn billing_period(xml: &mut Xml, period: Option<Period>) {
    xml.group_of("cac:InvoicePeriod", period, |xml, period| {
        xml.text("cbc:StartDate", &period.from.to_string());
        xml.text("cbc:EndDate", &period.to.to_string());
    });
}
