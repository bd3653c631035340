//! Customers and vendors. QuickBooks has no place for our id, so it stands in their notes; where these are lost, the name finds them.

use crate::ledger::TRIES;
use crate::wire::{Email, Person};
use crate::{PAGE, Quickbooks, STALE, quoted};
use ports::{Book, Fault, GONE, Party, PartyRef, Place};

/// What stands before our id in the notes.
const MARK: &str = "UBOS: ";
/// Pages of parties at most.
const PAGES_MAX: usize = 20;
/// Also those that were put out of use.
const EACH: &str = "Active in (true, false)";

/// What QuickBooks calls the parties of this book.
fn name(book: Book) -> &'static str {
    match book {
        Book::Sales => "Customer",
        Book::Purchases => "Vendor",
    }
}

/// Our id in somebody's notes.
fn mark(person: &Person) -> Option<&str> {
    let (_, rest) = person.notes.as_deref()?.split_once(MARK)?;
    rest.split_whitespace().next()
}

/// A name as QuickBooks takes it: a colon would make it a part of another.
fn plain(name: &str) -> String {
    let one_line = name.replace(':', " ").replace(['\t', '\n', '\r'], " ");
    one_line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// See [`ports::Ledger::party`].
pub async fn party(quickbooks: &Quickbooks, at: Place, key: &str, party: &Party) -> Result<PartyRef, Fault> {
    let kind = name(party.book);
    let display_name = plain(&party.name);
    if let Some(known) = by_id(quickbooks, at, kind, party.known.as_deref()).await? {
        return match mark(&known).is_some_and(|mark| mark != party.reference) {
            // It was made one with another of ours, whose name it bears.
            true => id_of(known),
            false => changed(quickbooks, at, key, kind, known, &person(party, display_name), &party.reference).await,
        };
    }
    let asked = format!("where DisplayName = {} and {EACH} maxresults 10", quoted(&display_name));
    let found: Vec<Person> = quickbooks.query(at, kind, &asked).await?;
    let known = match found.into_iter().next() {
        Some(other) if mark(&other).is_some_and(|mark| mark != party.reference) => {
            return Err(Fault::Never("taken", format!("another {kind} is called {display_name}")));
        }
        Some(known) => Some(known),
        // It may have been renamed, here or there.
        None => marked(quickbooks, at, kind, &party.reference).await?,
    };
    let wanted = person(party, display_name);
    match known {
        Some(known) => changed(quickbooks, at, key, kind, known, &wanted, &party.reference).await,
        None => id_of(quickbooks.write(at, kind, key, None, &wanted).await?),
    }
}

async fn by_id(quickbooks: &Quickbooks, at: Place, kind: &str, id: Option<&str>) -> Result<Option<Person>, Fault> {
    let Some(id) = id else { return Ok(None) };
    match quickbooks.read(at, kind, id).await {
        Err(Fault::Never(GONE, _)) => Ok(None),
        found => found.map(Some),
    }
}

fn person(party: &Party, display_name: String) -> Person {
    let email = party.email.clone().map(|address| Email { address: Some(address) });
    let (of_customer, of_vendor) = match party.book {
        Book::Sales => (party.tax_number.clone(), None),
        Book::Purchases => (None, party.tax_number.clone()),
    };
    Person {
        display_name: Some(display_name),
        notes: Some(format!("{MARK}{}", party.reference)),
        primary_email_addr: email,
        primary_tax_identifier: of_customer,
        tax_identifier: of_vendor,
        ..Person::default()
    }
}

/// The one with our id in its notes, which no query finds.
async fn marked(quickbooks: &Quickbooks, at: Place, kind: &str, reference: &str) -> Result<Option<Person>, Fault> {
    for page in 0..PAGES_MAX {
        let start = page * PAGE + 1;
        let asked = format!("where {EACH} orderby Id startposition {start} maxresults {PAGE}");
        let found: Vec<Person> = quickbooks.query(at, kind, &asked).await?;
        let count = found.len();
        if let Some(known) = found.into_iter().find(|one| mark(one) == Some(reference)) {
            return Ok(Some(known));
        }
        if count < PAGE {
            break;
        }
    }
    Ok(None)
}

/// Is this number the one that an answer shows the end of?
fn is_same_number(shown: Option<&str>, wanted: Option<&str>) -> bool {
    let Some(wanted) = wanted else { return true };
    let Some(shown) = shown else { return false };
    let end = shown.trim_start_matches(['X', 'x', '*']);
    shown == wanted || (end.len() < shown.len() && !end.is_empty() && wanted.ends_with(end))
}

/// What is to be changed so that it is as it should be; none if it is so.
fn change(known: &Person, wanted: &Person, reference: &str) -> Option<Person> {
    let address = |of: &Person| of.primary_email_addr.as_ref().and_then(|email| email.address.clone());
    let is_so = known.display_name == wanted.display_name
        && (wanted.primary_email_addr.is_none() || address(known) == address(wanted))
        && is_same_number(known.primary_tax_identifier.as_deref(), wanted.primary_tax_identifier.as_deref())
        && is_same_number(known.tax_identifier.as_deref(), wanted.tax_identifier.as_deref())
        && known.active != Some(false)
        && mark(known) == Some(reference);
    if is_so {
        return None;
    }
    // What people have noted there stays.
    let noted = known.notes.as_deref().filter(|notes| !notes.trim().is_empty());
    let notes = match (mark(known), noted) {
        (None, Some(noted)) => Some(format!("{noted}\n{MARK}{reference}")),
        (None, None) => wanted.notes.clone(),
        (Some(_), _) => None,
    };
    Some(Person {
        id: known.id.clone(),
        sync_token: known.sync_token.clone(),
        sparse: Some(true),
        active: Some(true).filter(|_| known.active == Some(false)),
        notes,
        ..wanted.clone()
    })
}

async fn changed(
    quickbooks: &Quickbooks,
    at: Place,
    key: &str,
    kind: &str,
    mut known: Person,
    wanted: &Person,
    reference: &str,
) -> Result<PartyRef, Fault> {
    let mut ended = Fault::Later(None, "others change it all the time".to_owned());
    for _ in 0..TRIES {
        let Some(change) = change(&known, wanted, reference) else { return id_of(known) };
        let key = format!("{key}/{}", change.sync_token.as_deref().unwrap_or_default());
        match quickbooks.write(at, kind, &key, None, &change).await {
            // Somebody has changed it since it was read.
            Err(Fault::Never(STALE, why)) => {
                ended = Fault::Later(None, why);
                known = quickbooks.read(at, kind, &known.id.unwrap_or_default()).await?;
            }
            done => return id_of(done?),
        }
    }
    Err(ended)
}

fn id_of(person: Person) -> Result<PartyRef, Fault> {
    let missing = || Fault::Unknown("QuickBooks names no customer or vendor".to_owned());
    person.id.map(|party_id| PartyRef { party_id }).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party() -> Party {
        Party {
            book: Book::Sales,
            known: None,
            reference: "ubos-1".to_owned(),
            name: "Engines: north".to_owned(),
            email: None,
            tax_number: Some("DE123456789".to_owned()),
        }
    }

    fn known(notes: Option<&str>) -> Person {
        let wanted = person(&party(), plain("Engines: north"));
        let notes = notes.map(str::to_owned);
        Person { id: Some("58".to_owned()), primary_tax_identifier: Some("XXXXXXX6789".to_owned()), notes, ..wanted }
    }

    #[test]
    fn our_id_stands_in_the_notes_beside_what_people_note_there() {
        let wanted = person(&party(), plain("Engines: north"));
        assert_eq!(wanted.display_name.as_deref(), Some("Engines north"));
        assert!(change(&known(Some("UBOS: ubos-1")), &wanted, "ubos-1").is_none());
        assert!(change(&known(Some("Pays late\nUBOS: ubos-1 since May")), &wanted, "ubos-1").is_none());
        let adopted = change(&known(Some("Pays late")), &wanted, "ubos-1").unwrap();
        assert_eq!(adopted.notes.as_deref(), Some("Pays late\nUBOS: ubos-1"));
        assert_eq!(change(&known(None), &wanted, "ubos-1").unwrap().notes.as_deref(), Some("UBOS: ubos-1"));
    }

    #[test]
    fn a_number_of_which_only_the_end_is_shown_is_the_same_if_the_end_is() {
        assert!(is_same_number(Some("XXXXXXX6789"), Some("DE123456789")));
        assert!(!is_same_number(Some("XXXXXXX6780"), Some("DE123456789")));
        assert!(is_same_number(Some("DE123456789"), Some("DE123456789")));
        assert!(!is_same_number(Some("6789"), Some("DE123456789")));
        assert!(!is_same_number(None, Some("DE123456789")));
        assert!(is_same_number(None, None));
    }
}
