//! The permissions of questions that no read table answers.

/// To look at the audit trail. Not `read`, because whoever may look at the work need not see who tried what.
pub(crate) const INSPECT: &str = "timeline.audit_entry.inspect";
/// To have it as a file.
pub(crate) const TAKE_OUT: &str = "timeline.audit_entry.export";

/// To see what a client owes.
pub(crate) const BALANCES: &str = "revenue.balance.read";

/// All of them.
pub(crate) const OF_QUESTIONS: [&str; 3] = [INSPECT, TAKE_OUT, BALANCES];
