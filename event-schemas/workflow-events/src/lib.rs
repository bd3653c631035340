//! What did happen in the workflow context: the event enums other crates may read.
