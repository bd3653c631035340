//! What one read table is: its columns, its names, and the pure fold that makes its rows.

use crate::column::Kind;
use catalogue::{AnyEvent, Narrowed};
use kernel::Recorded;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Deref;
use uuid::Uuid;

/// An event of any aggregate, with its envelope.
pub type Event = Recorded<AnyEvent>;

/// What the events of one kind of stream make of a row. A row belongs to one stream: only events of that stream touch it, so
/// that streams can be folded in parallel and parked one by one. A fold looks at the event and the row and at nothing else, so
/// the same events always give the same rows.
pub trait Fold: Sized {
    /// The events; [`AnyEvent`] for those of every stream.
    type Event: Narrowed;

    /// The kinds of streams that have them; fewer where only some streams of every kind are of interest.
    const STREAMS: &'static [&'static str] = Self::Event::STREAMS;

    /// Ids of the rows that an event touches: the aggregate's own, unless the stream holds several.
    fn keys(_: &Self::Event, event: &Event) -> Vec<Uuid> {
        vec![event.aggregate_id]
    }

    /// The row that the event begins, if it begins one.
    fn begin(change: &Self::Event, event: Envelope<'_>) -> Option<Self>;

    /// What the event makes of a row that is there.
    ///
    /// # Errors
    /// When the row cannot be as the event says.
    fn apply(&mut self, change: &Self::Event, event: Envelope<'_>) -> Result<(), FoldError>;

    /// Does the event begin the row anew, even where there is one?
    fn anew(_: &Self::Event) -> bool {
        false
    }
}

/// What a fold is told besides what happened: the event's envelope, and which row is meant.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'e> {
    /// The row's id.
    pub row: Uuid,
    event: &'e Event,
}

impl<'e> Envelope<'e> {
    pub(crate) fn new(row: Uuid, event: &'e Event) -> Self {
        Self { row, event }
    }
}

impl Deref for Envelope<'_> {
    type Target = Event;

    fn deref(&self) -> &Event {
        self.event
    }
}

/// What a read table is called and what lists can do with it. `#[read_model]` writes it from the row type.
pub trait ReadModel:
    Fold + Serialize + DeserializeOwned + JsonSchema + Clone + PartialEq + Send + Sync + 'static
{
    /// What a row's id is.
    type Id: JsonSchema;
    /// The table inside its group's schema: `crm.clients`.
    const TABLE: &'static str;
    /// Path under `/v1/`: `crm/clients`.
    const PATH: &'static str;
    /// The permission that a reader needs: `crm.client.read`.
    const READ: &'static str;
    /// One sentence for the API's documentation.
    const ABOUT: &'static str;
    /// Columns that lists can be filtered by.
    const FILTER: &'static [&'static str];
    /// Columns that lists can be sorted by; none of them may be null.
    const SORT: &'static [&'static str];
    /// How a row says what it belongs to. Without any only whoever may read everything reads it.
    const TIES: &'static [Tie];
    /// How a row says that it was put away, so that lists leave it out unless they are asked for it.
    const AWAY: Option<Away>;
    /// Of which aggregate's read model a row is a part, where commands about it go to that aggregate.
    const PART_OF: Option<PartOf>;
    /// What readers see besides, that no event says.
    const BESIDE: &'static [Beside];
    /// Rows are written once and never read back: a rebuild need not keep them in memory.
    const APPEND_ONLY: bool;
}

/// How a row says that it was put away: archived, retired, withdrawn, disbanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// The column, which is true then.
    Column(&'static str),
    /// The status that it has then.
    Status(&'static str),
    /// What it belongs to was archived: the column holds the id of a row of this table of the same group.
    Of {
        /// The column.
        column: &'static str,
        /// The table: `projects.projects`.
        table: &'static str,
    },
}

/// A value that is no fold of the log and stands in another table; null where that has none. Nothing is filtered or sorted by it.
#[derive(Debug, Clone, Copy)]
pub struct Beside {
    /// Its name in JSON.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// In one sentence.
    pub about: &'static str,
    /// The streams whose events change it; none if no event does.
    pub stream: Option<&'static str>,
    /// The SQL that finds it for the row `r`.
    pub sql: &'static str,
}

/// Where the aggregate stands of which a row is a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartOf {
    /// The row's column with the aggregate's id.
    pub column: &'static str,
    /// The aggregate's own table, of the same group: `projects.projects`.
    pub table: &'static str,
}

/// How a row says what it belongs to, for readers whose rights are for single resources or for what is their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// The column holds the client's id.
    Client(&'static str),
    /// The column holds the client's id, and it is the firm's own: nobody of the client reaches it, whatever right they were given.
    StaffClient(&'static str),
    /// The column is a list of objects; each `client_id` in it is a client's.
    Clients(&'static str),
    /// The column is a list of clients' ids.
    ClientIds(&'static str),
    /// The column holds the engagement's id.
    Engagement(&'static str),
    /// The column holds the engagement's id, and it is the firm's own: nobody of a client reaches it, whatever right they were given.
    StaffEngagement(&'static str),
    /// The column holds the engagement's id, which counts once the row's `shown_to_client_id` is not null: before, it is a draft.
    ShownEngagement(&'static str),
    /// The column is a list of engagements' ids.
    EngagementIds(&'static str),
    /// The column holds the id of a row of this table of the same group, whose `engagement_id` is the engagement's.
    EngagementOf {
        /// The column.
        column: &'static str,
        /// The table: `projects.projects`.
        table: &'static str,
    },
    /// The same, and it counts once this row's own `shown_to_client_id` is not null.
    ShownEngagementOf {
        /// The column.
        column: &'static str,
        /// The table: `revenue.invoices`.
        table: &'static str,
    },
    /// The column holds the project's id.
    Project(&'static str),
    /// The column is a list of projects' ids.
    ProjectIds(&'static str),
    /// The column holds the id of a row of this table of the same group, whose `client_id` is the client's.
    ClientOf {
        /// The column.
        column: &'static str,
        /// The table: `projects.projects`.
        table: &'static str,
    },
    /// The column holds the id of the user whose own it is.
    User(&'static str),
    /// The column holds the id of the portal user whose own it is.
    PortalUser(&'static str),
}

impl Tie {
    /// The column of the row that it is about.
    pub fn column(self) -> &'static str {
        match self {
            Self::Client(column)
            | Self::StaffClient(column)
            | Self::Clients(column)
            | Self::ClientIds(column)
            | Self::Engagement(column)
            | Self::StaffEngagement(column)
            | Self::ShownEngagement(column)
            | Self::EngagementIds(column)
            | Self::EngagementOf { column, .. }
            | Self::ShownEngagementOf { column, .. }
            | Self::Project(column)
            | Self::ProjectIds(column)
            | Self::ClientOf { column, .. }
            | Self::User(column)
            | Self::PortalUser(column) => column,
        }
    }
}

/// Why an event cannot be applied to a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FoldError(pub String);
