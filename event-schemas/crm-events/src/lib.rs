//! What did happen in the crm context: the event enums other crates may read.
