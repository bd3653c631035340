//! What did happen in the portal context: the event enums other crates may read.
