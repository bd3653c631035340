//! Events as the log holds them.

use kernel::Recorded;
use serde_json::value::RawValue;

/// A stored event whose payload has not been read.
pub type RawEvent = Recorded<Box<RawValue>>;
