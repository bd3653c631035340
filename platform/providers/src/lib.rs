//! What every provider outside needs of us, whichever it is.
//!
//! A *link* is what a connection comes to for whoever speaks to the provider: the sealed grant, how it is, what may still be asked. It is
//! kept beside the log, in the schema `connect`. command-api keeps a grant that somebody has just agreed to ([`Keeper`]) and can open
//! none; a worker uses it ([`Links`], [`Calls`]), and only one at a time refreshes it. Secrets are in no event and in no message.

mod adapter;
mod address;
mod calls;
mod census;
mod decimal;
mod direct;
pub mod form;
mod grant;
mod health;
mod inbox;
mod json_tokens;
mod keeper;
mod links;
mod note;
mod oauth;
mod signature;
mod syncs;

pub use adapter::{Account, Adapter, Hears, Hint, NotGenuine, Sweeper};
pub use address::address;
pub use calls::{Answer, Budget, Calls, Effect, Rules};
pub use census::{Census, census};
pub use decimal::Decimal;
pub use direct::{Direct, OwnCall};
pub use grant::{Grant, OAuthSettings, Refusal};
pub use health::Health;
pub use inbox::{HINTS, take_in};
pub use keeper::{Heard, Keeper};
pub use links::{Access, Links, Swept, Upkeep};
pub use note::NOTES;
pub use oauth::{Begun, OAuth};
pub use signature::{is_signed, is_signed_hex, sign, sign_hex};
pub use syncs::Synced;
