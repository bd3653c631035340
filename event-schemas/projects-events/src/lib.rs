//! What did happen in the projects context: the event enums other crates may read.
