//! The relay to NATS JetStream and the feed back from it.
