//! A log that tests write to directly, as the append would.
#![allow(unused_imports, reason = "each test binary uses a part")]

pub use harness::{History as World, client, crm, read_as, renamed, tagged, tenant};
