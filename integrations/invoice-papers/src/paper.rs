//! What a paper says, as the log has it: what was issued, and what was written before.

use catalogue::AnyEvent;
use event_store::Log;
use kernel::{Amounts, ClientId, Date, InvoiceId, Personal, Tax, TenantId};
use papers::{Contact, Delivery, ElectronicAddress, InvoiceKind, Language, Line, Party, Payment, PrecedingInvoice};
use revenue_events::{Buyer, CreditNoteEvent, InvoiceEvent, Line as Written, Seller};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Why there is no paper.
#[derive(Debug)]
pub enum NotSet {
    /// Whoever it is for was erased.
    Erased,
    /// The log has not what it takes.
    Never(String),
    /// The log cannot be asked now.
    Later(String),
}

/// Reads what was written before a paper was issued.
pub struct Read<'a> {
    /// Where it stands.
    pub log: &'a Log,
    /// The firm.
    pub tenant: TenantId,
    /// The invoice, or the credit note.
    pub id: Uuid,
    /// Where it was issued.
    pub position: i64,
}

/// What is not the same of both kinds of papers.
struct Head<'a> {
    kind: InvoiceKind,
    number: String,
    issued_on: Date,
    due_on: Option<Date>,
    language: Option<&'a revenue_events::Language>,
    preceding: Option<PrecedingInvoice>,
    note: Option<String>,
}

impl Read<'_> {
    /// The paper of an invoice that was issued so.
    pub async fn invoice(&self, issued: &InvoiceEvent) -> Result<(ClientId, papers::Invoice), NotSet> {
        let InvoiceEvent::Issued {
            client_id, number, issued_on, due_on, seller, buyer, language, lines, amounts, ..
        } = issued
        else {
            return Err(NotSet::Never("it was not issued".to_owned()));
        };
        let drafted = self.events(self.id).await?.into_iter().find_map(|event| match event {
            AnyEvent::Invoice(InvoiceEvent::Drafted { note, .. }) => Some(note),
            _ => None,
        });
        let head = Head {
            kind: InvoiceKind::Invoice,
            number: number.to_string(),
            issued_on: *issued_on,
            due_on: Some(*due_on),
            language: language.as_ref(),
            preceding: None,
            note: drafted.flatten().map(|note| note.to_string()),
        };
        Ok((*client_id, paper(head, seller, buyer, lines, amounts)?))
    }

    /// The paper of a credit note that was issued so.
    pub async fn credit_note(&self, issued: &CreditNoteEvent) -> Result<(ClientId, papers::Invoice), NotSet> {
        let CreditNoteEvent::Issued { client_id, invoice_id, number, issued_on, seller, buyer, amounts } = issued
        else {
            return Err(NotSet::Never("it was not issued".to_owned()));
        };
        let drafted = self.events(self.id).await?.into_iter().find_map(|event| match event {
            AnyEvent::CreditNote(CreditNoteEvent::Drafted { lines, reason, invoice_number, .. }) => {
                Some((lines, reason, invoice_number))
            }
            _ => None,
        });
        let (lines, reason, invoice_number) =
            drafted.ok_or_else(|| NotSet::Never("the log has no draft of it".to_owned()))?;
        let (invoiced_on, language) = self.invoiced(*invoice_id).await?;
        let head = Head {
            kind: InvoiceKind::CreditNote,
            number: number.to_string(),
            issued_on: *issued_on,
            due_on: None,
            language: language.as_ref(),
            preceding: Some(PrecedingInvoice { number: invoice_number.to_string(), issued_on: invoiced_on.into() }),
            note: Some(reason.to_string()),
        };
        Ok((*client_id, paper(head, seller, buyer, &lines, amounts)?))
    }

    /// When an invoice was issued, and in which language.
    async fn invoiced(&self, id: InvoiceId) -> Result<(Date, Option<revenue_events::Language>), NotSet> {
        let found = self.events(id.0).await?.into_iter().find_map(|event| match event {
            AnyEvent::Invoice(InvoiceEvent::Issued { issued_on, language, .. }) => Some((issued_on, language)),
            _ => None,
        });
        found.ok_or_else(|| NotSet::Never("the log has no invoice that it takes back".to_owned()))
    }

    async fn events(&self, id: Uuid) -> Result<Vec<AnyEvent>, NotSet> {
        let events = self.log.read_stream(self.tenant, id, 0, self.position).await;
        let events = events.map_err(|error| NotSet::Later(error.to_string()))?;
        let read = events.into_iter().map(|event| catalogue::decode(event).map(|event| event.payload));
        read.collect::<Result<_, _>>().map_err(|error| NotSet::Never(error.to_string()))
    }
}

fn paper(
    head: Head<'_>,
    seller: &Seller,
    buyer: &Buyer,
    lines: &[Written],
    amounts: &Amounts,
) -> Result<papers::Invoice, NotSet> {
    let Head { kind, number, issued_on, due_on, language, preceding, note } = head;
    let buyer_party = buys(buyer)?;
    let is_invoice = kind == InvoiceKind::Invoice;
    let payment = seller.iban.as_ref().filter(|_| is_invoice).map(|iban| Payment {
        account_name: None,
        iban: iban.to_string(),
        bic: seller.bic.as_ref().map(ToString::to_string),
        reference: Some(number.clone()),
    });
    // Who sells within the European Union says when and where to; what else is known of that is the day of the paper.
    let is_abroad = lines.iter().any(|line| matches!(line.tax.tax, Tax::IntraCommunity {}));
    let delivery = is_abroad.then(|| Delivery { on: Some(issued_on.into()), to: Some(buyer_party.address.clone()) });
    let reasons: BTreeSet<&str> =
        lines.iter().filter_map(|line| Some(line.tax.exemption_reason.as_ref()?.as_str())).collect();
    let reasons: Vec<&str> = reasons.into_iter().collect();
    Ok(papers::Invoice {
        kind,
        language: language.map_or(Language::En, speaks),
        number,
        issued_on: issued_on.into(),
        due_on: due_on.map(Into::into),
        currency: amounts.total.currency(),
        buyer_reference: buyer.reference.as_ref().map(ToString::to_string),
        order_reference: None,
        contract_reference: None,
        preceding,
        note,
        seller: sells(seller),
        buyer: buyer_party,
        period: None,
        delivery,
        lines: lines.iter().zip(&amounts.lines).map(|(line, amounts)| written(line, *amounts)).collect(),
        taxes: amounts.taxes.clone(),
        exemption_reason: Some(reasons.join("; ")).filter(|reason| !reason.is_empty()),
        net: amounts.net,
        tax: amounts.tax,
        total: amounts.total,
        prepaid: None,
        due: amounts.total,
        payment,
    })
}

fn written(line: &Written, amounts: kernel::LineAmounts) -> Line {
    Line {
        name: line.description.to_string(),
        description: None,
        quantity: line.quantity,
        measure: line.measure,
        unit_price: line.unit_price,
        tax: line.tax.tax,
        amounts,
        period: None,
    }
}

/// The language that a paper's own words are in: German, or English for everybody else.
fn speaks(language: &revenue_events::Language) -> Language {
    if language.as_str().starts_with("de") { Language::De } else { Language::En }
}

fn sells(seller: &Seller) -> Party {
    let email = seller.contact_email.as_ref().and_then(shown);
    let contact = Contact {
        name: seller.contact_name.as_ref().and_then(shown),
        phone: seller.contact_phone.as_ref().and_then(shown),
        email: email.clone(),
    };
    let is_known = contact.name.is_some() || contact.phone.is_some() || contact.email.is_some();
    Party {
        name: seller.legal_name.to_string(),
        address: seller.address.clone(),
        vat_id: seller.vat_id.as_ref().map(ToString::to_string),
        tax_number: seller.tax_number.as_ref().map(ToString::to_string),
        registration: seller.registration_number.as_ref().map(ToString::to_string),
        electronic_address: email.map(ElectronicAddress::email),
        contact: is_known.then_some(contact),
    }
}

fn buys(buyer: &Buyer) -> Result<Party, NotSet> {
    let (name, address) = buyer.legal_name.expose().zip(buyer.address.expose()).ok_or(NotSet::Erased)?;
    Ok(Party {
        name: name.to_string(),
        address: address.clone(),
        vat_id: buyer.vat_id.as_ref().and_then(shown),
        tax_number: None,
        registration: None,
        electronic_address: buyer.email.as_ref().and_then(shown).map(ElectronicAddress::email),
        contact: None,
    })
}

/// What is left of something personal, as text.
fn shown<T: ToString>(personal: &Personal<T>) -> Option<String> {
    personal.expose().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Currency, Quantity, Rounding};

    fn read<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn seller() -> Seller {
        let address = serde_json::json!({ "line1": "Marylebone Road 12", "city": "Berlin", "country": "DE" });
        read(serde_json::json!({
            "legal_name": "Engines GmbH", "address": address, "vat_id": "DE123456789", "iban": "DE89370400440532013000",
        }))
    }

    fn buyer() -> Buyer {
        let address = serde_json::json!({ "line1": "Rue 1", "city": "Paris", "country": "FR" });
        read(serde_json::json!({ "legal_name": "Babbage SAS", "address": address, "email": "papers@babbage.example" }))
    }

    fn line(tax: serde_json::Value) -> Written {
        read(serde_json::json!({
            "id": Uuid::nil(), "description": "Advice", "quantity": "2", "measure": "hour",
            "unit_price": { "minor": 10_000, "currency": "EUR" }, "tax": tax,
        }))
    }

    fn head(kind: InvoiceKind) -> Head<'static> {
        let issued_on = "2026-12-01".parse().unwrap();
        Head { kind, number: "R-7".to_owned(), issued_on, due_on: None, language: None, preceding: None, note: None }
    }

    fn set(kind: InvoiceKind, tax: serde_json::Value, buyer: &Buyer) -> Result<papers::Invoice, NotSet> {
        let lines = [line(tax)];
        let currency: Currency = "EUR".parse().unwrap();
        let amounts = Amounts::of(currency, Rounding::PerDocument, &[lines[0].priced()]).unwrap();
        paper(head(kind), &seller(), buyer, &lines, &amounts)
    }

    #[test]
    fn a_paper_says_what_was_issued_and_how_it_is_paid() {
        let tax = serde_json::json!({ "key": "vat", "tax": { "category": "standard", "rate": "19" } });
        let paper = set(InvoiceKind::Invoice, tax.clone(), &buyer()).unwrap();
        assert_eq!((paper.total.minor(), paper.due.minor(), paper.net.minor()), (23_800, 23_800, 20_000));
        assert_eq!(paper.payment.unwrap().reference.as_deref(), Some("R-7"));
        assert_eq!(paper.lines[0].quantity, "2".parse::<Quantity>().unwrap());
        assert_eq!(paper.buyer.electronic_address.unwrap().address, "papers@babbage.example");
        assert!(
            set(InvoiceKind::CreditNote, tax, &buyer()).unwrap().payment.is_none(),
            "nobody pays for a credit note"
        );
    }

    #[test]
    fn what_goes_abroad_says_where_to_and_why_nothing_is_taxed() {
        let tax = serde_json::json!({
            "key": "eu", "tax": { "category": "intra_community" }, "exemption_reason": "Intra-Community supply",
        });
        let paper = set(InvoiceKind::Invoice, tax, &buyer()).unwrap();
        assert_eq!(paper.delivery.unwrap().to.unwrap().city.as_str(), "Paris");
        assert_eq!(paper.exemption_reason.as_deref(), Some("Intra-Community supply"));
    }

    #[test]
    fn nobody_who_was_erased_gets_a_paper() {
        let tax = serde_json::json!({ "key": "vat", "tax": { "category": "standard", "rate": "19" } });
        let erased = Buyer { legal_name: Personal::erased(), ..buyer() };
        assert!(matches!(set(InvoiceKind::Invoice, tax, &erased), Err(NotSet::Erased)));
    }
}
