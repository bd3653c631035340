//! The permissions of questions that no read table answers.

/// To look at the audit trail. Not `read`, because whoever may look at the work need not see who tried what.
pub(crate) const INSPECT: &str = "timeline.audit_entry.inspect";
/// To have it as a file.
pub(crate) const TAKE_OUT: &str = "timeline.audit_entry.export";

/// What may be asked of the audit trail.
pub(crate) const OF_THE_TRAIL: [&str; 2] = [INSPECT, TAKE_OUT];
