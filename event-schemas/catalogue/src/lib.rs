//! Every event of every context, its schema, its history of versions.
//!
//! Readers that want any event take [`AnyEvent`]; whoever writes generated files takes [`write()`] and [`stale`]. The
//! folder `event-schemas/` is the published contract: [`compatibility()`] guards it.

mod artefacts;
mod asyncapi;
mod compatibility;
mod example;
#[macro_use]
mod machines;
mod pattern;
mod published;
mod secrets;

pub use artefacts::{ArtefactError, artefacts, golden_path, schema_path, stale, write};
pub use asyncapi::served as asyncapi;
pub use compatibility::{Break, compatibility};
pub use example::{example, example_in};
pub use machines::{MachineEntry, Move, Standing};
pub use secrets::withhold;

use kernel::{Event, EventEntry, Recorded, UnreadableEvent, read_event};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::LazyLock;

// Whoever reads events of several contexts finds them here.
pub use agreements_events;
pub use communications_events;
pub use connections_events;
pub use crm_events;
pub use files_events;
pub use identity_events;
pub use portal_events;
pub use projects_events;
pub use revenue_events;
pub use scheduling_events;
pub use timeline_events;
pub use workflow_events;

/// Makes [`AnyEvent`] of the list of all aggregates.
macro_rules! any_event {
    ($($variant:ident = $event:ty),* $(,)?) => {
        /// An event of any aggregate of any context.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        #[expect(missing_docs, reason = "each variant is named after its aggregate")]
        pub enum AnyEvent {
            $($variant($event),)*
        }

        impl AnyEvent {
            /// Reads a stored payload of any published version. `aggregate_type` is the stream's kind: `crm.client`.
            pub fn read(
                aggregate_type: &str,
                event_type: &str,
                version: u32,
                payload: &str,
            ) -> Result<Self, UnreadableEvent> {
                match aggregate_type {
                    $(<$event as Event>::STREAM => read_event(event_type, version, payload).map(Self::$variant),)*
                    _ => Err(UnreadableEvent::unknown(aggregate_type, event_type)),
                }
            }

            /// The event's catalogue entry: its name, version and sentence.
            pub fn entry(&self) -> &'static EventEntry {
                match self {
                    $(Self::$variant(event) => event.entry(),)*
                }
            }
        }

        $(impl From<$event> for AnyEvent {
            fn from(event: $event) -> Self {
                Self::$variant(event)
            }
        })*

        $(impl Narrowed for $event {
            const STREAMS: &'static [&'static str] = &[<$event as Event>::STREAM];

            fn narrowed(event: &AnyEvent) -> Option<&Self> {
                match event {
                    AnyEvent::$variant(event) => Some(event),
                    _ => None,
                }
            }
        })*

        const CATALOGUES: &[&[EventEntry]] = &[$(<$event as Event>::CATALOGUE),*];
    };
}

// One line per aggregate.
any_event! {
    Template = agreements_events::TemplateEvent,
    Proposal = agreements_events::ProposalEvent,
    Contract = agreements_events::ContractEvent,
    Client = crm_events::ClientEvent,
    Contact = crm_events::ContactEvent,
    Pipeline = crm_events::PipelineEvent,
    Deal = crm_events::DealEvent,
    Engagement = crm_events::EngagementEvent,
    EventType = scheduling_events::EventTypeEvent,
    Availability = scheduling_events::AvailabilityEvent,
    Appointment = scheduling_events::AppointmentEvent,
    Tenant = identity_events::TenantEvent,
    User = identity_events::UserEvent,
    Role = identity_events::RoleEvent,
    Team = identity_events::TeamEvent,
    ServiceAccount = identity_events::ServiceAccountEvent,
    ApiKey = identity_events::ApiKeyEvent,
    Subscriber = identity_events::SubscriberEvent,
    Session = identity_events::SessionEvent,
    Erasure = identity_events::ErasureEvent,
    PortalUser = portal_events::PortalUserEvent,
    PortalSession = portal_events::PortalSessionEvent,
    ClientTask = portal_events::ClientTaskEvent,
    ClientApproval = portal_events::ClientApprovalEvent,
    FolderTemplate = files_events::FolderTemplateEvent,
    Folder = files_events::FolderEvent,
    File = files_events::FileEvent,
    FileRequest = files_events::FileRequestEvent,
    ProjectTemplate = projects_events::ProjectTemplateEvent,
    Project = projects_events::ProjectEvent,
    BillingSettings = revenue_events::BillingSettingsEvent,
    BillingProfile = revenue_events::BillingProfileEvent,
    TaxRate = revenue_events::TaxRateEvent,
    InvoiceSeries = revenue_events::InvoiceSeriesEvent,
    InvoicePlan = revenue_events::InvoicePlanEvent,
    Invoice = revenue_events::InvoiceEvent,
    Payment = revenue_events::PaymentEvent,
    CreditNote = revenue_events::CreditNoteEvent,
    Vendor = revenue_events::VendorEvent,
    Bill = revenue_events::BillEvent,
    BillFile = revenue_events::BillFileEvent,
    ApprovalPolicy = revenue_events::ApprovalPolicyEvent,
    PayablesSettings = revenue_events::PayablesSettingsEvent,
    Thread = communications_events::ThreadEvent,
    Note = communications_events::NoteEvent,
    EmailTemplate = communications_events::EmailTemplateEvent,
    Email = communications_events::EmailEvent,
    Notification = communications_events::NotificationEvent,
    NotificationPreferences = communications_events::NotificationPreferencesEvent,
    FollowUp = timeline_events::FollowUpEvent,
    Comment = timeline_events::CommentEvent,
    Pin = timeline_events::PinEvent,
    TimeEntry = projects_events::TimeEntryEvent,
    Connection = connections_events::ConnectionEvent,
    ApiCall = connections_events::ApiCallEvent,
    WebhookEndpoint = connections_events::WebhookEndpointEvent,
    Definition = workflow_events::DefinitionEvent,
    Run = workflow_events::RunEvent,
}

// One line per status machine: the variant of `AnyEvent` whose events move it, whose it is, the column that shows it, and its type.
machines! {
    Template: "agreements.template" "retired" = kernel::Retirable,
    Proposal: "agreements.proposal" "status" = agreements_events::ProposalStatus,
    Contract: "agreements.contract" "status" = agreements_events::ContractStatus,
    Contract: "agreements.contract_recipient" "status" = agreements_events::RecipientStatus,
    Client: "crm.client" "status" = crm_events::ClientStatus,
    Contact: "crm.contact" "archived" = kernel::Archivable,
    Pipeline: "crm.pipeline" "retired" = kernel::Retirable,
    Deal: "crm.deal" "status" = crm_events::DealStatus,
    Deal: "crm.deal" "archived" = kernel::Archivable,
    Engagement: "crm.engagement" "status" = crm_events::EngagementStatus,
    EventType: "scheduling.event_type" "retired" = kernel::Retirable,
    Appointment: "scheduling.appointment" "status" = scheduling_events::AppointmentStatus,
    Tenant: "identity.tenant" "status" = identity_events::TenantStatus,
    User: "identity.user" "status" = identity_events::UserStatus,
    Role: "identity.role" "status" = identity_events::RoleStatus,
    Team: "identity.team" "status" = identity_events::TeamStatus,
    ServiceAccount: "identity.service_account" "status" = identity_events::ServiceAccountStatus,
    ApiKey: "identity.api_key" "status" = identity_events::ApiKeyStatus,
    Subscriber: "identity.subscriber" "status" = identity_events::SubscriberStatus,
    Session: "identity.session" "status" = identity_events::SessionStatus,
    Erasure: "identity.erasure" "status" = identity_events::ErasureStatus,
    PortalUser: "portal.portal_user" "status" = portal_events::PortalUserStatus,
    PortalSession: "portal.portal_session" "status" = portal_events::PortalSessionStatus,
    ClientTask: "portal.client_task" "status" = portal_events::ClientTaskStatus,
    ClientApproval: "portal.client_approval" "status" = portal_events::ClientApprovalStatus,
    FolderTemplate: "files.folder_template" "retired" = kernel::Retirable,
    Folder: "files.folder" "archived" = kernel::Archivable,
    File: "files.file" "status" = files_events::FileStatus,
    File: "files.upload" "status" = files_events::UploadStatus,
    FileRequest: "files.file_request" "status" = files_events::FileRequestStatus,
    FileRequest: "files.request_item" "status" = files_events::RequestItemStatus,
    ProjectTemplate: "projects.project_template" "retired" = kernel::Retirable,
    Project: "projects.project" "status" = projects_events::ProjectStatus,
    Project: "projects.project" "archived" = kernel::Archivable,
    Project: "projects.milestone" "status" = projects_events::MilestoneStatus,
    Project: "projects.task" "status" = projects_events::TaskStatus,
    TaxRate: "revenue.tax_rate" "retired" = kernel::Retirable,
    InvoiceSeries: "revenue.invoice_series" "retired" = kernel::Retirable,
    InvoicePlan: "revenue.invoice_plan" "status" = revenue_events::InvoicePlanStatus,
    InvoicePlan: "revenue.plan_entry" "status" = revenue_events::EntryStatus,
    Invoice: "revenue.invoice" "status" = revenue_events::InvoiceStatus,
    Payment: "revenue.payment" "status" = revenue_events::PaymentStatus,
    CreditNote: "revenue.credit_note" "status" = revenue_events::CreditNoteStatus,
    Vendor: "revenue.vendor" "archived" = kernel::Archivable,
    Bill: "revenue.bill" "status" = revenue_events::BillStatus,
    BillFile: "revenue.bill_file" "status" = revenue_events::BillFileStatus,
    ApprovalPolicy: "revenue.approval_policy" "retired" = kernel::Retirable,
    Thread: "communications.thread" "status" = communications_events::ThreadStatus,
    Thread: "communications.message" "status" = communications_events::MessageStatus,
    Note: "communications.note" "status" = communications_events::NoteStatus,
    EmailTemplate: "communications.email_template" "retired" = kernel::Retirable,
    Email: "communications.email" "status" = communications_events::EmailStatus,
    Notification: "communications.notification" "status" = communications_events::NotificationStatus,
    FollowUp: "timeline.follow_up" "status" = timeline_events::FollowUpStatus,
    Comment: "timeline.comment" "status" = timeline_events::CommentStatus,
    Pin: "timeline.pin" "status" = timeline_events::PinStatus,
    TimeEntry: "projects.time_entry" "status" = projects_events::TimeEntryStatus,
    Connection: "connections.connection" "status" = connections_events::ConnectionStatus,
    ApiCall: "connections.api_call" "status" = connections_events::ApiCallStatus,
    WebhookEndpoint: "connections.webhook_endpoint" "status" = connections_events::WebhookEndpointStatus,
    Definition: "workflow.definition" "status" = workflow_events::DefinitionStatus,
    Run: "workflow.run" "status" = workflow_events::RunProgress,
    Run: "workflow.run_step" "status" = workflow_events::StepStatus,
    Run: "workflow.approval" "status" = workflow_events::ApprovalStatus,
}

/// The events that a reader wants: those of one aggregate, or any.
pub trait Narrowed: Sized + 'static {
    /// The kinds of streams that have such events; empty for every kind.
    const STREAMS: &'static [&'static str];

    /// The event, if it is one of them.
    fn narrowed(event: &AnyEvent) -> Option<&Self>;
}

impl Narrowed for AnyEvent {
    const STREAMS: &'static [&'static str] = &[];

    fn narrowed(event: &AnyEvent) -> Option<&Self> {
        Some(event)
    }
}

/// Every event of every context, in the order of declaration.
pub fn entries() -> impl Iterator<Item = &'static EventEntry> {
    CATALOGUES.iter().copied().flatten()
}

/// The event with this type: `client.created`. Event types are unique across contexts.
pub fn by_event_type(event_type: &str) -> Option<&'static EventEntry> {
    static INDEX: LazyLock<HashMap<&str, &EventEntry>> =
        LazyLock::new(|| entries().map(|e| (e.event_type, e)).collect());
    INDEX.get(event_type).copied()
}

/// The event with this dotted name: `crm.client.created`.
pub fn by_name(name: &str) -> Option<&'static EventEntry> {
    let (context, event_type) = name.split_once('.')?;
    by_event_type(event_type).filter(|entry| context_of(entry) == context)
}

/// The context an event belongs to: `crm`.
pub fn context_of(entry: &EventEntry) -> &'static str {
    entry.stream.split('.').next().unwrap_or(entry.stream)
}

/// Reads the payload of a stored event, whatever version it has.
pub fn decode(event: Recorded<Box<RawValue>>) -> Result<Recorded<AnyEvent>, UnreadableEvent> {
    let read = AnyEvent::read(&event.aggregate_type, &event.event_type, event.event_version, event.payload.get())?;
    Ok(event.with(read))
}

/// Names one version of an event's payload for ever; the same text is `ce-dataschema` on the wire.
pub fn schema_id(name: &str, version: u32) -> String {
    format!("urn:ubos:event:{name}:v{version}")
}

/// The published JSON Schema (2020-12) of one version of an event; none if there is no such event or version.
///
/// Today's version comes from the Rust type, an older one from the committed contract.
pub fn schema(event_type: &str, version: u32) -> Option<Value> {
    let entry = by_event_type(event_type)?;
    if version == entry.version {
        return Some(published_schema(entry));
    }
    let text = OLDER_SCHEMAS.iter().find(|(of, v, _)| *of == event_type && *v == version)?.2;
    serde_json::from_str(text).ok()
}

/// Where the services answer with that schema.
pub fn schema_url(name: &str, version: u32) -> String {
    format!("/schemas/{name}.v{version}")
}

/// The published JSON Schema by any of its names: `crm.client.created.v1`, with `.json` behind or without; what
/// `ce-dataschema` says; `crm.client.created` or `client.created` for today's version.
pub fn schema_named(name: &str) -> Option<Value> {
    let name = name.strip_suffix(".json").unwrap_or(name);
    let (event, version) = match name.strip_prefix("urn:ubos:event:") {
        Some(urn) => urn.rsplit_once(":v").map(|(event, version)| (event, Some(version)))?,
        None => match name.rsplit_once(".v") {
            Some((event, version)) if version.bytes().all(|digit| digit.is_ascii_digit()) => (event, Some(version)),
            _ => (name, None),
        },
    };
    let entry = by_name(event).or_else(|| by_event_type(event))?;
    let version = version.map_or(Some(entry.version), |version| version.parse().ok())?;
    schema(entry.event_type, version)
}

/// Contracts of versions that are not written any more: one line when an event's version is raised.
const OLDER_SCHEMAS: &[(&str, u32, &str)] =
    &[("client.created", 1, include_str!("../../json/crm/client.created.v1.json"))];

/// The schema of today's version as it is published: the payload's own without what is secret, with the event's names in
/// front.
fn published_schema(entry: &EventEntry) -> Value {
    let mut fields = match secrets::without_secrets(Value::from((entry.schema)())) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let mut schema = Map::new();
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("$id".into(), schema_id(entry.name, entry.version).into());
    schema.insert("title".into(), entry.name.into());
    schema.insert("description".into(), entry.summary.into());
    for head in schema.keys() {
        fields.shift_remove(head);
    }
    if entry.retired {
        schema.insert("deprecated".into(), true.into());
    }
    schema.extend(fields);
    Value::Object(schema)
}

#[cfg(test)]
mod tests;
