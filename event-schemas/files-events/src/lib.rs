//! What did happen in the files context: the event enums other crates may read.
