//! The attack list of `docs/security.md`, row by row: each test is named after its row, `t_01_…`.

mod audit;
mod canaries;
mod hostile_input;
mod races;
mod rights;
mod tenancy;
