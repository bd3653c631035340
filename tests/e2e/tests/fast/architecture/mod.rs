//! What ARCHITECTURE.md promises about crates, modules, SQL and documents. Each failure quotes the invariant; each check is fed
//! a violation. What is checked is found in the tree, so that whatever is added is guarded from its first day.

mod binaries;
mod crates;
mod documents;
mod modules;
mod purity;
mod sql;
mod tree;
mod units;
