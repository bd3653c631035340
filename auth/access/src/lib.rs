//! Who comes in and what they may do now.
//!
//! Everything that is decided about that is an event of identity. A firm's are few, so a process folds them when somebody of
//! the firm first asks, straight from the log, and forgets the firm when another event of it comes. Read models are not
//! asked, because they may lag, and a right that was taken away has to be gone within a second.

mod directory;
mod firm;
mod portal;
mod stored;
mod witness;

pub use directory::LogDirectory;
pub use firm::Firm;
pub use witness::Witness;
