//! Every event of every context, its schema, its history of versions.
