//! HTTP in, commands out.
