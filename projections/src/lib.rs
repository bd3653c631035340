//! Read models and the only code allowed to write them: one file owns one table.
