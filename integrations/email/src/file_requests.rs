//! Letters to clients about what they are asked for: when a request for files is sent, and when it is reminded of.

use crate::Office;
use crate::to_clients::{Said, escaped};
use anyhow::Result;
use catalogue::AnyEvent;
use event_store::RawEvent;
use files_events::{FileRequestEvent as E, FileRequestStatus};
use kernel::{Date, Machine as _, Name, TenantId, Text};
use reactions::{Job, Outcome, Reaction};
use uuid::Uuid;

/// Names of what is waited for that a letter has; the portal has all.
const NAMED_MAX: usize = 20;

/// Writes to clients.
pub struct FileRequestLetters(pub Office);

/// A request, as the log has it when it is written about.
#[derive(Default)]
struct Asked {
    status: FileRequestStatus,
    message: Option<Text>,
    names: Vec<Name>,
}

impl Reaction for FileRequestLetters {
    const NAME: &'static str = "email.file_request";
    const ON: &'static [&'static str] = &["file_request.sent", "file_request.reminded"];

    async fn perform(&self, job: &Job) -> Outcome {
        let Some(event) = job.event.clone() else {
            return Outcome::Never("no_event", "the log has no such event".to_owned());
        };
        match self.write(event).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Later(None, format!("{error:#}")),
        }
    }
}

impl FileRequestLetters {
    async fn write(&self, event: RawEvent) -> Result<Outcome> {
        let (tenant, id, event_id) = (event.tenant_id, event.aggregate_id, event.event_id);
        let AnyEvent::FileRequest(change) = catalogue::decode(event)?.payload else { return Ok(Outcome::Done) };
        let (client_id, title) = match &change {
            E::Sent { client_id, title, .. } | E::Reminded { client_id, title, .. } => (*client_id, title.clone()),
            _ => return Ok(Outcome::Done),
        };
        let asked = self.asked(tenant, id).await?;
        // Nobody is asked for what is not wanted any more.
        if asked.status.is_over() || asked.status == FileRequestStatus::Completed {
            return Ok(Outcome::Done);
        }
        let firm = self.0.people.firm(tenant).await?.unwrap_or_else(|| "the firm".to_owned());
        let Some(said) = letter(&change, &title, &asked, &firm, &self.0.links.portal_url) else {
            return Ok(Outcome::Never("not_written", "what it would say is no text".to_owned()));
        };
        for person in self.0.people.of_client(tenant, client_id).await? {
            let outcome = self.0.write_to_client(&event_id, tenant, client_id, person, None, said.clone()).await;
            if outcome != Outcome::Done {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Done)
    }

    async fn asked(&self, tenant: TenantId, id: Uuid) -> Result<Asked> {
        let mut asked = Asked::default();
        for event in self.0.people.0.read_stream(tenant, id, 0, i64::MAX).await? {
            let AnyEvent::FileRequest(event) = catalogue::decode(event)?.payload else { continue };
            asked.status = asked.status.after(&event);
            match event {
                E::Created { message, request_items, .. } => {
                    asked.message = message;
                    asked.names = request_items.into_iter().map(|item| item.name).collect();
                }
                E::ItemAdded { request_item, .. } => asked.names.push(request_item.name),
                _ => {}
            }
        }
        Ok(asked)
    }
}

fn letter(change: &E, title: &Name, asked: &Asked, firm: &str, portal: &str) -> Option<Said> {
    let (subject, opening, names, due_on): (String, String, &[Name], Option<Date>) = match change {
        E::Sent { due_on, .. } => (
            format!("{firm} asks for: {title}"),
            format!("{} asks you for some files", escaped(firm)),
            asked.names.as_slice(),
            *due_on,
        ),
        E::Reminded { waiting_for, due_on, .. } => (
            format!("Still waited for: {title}"),
            format!("{} still waits for some files", escaped(firm)),
            waiting_for.as_slice(),
            *due_on,
        ),
        _ => return None,
    };
    let mut body = format!("{opening}: **{}**.\n\n", escaped(title.as_str()));
    if let (E::Sent { .. }, Some(message)) = (change, &asked.message) {
        body.push_str(&format!("{}\n\n", escaped(message.as_str())));
    }
    for name in names.iter().take(NAMED_MAX) {
        body.push_str(&format!("- {}\n", escaped(name.as_str())));
    }
    if names.len() > NAMED_MAX {
        body.push_str(&format!("- and {} more\n", names.len() - NAMED_MAX));
    }
    if let Some(day) = due_on {
        body.push_str(&format!("\nPlease hand them in until {}.\n", day.format("%-d %B %Y")));
    }
    body.push_str(&format!("\nHand them in at the portal: <{portal}>\n"));
    let subject: String = subject.chars().take(200).collect();
    Some(Said { subject: subject.parse().ok()?, body: body.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ClientId;

    fn asked() -> Asked {
        let message = Some("The *latest* please".parse().unwrap());
        Asked { status: FileRequestStatus::Sent, message, names: vec!["Passport".parse().unwrap()] }
    }

    fn title() -> Name {
        "Onboarding".parse().unwrap()
    }

    #[test]
    fn who_is_asked_reads_what_for_and_until_when() {
        let sent = E::Sent {
            title: title(),
            client_id: ClientId(Uuid::nil()),
            project_id: None,
            due_on: Some("2026-12-24".parse().unwrap()),
            request_item_ids: vec![],
            requested_by: None,
        };
        let said = letter(&sent, &title(), &asked(), "Engines", "https://portal.example").unwrap();
        assert_eq!(said.subject.as_str(), "Engines asks for: Onboarding");
        for part in ["- Passport", "until 24 December 2026", "<https://portal.example>", "The \\*latest\\* please"] {
            assert!(said.body.as_str().contains(part), "{part} is not in {}", said.body);
        }
    }

    #[test]
    fn who_is_reminded_reads_what_is_still_waited_for() {
        let waiting_for = (1..=25).map(|n| format!("Paper {n}").parse().unwrap()).collect();
        let client_id = ClientId(Uuid::nil());
        let reminded = E::Reminded { title: title(), client_id, due_on: None, waiting_for };
        let said = letter(&reminded, &title(), &asked(), "Engines", "https://portal.example").unwrap();
        assert_eq!(said.subject.as_str(), "Still waited for: Onboarding");
        assert!(said.body.as_str().contains("- Paper 20\n- and 5 more"), "{}", said.body);
    }
}
