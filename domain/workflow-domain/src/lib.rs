//! Workflow definitions and runs as aggregates.
