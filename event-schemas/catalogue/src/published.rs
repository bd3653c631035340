//! What is published of an event.

use kernel::EventEntry;
use serde_json::Value;

/// One version of one event with its schema and its golden example.
pub(crate) struct Published {
    pub entry: &'static EventEntry,
    pub version: u32,
    pub schema: Value,
    pub golden: Value,
}
