//! Chores: bring the stack up, run the tests, rewrite what is generated.

fn main() {}
