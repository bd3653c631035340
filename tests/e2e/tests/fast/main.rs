//! What is looked up and not run: the house's rules, the corpus of the parsers, what the database's catalogue says.

mod architecture;
mod fuzz_corpus;
mod row_level_security;
