//! Publishing definitions: checked, hashed, and a new version only if the content is new.

use crate::check::{Problem, check_for, read};
use crate::schema::sorted;
use event_store::{CommandBus, ExecuteError, Request};
use kernel::{Actor, DefinitionId, Patch, Permissions, TenantId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;
use workflow::{Definition, definition::DefinitionCommand};

/// Reads the files that are named.
macro_rules! definitions {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../definitions/", $file)))),*]
    };
}

/// The definitions that come with this program, a line each.
const SHIPPED: &[(&str, &str)] = definitions! {
    "appointment-onboarding.yaml",
    "proposal-expiry.yaml",
    "proposal-accepted.yaml",
    "signature-reminders.yaml",
    "invoice-overdue.yaml",
    "invoice-delivery.yaml",
    "invoice-paid.yaml",
    "files-review.yaml",
    "milestone-completed.yaml",
    "plan-entry-waits.yaml",
    "invoice-approval.yaml",
    "invoice-time.yaml",
    "time-threshold-reached.yaml",
    "invoice-issued.yaml",
    "bill-received.yaml",
    "bill-approval-late.yaml",
    "bill-approved.yaml",
    "bill-file-not-read.yaml",
    "connection-refused.yaml",
    "connection-recovered.yaml",
    "follow-up-due.yaml",
    "message-posted.yaml",
};

/// The definitions that come with this program: file name and text.
pub fn shipped() -> &'static [(&'static str, &'static str)] {
    SHIPPED
}

/// What publishing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The definition.
    pub id: DefinitionId,
    /// What it is called.
    pub name: String,
    /// Its latest version.
    pub version: u32,
    /// SHA-256 of that version's document.
    pub hash: String,
    /// The content was new.
    pub changed: bool,
    /// Position of its last event.
    pub position: i64,
}

/// Why a definition was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<Problem>),
    /// The log refused or could not be reached.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
}

/// A tenant's definition of this name always has the same id.
pub fn definition_id(tenant: TenantId, name: &str) -> DefinitionId {
    DefinitionId(Uuid::new_v5(&tenant.0, format!("workflow.definition:{name}").as_bytes()))
}

/// Checks `text` (YAML or JSON) and publishes it for `tenant` as an operator, who may do everything. `by` is who asks, for
/// the log.
pub async fn publish(bus: &CommandBus, tenant: TenantId, by: &str, text: &str) -> Result<Published, PublishError> {
    publish_within(bus, tenant, by, text, Arc::new(Permissions::all())).await
}

/// The same for somebody who holds `held`, with everything that limits them: denials, a key's scopes, single resources. They
/// need the permission to publish, and a definition's steps get no more than they hold.
pub async fn publish_within(
    bus: &CommandBus,
    tenant: TenantId,
    by: &str,
    text: &str,
    held: Arc<Permissions>,
) -> Result<Published, PublishError> {
    let document = read(text).map_err(|problem| PublishError::Problems(vec![problem]))?;
    let checked = check_for(&document, bus, &held).map_err(PublishError::Problems)?;
    let document = serde_json::to_value(&checked).map_err(|e| ExecuteError::Fault(e.into()))?;
    let document = sorted(document);
    let hash = hex::encode(Sha256::digest(document.to_string()));
    let id = definition_id(tenant, checked.name.as_str());
    let actor = Actor::System { name: by.to_owned() };
    let request = Request { permissions: Some(held), ..Request::new(tenant, actor) };
    let first = DefinitionCommand::Publish {
        name: checked.name.clone(),
        description: checked.description.clone(),
        runs_as: checked.runs_as.clone(),
        trigger_event_type: checked.trigger.kind().to_owned(),
        hash: hash.clone(),
        document: document.clone(),
    };
    let store = bus.store();
    let before = store.load::<Definition>(tenant, id.0).await?.1;
    let done = match store.execute::<Definition>(Some(id.0), first, &request).await {
        Err(ExecuteError::AlreadyExists) => {
            let next = DefinitionCommand::Revise {
                // A document is whole: what it leaves out is not there.
                description: checked.description.map_or(Patch::Removed, Patch::Set),
                runs_as: checked.runs_as,
                trigger_event_type: checked.trigger.kind().to_owned(),
                hash: hash.clone(),
                document,
            };
            store.execute::<Definition>(Some(id.0), next, &request).await?
        }
        done => done?,
    };
    let (definition, _) = store.load::<Definition>(tenant, id.0).await?;
    Ok(Published {
        id,
        name: checked.name.to_string(),
        version: definition.version(),
        hash,
        changed: done.version > before,
        position: done.position,
    })
}

/// Problems as JSON, for machines.
impl PublishError {
    /// The problems, if the definition is wrong.
    pub fn problems(&self) -> Value {
        match self {
            Self::Problems(problems) => json!(problems),
            Self::Execute(_) => json!([]),
        }
    }
}
