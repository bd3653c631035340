//! The one binary `ubos`: every role and every operator verb is a subcommand.

fn main() {}
