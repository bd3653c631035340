//! What needs no server: the house's rules, and the corpus of the parsers.

mod architecture;
mod fuzz_corpus;
