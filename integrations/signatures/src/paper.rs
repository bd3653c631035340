//! A contract as a paper, and the paper as an envelope.

use agreements::Contract;
use agreements_events::{ContractEvent, ContractRecipient, OfferedLine, RecipientId, RecipientRole, Totals};
use chrono::{DateTime, Utc};
use kernel::{Markdown, Name, Personal, Timestamp};
use papers::{Document, Language, Press, Signatory};
use ports::{Anchors, Envelope, Paper, Recipient, Signing};
use reactions::Outcome;

/// Days for which a provider collects signatures at most.
const DAYS_MAX: i64 = 365;
const SECONDS_OF_A_DAY: i64 = 24 * 3_600;

/// What goes out.
pub struct Outgoing {
    pub title: Name,
    pub body: Personal<Markdown>,
    pub recipients: Vec<ContractRecipient>,
    pub expires_at: Option<Timestamp>,
    /// When it was sent.
    pub at: DateTime<Utc>,
    /// What was agreed line by line, and what that comes to.
    pub lines: Vec<OfferedLine>,
    pub totals: Option<Totals>,
}

/// What was agreed line by line, as the contract's first event says.
pub fn lines(events: Vec<event_store::RawEvent>) -> Result<(Vec<OfferedLine>, Option<Totals>), Outcome> {
    for event in events {
        match catalogue::decode(event).map(|event| event.payload) {
            Ok(catalogue::AnyEvent::Contract(ContractEvent::Created { lines, totals, .. })) => {
                return Ok((lines, totals));
            }
            Ok(_) => {}
            Err(error) => return Err(Outcome::Never("unreadable", error.to_string())),
        }
    }
    Ok((vec![], None))
}

/// A text that nobody writes by chance: what tells the places of one recipient from all others.
fn unique(id: RecipientId) -> String {
    id.0.simple().to_string().to_uppercase().chars().rev().take(10).collect()
}

/// The envelope; the same whenever it is made of the same contract.
pub async fn envelope(
    press: &Press,
    signing: &dyn Signing,
    contract: &Contract,
    out: Outgoing,
    notify: Option<String>,
    now: DateTime<Utc>,
) -> Result<Envelope, Outcome> {
    let erased = || Outcome::Never("erased", "what the contract says, or who gets it, was erased".to_owned());
    let body = out.body.expose().ok_or_else(erased)?;
    let mut recipients = vec![];
    let mut signatories = vec![];
    for (index, one) in out.recipients.iter().enumerate() {
        let (name, email) = one.name.expose().zip(one.email.expose()).ok_or_else(erased)?;
        let signs = one.role == RecipientRole::Signer;
        let number = index + 1;
        let anchors = signs.then(|| signing.anchors(signatories.len() + 1, &unique(one.id)));
        if let Some(Anchors { signature, date }) = &anchors {
            signatories.push(Signatory {
                name: name.to_string(),
                signature_anchor: Some(signature.clone()),
                date_anchor: Some(date.clone()),
            });
        }
        let (id, name, email) = (number.to_string(), name.to_string(), email.to_string());
        recipients.push(Recipient { id, name, email, order: one.order, signs, anchors });
    }
    let document = Document {
        language: Language::En,
        title: out.title.to_string(),
        parties: contract.parties().iter().filter_map(|party| Some(party.name.expose()?.to_string())).collect(),
        made_on: out.at.date_naive(),
        body: format!("{}{}", body.as_str(), priced(&out.lines, out.totals.as_ref())),
        signatories,
    };
    let press = press.clone();
    let set = tokio::task::spawn_blocking(move || press.document(&document)).await;
    let pdf = match set {
        Ok(Ok(pdf)) => pdf,
        Ok(Err(error)) => return Err(Outcome::Never("not_set", error.to_string())),
        Err(panic) => return Err(Outcome::Never("not_set", panic.to_string())),
    };
    let days = out.expires_at.map(|at| days_until(at.utc(), now));
    Ok(Envelope {
        subject: out.title.to_string(),
        message: None,
        papers: vec![Paper { name: "contract.pdf".to_owned(), content: pdf.into() }],
        recipients,
        expires_after_days: days,
        notify,
    })
}

/// Days that the provider counts, so that its time is not over before ours.
fn days_until(at: DateTime<Utc>, now: DateTime<Utc>) -> u16 {
    let days = (at - now).num_seconds().max(0) / SECONDS_OF_A_DAY + 1;
    u16::try_from(days.clamp(1, DAYS_MAX)).unwrap_or(1)
}

/// What was agreed as a table below the text.
fn priced(lines: &[OfferedLine], totals: Option<&Totals>) -> String {
    let Some(totals) = totals.filter(|_| !lines.is_empty()) else { return String::new() };
    let mut text = "\n\n| | | Quantity | Price | Net |\n|---|---|---|---|---|\n".to_owned();
    for line in lines {
        let what = escaped(line.description.as_str());
        let (quantity, unit) = (escaped(&line.quantity.to_string()), line.unit.code());
        text.push_str(&format!(
            "| {} | {what} | {quantity} {unit} | {} | {} |\n",
            line.number, line.unit_price, line.net
        ));
    }
    for (called, amount) in [("Net", totals.net), ("Tax", totals.tax), ("**Total**", totals.total)] {
        text.push_str(&format!("| | {called} | | | {amount} |\n"));
    }
    text
}

/// A text of somebody as it is, in one line of a table.
fn escaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => plain.push(' '),
            c if c.is_ascii_punctuation() => plain.extend(['\\', c]),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_tells_recipients_apart_is_a_plain_word_of_ten_signs() {
        let [one, two] = [1, 0x1234_5678_9abc].map(|id| unique(RecipientId(Uuid::from_u128(id))));
        assert_ne!(one, two);
        assert!(one.len() == 10 && two.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()), "{one} {two}");
    }

    #[test]
    fn a_name_with_signs_of_markdown_stays_what_it_is() {
        assert_eq!(escaped("a|b *c*\n"), r"a\|b \*c\* ");
    }

    #[test]
    fn the_providers_time_is_not_over_before_ours() {
        let noon = |text: &str| {
            let day: chrono::NaiveDate = text.parse().unwrap();
            day.and_time(chrono::NaiveTime::MIN).and_utc()
        };
        assert_eq!(days_until(noon("2026-12-31"), noon("2026-12-01")), 31);
        assert_eq!(days_until(noon("2026-12-01"), noon("2026-12-01")), 1);
        assert_eq!(days_until(noon("2026-11-01"), noon("2026-12-01")), 1);
        assert_eq!(days_until(noon("2036-11-01"), noon("2026-12-01")), 365);
    }
}
