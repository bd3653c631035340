//! How an envelope stands, told to the record of its contract. What is known already is said again and says nothing new.

use crate::book::Which;
use crate::desk::Desk;
use crate::say::text;
use agreements::contract::ContractCommand as C;
use agreements_events::RecipientId;
use chrono::{DateTime, Utc};
use kernel::Timestamp;
use ports::{EnvelopeStatus, Papers, Place, Signer, SignerStatus};
use reactions::Outcome;

/// A contract whose own time is not over is not expired, whatever the provider's clock says.
const STILL_OPEN: &str = "agreements.contract.still_open";

impl Desk {
    /// Asks how an envelope stands, and tells its contract.
    pub(crate) async fn look(&self, at: Place, which: Which, envelope_id: &str) -> Result<(), Outcome> {
        let papers = self.signing(at).await?.1.look(at, envelope_id).await?;
        let contract = self.contract(which).await?;
        let recipients: Vec<RecipientId> = contract.recipients().map(|one| one.id).collect();
        for command in said(&papers, &recipients) {
            if matches!(command, C::Complete { .. }) && self.objects.is_some() && contract.status().is_out() {
                // It is signed when what was signed is kept.
                self.fetch(which).await?;
                continue;
            }
            let expires = matches!(command, C::Expire {});
            match self.say(which, command).await? {
                Some(STILL_OPEN) if expires => {
                    let reason = text("the provider's time to sign was over");
                    self.say(which, C::Void { reason }).await?;
                }
                // Voided here and signed there, or the like: the contract has come to another end.
                Some(code) => tracing::info!(contract = %which.contract, code, "a contract does not want to hear it"),
                None => {}
            }
        }
        Ok(())
    }
}

/// What the contract is told, in order.
fn said(papers: &Papers, recipients: &[RecipientId]) -> Vec<C> {
    let moment = |at: Option<DateTime<Utc>>| at.map(Timestamp::of_clock);
    let who = |signer: &Signer| {
        let number = signer.id.parse::<usize>().ok()?;
        recipients.get(number.checked_sub(1)?).copied()
    };
    let of_signer = |signer: &Signer| {
        let recipient_id = who(signer)?;
        match signer.status {
            SignerStatus::Waiting | SignerStatus::Declined => None,
            SignerStatus::Sent => Some(C::RecordDelivery { recipient_id }),
            SignerStatus::Delivered => Some(C::RecordViewed { recipient_id }),
            SignerStatus::Completed => Some(C::RecordSignature { recipient_id, signed_at: moment(signer.signed_at) }),
            SignerStatus::Failed => Some(C::RecordBounce { recipient_id, reason: None }),
        }
    };
    let mut said: Vec<C> = papers.signers.iter().filter_map(of_signer).collect();
    said.extend(match papers.status {
        EnvelopeStatus::Draft | EnvelopeStatus::Sent | EnvelopeStatus::Delivered => None,
        EnvelopeStatus::Completed => Some(C::Complete { signed_at: moment(papers.since), document: None }),
        EnvelopeStatus::Declined => {
            let by = papers.signers.iter().find(|one| one.status == SignerStatus::Declined);
            let reason = by.and_then(|one| one.declined_because.as_deref()).map(text);
            Some(C::Decline { recipient_id: by.and_then(who), reason })
        }
        EnvelopeStatus::Voided => {
            let why = papers.voided_because.as_deref().filter(|why| !why.trim().is_empty());
            Some(C::Void { reason: text(why.unwrap_or("taken back at the provider")) })
        }
        EnvelopeStatus::Expired => Some(C::Expire {}),
    });
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn recipients() -> [RecipientId; 2] {
        [RecipientId(Uuid::from_u128(1)), RecipientId(Uuid::from_u128(2))]
    }

    fn signer(id: &str, status: SignerStatus) -> Signer {
        Signer { id: id.to_owned(), status, signed_at: None, declined_because: None }
    }

    fn papers(status: EnvelopeStatus, signers: Vec<Signer>) -> Papers {
        Papers { envelope_id: "e".to_owned(), status, since: None, voided_because: None, signers }
    }

    fn names(papers: &Papers) -> Vec<String> {
        let name = |command: &C| format!("{command:?}").split([' ', '{']).next().unwrap_or_default().to_owned();
        said(papers, &recipients()).iter().map(name).collect()
    }

    #[test]
    fn what_each_did_is_said_before_what_became_of_the_whole() {
        let signers = vec![signer("1", SignerStatus::Completed), signer("2", SignerStatus::Completed)];
        let completed = papers(EnvelopeStatus::Completed, signers);
        assert_eq!(names(&completed), ["RecordSignature", "RecordSignature", "Complete"]);
        let signers = vec![signer("1", SignerStatus::Delivered), signer("2", SignerStatus::Waiting)];
        assert_eq!(names(&papers(EnvelopeStatus::Delivered, signers)), ["RecordViewed"]);
    }

    #[test]
    fn a_recipient_that_is_none_of_ours_is_passed_over() {
        let strange =
            vec![signer("0", SignerStatus::Sent), signer("3", SignerStatus::Sent), signer("x", SignerStatus::Sent)];
        assert_eq!(names(&papers(EnvelopeStatus::Sent, strange)), [""; 0]);
    }

    #[test]
    fn who_declines_is_named_with_the_reason() {
        let mut no = signer("2", SignerStatus::Declined);
        no.declined_because = Some("too\u{7} expensive".to_owned());
        let papers = papers(EnvelopeStatus::Declined, vec![signer("1", SignerStatus::Completed), no]);
        let [_, C::Decline { recipient_id, reason }] = &said(&papers, &recipients())[..] else { panic!("declined") };
        assert_eq!(*recipient_id, Some(recipients()[1]));
        assert_eq!(reason.as_ref().map(|reason| reason.as_str()), Some("too expensive"));
    }
}
