//! What happens to a series of numbers.

use crate::{NumberPrefix, Paper};
use kernel::{Name, Slug, event};

kernel::ids! {
    /// A series of numbers without gaps.
    InvoiceSeriesId,
}

/// Everything that happens to a series of numbers.
#[event("revenue.invoice_series")]
pub enum InvoiceSeriesEvent {
    /// Papers can have numbers of the series.
    Defined {
        /// What invoices call it.
        key: Slug,
        /// What people call it.
        name: Name,
        /// What stands before each number.
        prefix: NumberPrefix,
        /// With how many digits it is written at least.
        digits: u16,
        /// The first number.
        first: u32,
    },
    /// People call it otherwise.
    Renamed {
        /// What.
        name: Name,
    },
    /// A paper has the next number.
    NumberTaken {
        /// Which number.
        number: u32,
        /// As the paper has it.
        text: Name,
        /// By which paper.
        taken_by: Paper,
    },
    /// No paper has a number of it any more.
    Retired {},
    /// Papers have numbers of it again.
    Reinstated {},
}

kernel::retirable!(InvoiceSeriesEvent begins "invoice_series.defined");
