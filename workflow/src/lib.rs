//! The process manager: interprets workflow definitions over the event stream.
