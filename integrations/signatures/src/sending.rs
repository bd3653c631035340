//! A contract that is to be signed goes out, once; whoever has not signed is reminded; what is void here is taken back there.
//!
//! All of it waits in one lane for each contract, so what is taken back was sent before, or never will be.

use crate::book::{Asked, Which};
use crate::desk::Desk;
use crate::paper::{Outgoing, envelope, lines};
use crate::say::asked;
use agreements::Contract;
use agreements::contract::ContractCommand as C;
use agreements_events::ContractEvent as E;
use chrono::{TimeDelta, Utc};
use event_store::RawEvent;
use ports::{EnvelopeStatus, Fault, Place};
use reactions::{Found, Job, Outcome, Reaction, Retry};
use std::time::Duration;

/// For so long the provider surely finds an envelope by our key; it says seven days.
const FOUND_FOR: TimeDelta = TimeDelta::hours(6 * 24 + 12);

/// See above.
pub struct Sending(pub Desk);

impl Reaction for Sending {
    const NAME: &'static str = "signatures.envelope";
    const ON: &'static [&'static str] =
        &["contract.sent_for_signature", "contract.reminded", "contract.voided", "contract.expired"];
    const RETRY: Retry = Retry::TWO_DAYS;
    const PATIENCE: Duration = Duration::from_secs(120);

    async fn perform(&self, job: &Job) -> Outcome {
        self.done(job).await.map_or_else(|outcome| outcome, |()| Outcome::Done)
    }

    /// An envelope whose answer got lost is found by our key; whoever comes next goes on with it.
    async fn look_up(&self, job: &Job) -> Found {
        let Ok((event, read)) = asked(job) else { return Found::Nothing };
        match read {
            E::SentForSignature { .. } => {
                let which = which(&event);
                let found = match self.0.contract(which).await {
                    Ok(contract) => self.0.envelope(which, &contract).await.map(drop),
                    Err(outcome) => Err(outcome),
                };
                found.map_or_else(|outcome| Found::Unclear(format!("{outcome:?}")), |()| Found::Nothing)
            }
            // Rather no email than the same twice.
            E::Reminded { .. } => Found::Done,
            _ => Found::Nothing,
        }
    }
}

fn which(event: &RawEvent) -> Which {
    Which { tenant: event.tenant_id, contract: event.aggregate_id }
}

impl Sending {
    async fn done(&self, job: &Job) -> Result<(), Outcome> {
        let (event, read) = asked(job)?;
        let which = which(&event);
        let contract = self.0.contract(which).await?;
        match read {
            E::SentForSignature { title, body, recipients, expires_at, .. } => {
                let (lines, totals) = (vec![], None);
                let out = Outgoing { title, body, recipients, expires_at, at: event.recorded_at, lines, totals };
                self.send(which, &contract, &event.event_id.to_string(), out).await
            }
            E::Reminded { .. } => self.remind(which, &contract).await,
            E::Voided { reason } => self.take_back(which, &contract, reason.as_str()).await,
            E::Expired {} => self.take_back(which, &contract, "not signed in time").await,
            _ => Ok(()),
        }
    }

    async fn send(&self, which: Which, contract: &Contract, key: &str, out: Outgoing) -> Result<(), Outcome> {
        let desk = &self.0;
        let (at, envelope_id) = match desk.envelope(which, contract).await? {
            Some(known) => known,
            None => match self.send_anew(which, contract, key, out).await? {
                Some(sent) => sent,
                None => return Ok(()),
            },
        };
        let named = envelope_id.parse().map_err(|_| unnamed(&envelope_id))?;
        let record = C::RecordEnvelope { connection_id: at.connection, envelope_id: named };
        if let Some(code) = desk.say(which, record).await? {
            return Err(Outcome::Never(code, format!("the provider has the envelope {envelope_id}")));
        }
        // What the provider said before the envelope was noted was said to nobody.
        desk.look(at, which, &envelope_id).await
    }

    /// Sends what the provider does not have. None if nobody wants it any more.
    async fn send_anew(
        &self,
        which: Which,
        contract: &Contract,
        key: &str,
        mut out: Outgoing,
    ) -> Result<Option<(Place, String)>, Outcome> {
        let desk = &self.0;
        let before = desk.book.of(which).await?;
        if let Some(Asked { at, asked_at, .. }) = &before {
            // It was just looked for, and not found.
            if Utc::now() - *asked_at > FOUND_FOR {
                let told = "nobody knows any more whether the provider has the contract: look there, and put the envelope on \
                            record, or void the contract and begin another";
                return Err(Outcome::Never("not_known", format!("{told} (connection {})", at.connection)));
            }
            desk.book.take_back(which).await?;
        }
        if !contract.status().is_out() {
            return Ok(None);
        }
        let at = match before {
            // Where the answer got lost, not elsewhere: it may still turn up there.
            Some(Asked { at, .. }) => at,
            None => which.at(desk.connection(which.tenant).await?),
        };
        let (provider, signing) = desk.signing(at).await?;
        let events = desk.log.read_stream(which.tenant, which.contract, 0, i64::MAX).await.map_err(crate::say::away)?;
        (out.lines, out.totals) = lines(events)?;
        let envelope = envelope(&desk.press, signing, contract, out, desk.door(provider, at), Utc::now()).await?;
        desk.book.ask(at, which, key).await?;
        match signing.send(at, key, &envelope).await {
            Ok(sent) => {
                desk.book.note(at, which, key, &sent.envelope_id).await?;
                Ok(Some((at, sent.envelope_id)))
            }
            Err(Fault::Unknown(why)) => Err(Outcome::Unknown(why)),
            // Nothing was done there, so nothing is in doubt.
            Err(fault) => {
                desk.book.take_back(which).await?;
                Err(fault.into())
            }
        }
    }

    async fn remind(&self, which: Which, contract: &Contract) -> Result<(), Outcome> {
        if !contract.status().is_out() {
            return Ok(());
        }
        let Some((at, envelope_id)) = self.0.envelope(which, contract).await? else { return Ok(()) };
        match self.0.signing(at).await?.1.remind(at, &envelope_id).await {
            Ok(()) => Ok(()),
            Err(Fault::Never(code, why)) => {
                tracing::info!(contract = %which.contract, code, why, "nobody was reminded");
                // It may have come to an end there of which nobody told.
                self.0.look(at, which, &envelope_id).await
            }
            Err(fault) => Err(fault.into()),
        }
    }

    async fn take_back(&self, which: Which, contract: &Contract, reason: &str) -> Result<(), Outcome> {
        let Some((at, envelope_id)) = self.0.envelope(which, contract).await? else { return Ok(()) };
        let (_, signing) = self.0.signing(at).await?;
        match signing.void(at, &envelope_id, reason).await {
            Ok(()) => Ok(()),
            // Somebody declined meanwhile, or the last one signed: the latter is for people.
            Err(Fault::Never("wrong_state", why)) => match signing.look(at, &envelope_id).await?.status {
                EnvelopeStatus::Completed => Err(Outcome::Never("signed_meanwhile", why)),
                _ => Ok(()),
            },
            Err(fault) => Err(fault.into()),
        }
    }
}

fn unnamed(id: &str) -> Outcome {
    Outcome::Never("unusable_name", format!("the provider calls the envelope {id:?}"))
}
