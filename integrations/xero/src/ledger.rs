//! The port's questions in Xero's words.

use crate::Xero;
use crate::wire::Payment as WirePayment;
use crate::wire::{Account, Contact, Contacts, Exception, Invoice, Invoices, LineItem, Payments, day};
use chrono::NaiveDate;
use kernel::{Currency, Money};
use ports::{Book, Booked, Entry, EntryStatus, Fault, GONE, Line, Party, PartyRef, Payment, Place, TaxMode};
use providers::{Answer, Decimal};
use reqwest::Method;

/// The answer if it is good; else what Xero does not like.
pub fn good(answer: &Answer) -> Result<&Answer, Fault> {
    if answer.is_good() || answer.status.as_u16() == 304 {
        return Ok(answer);
    }
    let exception: Exception = serde_json::from_slice(&answer.body).unwrap_or_default();
    let told = exception.told();
    let said = told.to_lowercase();
    let code = match answer.status.as_u16() {
        404 => GONE,
        // The organisation is not to be reached now.
        412 => return Err(Fault::Later(None, format!("Xero answers 412: {told}"))),
        _ if said.contains("lock date") || said.contains("locked") || said.contains("period") => "period_closed",
        _ if said.contains("unique") || said.contains("already assigned") || said.contains("already exists") => "taken",
        400..=499 => "refused",
        _ => return Err(Fault::Later(None, format!("Xero answers {}", answer.status))),
    };
    Err(Fault::Never(code, if told.is_empty() { format!("Xero answers {}", answer.status) } else { told }))
}

/// See [`ports::Ledger::party`].
pub async fn party(xero: &Xero, at: Place, key: &str, party: &Party) -> Result<PartyRef, Fault> {
    let wanted = Contact {
        contact_number: Some(party.reference.clone()),
        name: Some(party.name.clone()),
        email_address: party.email.clone(),
        tax_number: party.tax_number.clone(),
        ..Contact::default()
    };
    if let Some(known) = by_reference(xero, at, &party.reference).await? {
        return changed(xero, at, key, known, wanted).await;
    }
    let contacts = Contacts { contacts: vec![wanted.clone()] };
    let answer = xero.send(at, Method::PUT, &["Contacts"], key, &contacts).await?;
    match good(&answer) {
        Ok(answer) => id_of(answer.json::<Contacts>()?),
        // Somebody has entered it by hand: it is that one, unless it is somebody else's already.
        Err(Fault::Never("taken", why)) => match by_name(xero, at, &party.name).await? {
            Some(known) if known.contact_number.is_none() => {
                changed(xero, at, &format!("{key}-adopt"), known, wanted).await
            }
            _ => Err(Fault::Never("taken", why)),
        },
        Err(fault) => Err(fault),
    }
}

async fn by_reference(xero: &Xero, at: Place, reference: &str) -> Result<Option<Contact>, Fault> {
    let answer = xero.get(at, &["Contacts", reference], &[], None).await?;
    if answer.status.as_u16() == 404 {
        return Ok(None);
    }
    let contact = good(&answer)?.json::<Contacts>()?.contacts.into_iter().next();
    let Some(merged) = contact.as_ref().and_then(|contact| contact.merged_to_contact_id.clone()) else {
        return Ok(contact);
    };
    // Whoever was merged into another is that one from then on.
    let answer = xero.get(at, &["Contacts", &merged], &[], None).await?;
    Ok(good(&answer)?.json::<Contacts>()?.contacts.into_iter().next())
}

async fn by_name(xero: &Xero, at: Place, name: &str) -> Result<Option<Contact>, Fault> {
    let condition = format!("Name==\"{}\"", name.replace('"', "\"\""));
    let answer = xero.get(at, &["Contacts"], &[("where", &condition), ("includeArchived", "true")], None).await?;
    Ok(good(&answer)?.json::<Contacts>()?.contacts.into_iter().find(|one| one.name.as_deref() == Some(name)))
}

/// Changes a contact by its id, if it is otherwise than it should be.
async fn changed(xero: &Xero, at: Place, key: &str, known: Contact, wanted: Contact) -> Result<PartyRef, Fault> {
    let id = known.contact_id.clone().ok_or_else(|| Fault::Later(None, "a contact has no id".to_owned()))?;
    let same = |one: &Option<String>, other: &Option<String>| other.is_none() || one == other;
    let is_so = same(&known.name, &wanted.name)
        && same(&known.email_address, &wanted.email_address)
        && same(&known.tax_number, &wanted.tax_number)
        && same(&known.contact_number, &wanted.contact_number);
    if !is_so {
        let change = Contact { contact_id: Some(id.clone()), ..wanted };
        let contacts = Contacts { contacts: vec![change] };
        let answer = xero.send(at, Method::POST, &["Contacts", &id], key, &contacts).await?;
        good(&answer)?;
    }
    Ok(PartyRef { party_id: id })
}

fn id_of(contacts: Contacts) -> Result<PartyRef, Fault> {
    let id = contacts.contacts.into_iter().next().and_then(|contact| contact.contact_id);
    id.map(|party_id| PartyRef { party_id }).ok_or_else(|| Fault::Unknown("Xero names no contact".to_owned()))
}

/// See [`ports::Ledger::book`].
pub async fn book(xero: &Xero, at: Place, key: &str, entry: &Entry) -> Result<Booked, Fault> {
    let invoices = Invoices { invoices: vec![invoice(entry)?] };
    let answer = xero.send(at, Method::PUT, &["Invoices"], key, &invoices).await?;
    match good(&answer) {
        Ok(answer) => one(answer.json::<Invoices>()?, "Xero names no invoice"),
        // It may be ours, from a try whose answer got lost after the key was forgotten.
        Err(Fault::Never("taken", why)) => match find(xero, at, entry.book, &entry.number, &entry.party_id).await? {
            Some(booked) if booked.status != EntryStatus::Voided && is_same(xero, at, &booked, entry).await? => {
                Ok(booked)
            }
            _ => Err(Fault::Never("taken", why)),
        },
        Err(fault) => Err(fault),
    }
}

/// Is what the books have under that number this very entry? The same party, the same lines and the same total are: whoever enters a
/// paper by hand has its taxes rounded as the books do.
async fn is_same(xero: &Xero, at: Place, booked: &Booked, entry: &Entry) -> Result<bool, Fault> {
    if entry.total().is_some_and(|total| total != booked.total) {
        return Ok(false);
    }
    let answer = xero.get(at, &["Invoices", &booked.entry_id], &[], None).await?;
    let Some(found) = good(&answer)?.json::<Invoices>()?.invoices.into_iter().next() else { return Ok(false) };
    let party = found.contact.and_then(|contact| contact.contact_id);
    let currency = entry.currency()?;
    let amounts = |lines: &[LineItem]| -> Vec<Option<i64>> {
        lines.iter().map(|line| line.unit_amount.as_ref()?.money(currency).map(Money::minor)).collect()
    };
    Ok(party.as_deref() == Some(&entry.party_id) && amounts(&found.line_items) == amounts(&invoice(entry)?.line_items))
}

fn invoice(entry: &Entry) -> Result<Invoice, Fault> {
    let currency = entry.currency()?;
    let line = |line: &Line| LineItem {
        description: Some(line.text.clone()),
        quantity: Decimal::scaled(line.quantity_thousandths, 3),
        unit_amount: Decimal::of(line.unit),
        account_code: Some(line.account.clone()),
        tax_type: line.tax_kind.clone(),
        tax_amount: line.tax.and_then(Decimal::of),
    };
    let kind = match entry.book {
        Book::Sales => "ACCREC",
        Book::Purchases => "ACCPAY",
    };
    let tax = match entry.tax {
        TaxMode::Exclusive => "Exclusive",
        TaxMode::Inclusive => "Inclusive",
        TaxMode::NoTax => "NoTax",
    };
    Ok(Invoice {
        kind: Some(kind.to_owned()),
        invoice_number: Some(entry.number.clone()),
        // Bills have no other reference than their number.
        reference: entry.reference.clone().filter(|_| entry.book == Book::Sales),
        contact: Some(Contact { contact_id: Some(entry.party_id.clone()), ..Contact::default() }),
        date: Some(entry.dated.to_string()),
        due_date: Some(entry.due.to_string()),
        line_amount_types: Some(tax.to_owned()),
        currency_code: Some(currency.code().to_owned()),
        status: Some("AUTHORISED".to_owned()),
        line_items: entry.lines.iter().map(line).collect(),
        ..Invoice::default()
    })
}

/// See [`ports::Ledger::find`].
pub async fn find(xero: &Xero, at: Place, book: Book, number: &str, party_id: &str) -> Result<Option<Booked>, Fault> {
    let (kind, of_party) = match book {
        Book::Sales => ("ACCREC", None),
        // Two vendors may give the same number.
        Book::Purchases => ("ACCPAY", Some(party_id)),
    };
    let mut query = vec![("InvoiceNumbers", number)];
    query.extend(of_party.map(|party| ("ContactIDs", party)));
    let answer = xero.get(at, &["Invoices"], &query, None).await?;
    let found = good(&answer)?.json::<Invoices>()?.invoices.into_iter();
    let is_it = |one: &Invoice| {
        one.kind.as_deref() == Some(kind)
            && one.invoice_number.as_deref() == Some(number)
            && one.status.as_deref() != Some("DELETED")
    };
    found.filter(is_it).max_by_key(|one| one.status.as_deref() != Some("VOIDED")).map(booked).transpose()
}

/// See [`ports::Ledger::look`].
pub async fn look(xero: &Xero, at: Place, entry_id: &str) -> Result<Booked, Fault> {
    let answer = xero.get(at, &["Invoices", entry_id], &[], None).await?;
    one(good(&answer)?.json::<Invoices>()?, "Xero names no invoice")
}

/// See [`ports::Ledger::void`].
pub async fn void(xero: &Xero, at: Place, key: &str, entry_id: &str) -> Result<(), Fault> {
    let known = look(xero, at, entry_id).await?;
    if known.status == EntryStatus::Voided {
        return Ok(());
    }
    if !known.paid.is_zero() {
        return Err(Fault::Never("has_payments", "what was paid on is not taken out of the books".to_owned()));
    }
    let status = if known.status == EntryStatus::Draft { "DELETED" } else { "VOIDED" };
    let change =
        Invoice { invoice_id: Some(entry_id.to_owned()), status: Some(status.to_owned()), ..Invoice::default() };
    let answer =
        xero.send(at, Method::POST, &["Invoices", entry_id], key, &Invoices { invoices: vec![change] }).await?;
    good(&answer).map(drop)
}

/// See [`ports::Ledger::pay`].
pub async fn pay(
    xero: &Xero,
    at: Place,
    key: &str,
    entry_id: &str,
    account: &str,
    (dated, amount): (NaiveDate, Money),
) -> Result<Payment, Fault> {
    let payment = WirePayment {
        invoice: Some(Box::new(Invoice { invoice_id: Some(entry_id.to_owned()), ..Invoice::default() })),
        account: Some(Account { code: Some(account.to_owned()) }),
        date: Some(dated.to_string()),
        amount: Decimal::of(amount),
        ..WirePayment::default()
    };
    let answer = xero.send(at, Method::PUT, &["Payments"], key, &Payments { payments: vec![payment] }).await?;
    let made = good(&answer)?.json::<Payments>()?.payments.into_iter().next();
    let id = made.and_then(|payment| payment.payment_id);
    let payment_id = id.ok_or_else(|| Fault::Unknown("Xero names no payment".to_owned()))?;
    Ok(Payment { payment_id, dated, amount })
}

fn one(invoices: Invoices, missing: &str) -> Result<Booked, Fault> {
    let first = invoices.invoices.into_iter().next();
    booked(first.ok_or_else(|| Fault::Unknown(missing.to_owned()))?)
}

fn booked(invoice: Invoice) -> Result<Booked, Fault> {
    let broken = |what: &str| Fault::Later(None, format!("an invoice of Xero's has no {what} that can be read"));
    let currency: Option<Currency> = invoice.currency_code.as_deref().and_then(|code| code.parse().ok());
    let currency = currency.ok_or_else(|| broken("CurrencyCode"))?;
    let money = |amount: &Option<Decimal>, what| match amount {
        Some(amount) => amount.money(currency).ok_or_else(|| broken(what)),
        None => Ok(Money::zero(currency)),
    };
    let status = match invoice.status.as_deref() {
        Some("DRAFT" | "SUBMITTED") => EntryStatus::Draft,
        Some("AUTHORISED") => EntryStatus::Open,
        Some("PAID") => EntryStatus::Paid,
        Some("VOIDED" | "DELETED") => EntryStatus::Voided,
        _ => return Err(broken("Status")),
    };
    // A payment that was taken back stays in the list.
    let counts = |payment: &&WirePayment| payment.status.as_deref() != Some("DELETED");
    let payments = invoice.payments.iter().filter(counts).map(|payment| {
        Ok(Payment {
            payment_id: payment.payment_id.clone().ok_or_else(|| broken("PaymentID"))?,
            dated: payment.date.as_deref().and_then(day).ok_or_else(|| broken("Date of a payment"))?,
            amount: money(&payment.amount, "Amount of a payment")?,
        })
    });
    Ok(Booked {
        number: invoice.invoice_number.clone().unwrap_or_default(),
        status,
        total: money(&invoice.total, "Total")?,
        paid: money(&invoice.amount_paid, "AmountPaid")?,
        due: money(&invoice.amount_due, "AmountDue")?,
        payments: payments.collect::<Result<_, Fault>>()?,
        entry_id: invoice.invoice_id.ok_or_else(|| broken("InvoiceID"))?,
    })
}
