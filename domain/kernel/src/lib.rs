//! The words every context may use, and the traits a decision is written against.
//!
//! Nothing here does I/O, reads a clock or draws a random number: time, actor and fresh ids arrive in the [`Context`].

mod aggregate;
mod catalogue;
mod context;
mod cqrs;
mod envelope;
mod field;
mod grant;
mod ids;
mod permission;
pub mod spec;
mod time;
mod values;

pub use aggregate::{Aggregate, Claim, ClaimChange, Decision, History, Mounts, Reference, ReferenceBy, Stored};
pub use catalogue::{
    Command, CommandEntry, Event, EventEntry, FieldError, Rejection, RejectionEntry, UnreadableEvent, Upcaster,
    read_event, read_fields, schema_of,
};
pub use context::{Actor, Context, FoundReference, Principal};
pub use cqrs::{Root, RootCommand, RootEvent};
pub use envelope::{Metadata, Recorded};
pub use field::{FieldCode, InvalidValue};
pub use grant::{Grant, GrantRefused, Grants, Limits, Reach, Resource, Scope};
pub use ids::*;
pub use kernel_macros::{command, event, rejection};
pub use permission::{OF_EVERY_USER, Permissions, Role, UnknownRole};
pub use time::{Date, Timestamp};
pub use values::{Email, Issuer, Money, Name, Pattern, Personal, Phone, SecretHash, Slug, Subject, Text, TimeZone};
