//! Starts real PostgreSQL, NATS, Redis and S3 servers on this machine, for `up` and for tests.
