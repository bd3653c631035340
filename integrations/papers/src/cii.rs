//! An invoice as UN/CEFACT Cross Industry Invoice (D16B), in the profile EN 16931: what a Factur-X PDF holds.

use crate::invoice::{Invoice, Line, Party, Period};
use crate::xml::{Xml, day_102, decimal, quantity};
use chrono::NaiveDate;
use kernel::{PostalAddress, Tax, TaxAmounts};

/// What `xmlns` says.
const NAMESPACES: &[(&str, &str)] = &[
    ("xmlns:rsm", "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"),
    ("xmlns:ram", "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"),
    ("xmlns:qdt", "urn:un:unece:uncefact:data:standard:QualifiedDataType:100"),
    ("xmlns:udt", "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100"),
];

/// The rules that it follows (BT-24).
pub(crate) const EN_16931: &str = "urn:cen.eu:en16931:2017";

/// The XML, in UTF-8; none if it [cannot be an electronic invoice](Invoice::is_electronic).
pub fn cii(invoice: &Invoice) -> Option<Vec<u8>> {
    invoice.is_electronic().then(|| write(invoice))
}

fn write(invoice: &Invoice) -> Vec<u8> {
    Xml::document("rsm:CrossIndustryInvoice", NAMESPACES, |xml| {
        xml.group("rsm:ExchangedDocumentContext", |xml| {
            xml.group("ram:GuidelineSpecifiedDocumentContextParameter", |xml| xml.text("ram:ID", EN_16931));
        });
        xml.group("rsm:ExchangedDocument", |xml| {
            xml.text("ram:ID", &invoice.number);
            xml.text("ram:TypeCode", invoice.kind.code());
            moment(xml, "ram:IssueDateTime", invoice.issued_on);
            xml.group_of("ram:IncludedNote", invoice.note.as_ref(), |xml, note| xml.text("ram:Content", note));
        });
        xml.group("rsm:SupplyChainTradeTransaction", |xml| {
            for (number, item) in (1..).zip(&invoice.lines) {
                line(xml, number, item);
            }
            agreement(xml, invoice);
            delivery(xml, invoice);
            settlement(xml, invoice);
        });
    })
}

fn line(xml: &mut Xml, number: usize, line: &Line) {
    let (count, price) = line.quantity_and_price();
    xml.group("ram:IncludedSupplyChainTradeLineItem", |xml| {
        xml.group("ram:AssociatedDocumentLineDocument", |xml| xml.text("ram:LineID", &number.to_string()));
        xml.group("ram:SpecifiedTradeProduct", |xml| {
            xml.text("ram:Name", &line.name);
            xml.text_of("ram:Description", line.description.as_ref());
        });
        xml.group("ram:SpecifiedLineTradeAgreement", |xml| {
            xml.group("ram:NetPriceProductTradePrice", |xml| xml.text("ram:ChargeAmount", &decimal(price)));
        });
        xml.group("ram:SpecifiedLineTradeDelivery", |xml| {
            xml.text_with("ram:BilledQuantity", &[("unitCode", line.measure.code())], &quantity(count));
        });
        xml.group("ram:SpecifiedLineTradeSettlement", |xml| {
            xml.group("ram:ApplicableTradeTax", |xml| {
                xml.text("ram:TypeCode", "VAT");
                xml.text("ram:CategoryCode", line.tax.code());
                rate(xml, line.tax);
            });
            billing_period(xml, line.period);
            xml.group("ram:SpecifiedTradeSettlementLineMonetarySummation", |xml| {
                xml.text("ram:LineTotalAmount", &decimal(line.amounts.net));
            });
        });
    });
}

fn agreement(xml: &mut Xml, invoice: &Invoice) {
    xml.group("ram:ApplicableHeaderTradeAgreement", |xml| {
        xml.text_of("ram:BuyerReference", invoice.buyer_reference.as_ref());
        let has_vat = !invoice.is_outside_scope();
        party(xml, "ram:SellerTradeParty", &invoice.seller, has_vat);
        party(xml, "ram:BuyerTradeParty", &invoice.buyer, has_vat);
        for (name, reference) in [
            ("ram:BuyerOrderReferencedDocument", &invoice.order_reference),
            ("ram:ContractReferencedDocument", &invoice.contract_reference),
        ] {
            xml.group_of(name, reference.as_ref(), |xml, id| xml.text("ram:IssuerAssignedID", id));
        }
    });
}

fn party(xml: &mut Xml, name: &str, party: &Party, has_vat: bool) {
    xml.group(name, |xml| {
        xml.text("ram:Name", &party.name);
        xml.group_of("ram:SpecifiedLegalOrganization", party.registration.as_ref(), |xml, id| xml.text("ram:ID", id));
        xml.group_of("ram:DefinedTradeContact", party.contact.as_ref(), |xml, contact| {
            xml.text_of("ram:PersonName", contact.name.as_ref());
            xml.group_of("ram:TelephoneUniversalCommunication", contact.phone.as_ref(), |xml, number| {
                xml.text("ram:CompleteNumber", number);
            });
            xml.group_of("ram:EmailURIUniversalCommunication", contact.email.as_ref(), |xml, address| {
                xml.text("ram:URIID", address);
            });
        });
        address(xml, &party.address);
        xml.group_of("ram:URIUniversalCommunication", party.electronic_address.as_ref(), |xml, at| {
            xml.text_with("ram:URIID", &[("schemeID", &at.scheme)], &at.address);
        });
        // What is outside the scope of the tax must not name a number for it (BR-O-02).
        for (scheme, id) in [("VA", party.vat_id.as_ref().filter(|_| has_vat)), ("FC", party.tax_number.as_ref())] {
            xml.group_of("ram:SpecifiedTaxRegistration", id, |xml, id| {
                xml.text_with("ram:ID", &[("schemeID", scheme)], id);
            });
        }
    });
}

fn address(xml: &mut Xml, address: &PostalAddress) {
    xml.group("ram:PostalTradeAddress", |xml| {
        if let Some(code) = &address.postal_code {
            xml.text("ram:PostcodeCode", code.as_str());
        }
        xml.text("ram:LineOne", address.line1.as_str());
        if let Some(line2) = &address.line2 {
            xml.text("ram:LineTwo", line2.as_str());
        }
        xml.text("ram:CityName", address.city.as_str());
        xml.text("ram:CountryID", address.country.as_str());
        if let Some(region) = &address.region {
            xml.text("ram:CountrySubDivisionName", region.as_str());
        }
    });
}

fn delivery(xml: &mut Xml, invoice: &Invoice) {
    xml.group("ram:ApplicableHeaderTradeDelivery", |xml| {
        let Some(delivery) = &invoice.delivery else { return };
        xml.group_of("ram:ShipToTradeParty", delivery.to.as_ref(), address);
        xml.group_of("ram:ActualDeliverySupplyChainEvent", delivery.on, |xml, on| {
            moment(xml, "ram:OccurrenceDateTime", on);
        });
    });
}

fn settlement(xml: &mut Xml, invoice: &Invoice) {
    xml.group("ram:ApplicableHeaderTradeSettlement", |xml| {
        xml.text_of("ram:PaymentReference", invoice.payment.as_ref().and_then(|payment| payment.reference.as_ref()));
        xml.text("ram:InvoiceCurrencyCode", invoice.currency.code());
        xml.group_of("ram:SpecifiedTradeSettlementPaymentMeans", invoice.payment.as_ref(), |xml, payment| {
            xml.text("ram:TypeCode", TRANSFER);
            xml.group("ram:PayeePartyCreditorFinancialAccount", |xml| {
                xml.text("ram:IBANID", &payment.iban);
                xml.text_of("ram:AccountName", payment.account_name.as_ref());
            });
            xml.group_of("ram:PayeeSpecifiedCreditorFinancialInstitution", payment.bic.as_ref(), |xml, bic| {
                xml.text("ram:BICID", bic);
            });
        });
        invoice.taxes.iter().for_each(|tax| breakdown(xml, invoice, tax));
        billing_period(xml, invoice.period);
        xml.group_of("ram:SpecifiedTradePaymentTerms", invoice.due_on, |xml, due| {
            moment(xml, "ram:DueDateDateTime", due);
        });
        xml.group("ram:SpecifiedTradeSettlementHeaderMonetarySummation", |xml| {
            xml.text("ram:LineTotalAmount", &decimal(invoice.net));
            xml.text("ram:TaxBasisTotalAmount", &decimal(invoice.net));
            xml.amount_in("ram:TaxTotalAmount", invoice.tax);
            xml.text("ram:GrandTotalAmount", &decimal(invoice.total));
            if let Some(prepaid) = invoice.prepaid {
                xml.text("ram:TotalPrepaidAmount", &decimal(prepaid));
            }
            xml.text("ram:DuePayableAmount", &decimal(invoice.due));
        });
        xml.group_of("ram:InvoiceReferencedDocument", invoice.preceding.as_ref(), |xml, preceding| {
            xml.text("ram:IssuerAssignedID", &preceding.number);
            xml.group("ram:FormattedIssueDateTime", |xml| {
                xml.text_with("qdt:DateTimeString", &[("format", "102")], &day_102(preceding.issued_on));
            });
        });
    });
}

/// A credit transfer, in UNTDID 4461 (BT-81).
pub(crate) const TRANSFER: &str = "30";

fn breakdown(xml: &mut Xml, invoice: &Invoice, tax: &TaxAmounts) {
    xml.group("ram:ApplicableTradeTax", |xml| {
        xml.text("ram:CalculatedAmount", &decimal(tax.amount));
        xml.text("ram:TypeCode", "VAT");
        if let Some(reason) = exemption(invoice, tax.tax) {
            xml.text("ram:ExemptionReason", reason);
        }
        xml.text("ram:BasisAmount", &decimal(tax.net));
        xml.text("ram:CategoryCode", tax.tax.code());
        rate(xml, tax.tax);
    });
}

/// Why a category is not taxed, where that has to be said (BR-E-10, BR-AE-10, BR-IC-10, BR-G-10, BR-O-10).
pub(crate) fn exemption(invoice: &Invoice, tax: Tax) -> Option<&str> {
    let usual = match tax {
        Tax::Standard { .. } | Tax::ZeroRated {} => return None,
        Tax::Exempt {} => "Exempt from VAT",
        Tax::ReverseCharge {} => "Reverse charge",
        Tax::IntraCommunity {} => "Intra-community supply",
        Tax::Export {} => "Export outside the EU",
        Tax::OutsideScope {} => "Not subject to VAT",
    };
    Some(invoice.exemption_reason.as_deref().unwrap_or(usual))
}

/// The rate; what is outside the scope of the tax has none, which is not the same as 0 %.
fn rate(xml: &mut Xml, tax: Tax) {
    if let Some(rate) = rate_of(tax) {
        xml.text("ram:RateApplicablePercent", &rate);
    }
}

pub(crate) fn rate_of(tax: Tax) -> Option<String> {
    match tax {
        Tax::Standard { rate } => Some(rate.to_string()),
        Tax::OutsideScope {} => None,
        _ => Some("0".to_owned()),
    }
}

fn billing_period(xml: &mut Xml, period: Option<Period>) {
    xml.group_of("ram:BillingSpecifiedPeriod", period, |xml, period| {
        moment(xml, "ram:StartDateTime", period.from);
        moment(xml, "ram:EndDateTime", period.to);
    });
}

fn moment(xml: &mut Xml, name: &str, day: NaiveDate) {
    xml.group(name, |xml| xml.text_with("udt:DateTimeString", &[("format", "102")], &day_102(day)));
}
