//! What did happen in the scheduling context: the event enums other crates may read.
