//! Which day it is, is a matter of where a firm's clocks hang.

use anyhow::Result;
use chrono_tz::Tz;
use futures::future::BoxFuture;
use kernel::TenantId;
use std::fmt::Debug;

/// Knows where each firm's clocks hang, for decisions that ask which day it is.
pub trait TimeZones: Debug + Send + Sync {
    /// The firm's zone; UTC for one that has said nothing.
    ///
    /// # Errors
    /// If it cannot be found out now.
    fn time_zone(&self, tenant: TenantId) -> BoxFuture<'_, Result<Tz>>;
}
