//! The words every context may use, and the traits a decision is written against.
//!
//! Nothing here does I/O, reads a clock or draws a random number: time, actor and fresh ids arrive in the [`Context`].

// So that what the macros write compiles here too.
extern crate self as kernel;

#[doc(hidden)]
pub use serde_json as __json;

mod about;
mod aggregate;
mod amounts;
mod catalogue;
mod contact_details;
mod context;
mod cqrs;
mod decimal;
mod email;
mod envelope;
mod field;
mod flag;
mod giving;
mod grant;
mod ids;
mod input;
mod length;
mod life_cycle;
mod member;
mod money;
mod part;
mod patch;
mod permission;
mod phone;
mod postal_address;
mod secret;
pub mod spec;
mod status;
mod time;
mod unit;
mod values;
mod visible;
mod web_address;

pub use about::{About, AboutKind};
pub use aggregate::{
    Aggregate, Claim, ClaimChange, Companions, Decision, History, Mounts, Reference, ReferenceBy, Stored,
};
pub use amounts::{Amounts, AmountsFault, LineAmounts, Measure, Priced, Rounding, Tax, TaxAmounts};
pub use catalogue::{
    Command, CommandEntry, Event, EventEntry, Rejection, RejectionEntry, TellEntry, UnreadableEvent, Upcaster,
    component_of, read_event, read_fields, schema_of,
};
pub use contact_details::ContactDetails;
pub use context::{Actor, Context, FoundReference, Principal};
pub use cqrs::{Root, RootCommand, RootEvent};
pub use decimal::{Percent, Quantity};
pub use envelope::{Metadata, Recorded};
pub use field::{FieldCode, FieldError, FieldErrors, InvalidValue};
pub use flag::Flag;
pub use giving::Rights;
pub use grant::{Grant, GrantRefused, Grants, Limits, NoResource, Reach, Resource, Scope};
pub use ids::*;
pub use input::{Faults, Input, nearest, read_input};
pub use kernel_macros::{Input, command, event, read_model, rejection, status};
pub use life_cycle::{Archivable, Keyed, Leaves, Retirable};
pub use money::{Currency, Money, MoneyFault};
pub use part::{Imprint, PartEntry, Parts};
pub use patch::Patch;
pub use permission::{OF_EVERY_USER, Permissions, Role, UnknownRole};
pub use postal_address::PostalAddress;
pub use secret::Secret;
pub use status::{Machine, Progress, Status, StatusEntry};
pub use time::{Date, Timestamp};
pub use unit::{NoUnit, Unit};
pub use values::{
    Checksum, Country, Email, EventScope, FileName, FolderName, Issuer, Markdown, MediaType, Name, Pattern, Personal,
    Phone, PostalCode, SecretHash, Slug, Subject, Text, TimeZone, WebAddress,
};
pub use visible::{nfc, reference_key};
