//! What could be had at best: the same work by hand, with nothing that the product promises beyond it.

pub mod fold;
pub mod pgbench;
pub mod postgres_es;
pub mod reads;
pub mod relay;
