//! What is asked of providers outside, whichever of them answers.
//!
//! A reaction holds a `dyn` [`Signing`] or [`Ledger`] and knows no provider. Every call that does something takes the job's key: the
//! provider is told it, and afterwards the thing is found by it, so that what nobody knows the end of is looked up before it is done
//! again. Every failure is a [`Fault`], and a fault is an [`Outcome`](reactions::Outcome) of the job.

mod fault;
mod ledger;
mod signing;

pub use fault::Fault;
pub use ledger::{
    Book, Booked, Entry, EntryStatus, GONE, Ledger, Line, MERGED, Merged, Party, PartyRef, Payment, TaxMode,
};
pub use signing::{Anchors, Envelope, EnvelopeStatus, Paper, Papers, Recipient, Sent, Signer, SignerStatus, Signing};

use futures::future::BoxFuture;
use kernel::{ConnectionId, TenantId};

/// Which connection of which firm is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The firm.
    pub tenant: TenantId,
    /// Its connection.
    pub connection: ConnectionId,
}

/// An answer on its way.
pub type Asked<'a, T> = BoxFuture<'a, Result<T, Fault>>;
