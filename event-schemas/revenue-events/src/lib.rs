//! What did happen in the revenue context: the event enums other crates may read.

// What clients owe.

// What vendors are owed.
