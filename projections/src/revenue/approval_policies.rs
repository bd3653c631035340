//! Who approves what the firm pays and sends.

use crate::model::{Envelope, Fold, FoldError};
use catalogue::revenue_events::{ApprovalPolicyEvent as E, ApprovalPolicyId, ApprovalRule, ApprovalSubject};
use kernel::{Machine, Name, Retirable, read_model};

/// Policies on who approves what the firm pays and sends.
#[read_model(
    "revenue.approval_policies",
    id = ApprovalPolicyId,
    read = "revenue.approval_policy.read",
    updated_at(sort),
    away(retired)
)]
pub struct ApprovalPolicyRow {
    /// What it is called.
    #[column(sort)]
    pub name: Name,
    /// What it is about.
    #[column(filter)]
    pub subject: ApprovalSubject,
    /// Its rules; the first that fits applies.
    pub rules: Vec<ApprovalRule>,
    /// May nobody approve who had a hand in it before?
    pub separation_of_duties: bool,
    /// It is no longer made use of.
    pub retired: Retirable,
}

impl Fold for ApprovalPolicyRow {
    type Event = E;

    fn begin(change: &E, _: Envelope<'_>) -> Option<Self> {
        let E::Defined { name, subject, rules, separation_of_duties } = change else { return None };
        Some(Self {
            name: name.clone(),
            subject: *subject,
            rules: rules.clone(),
            separation_of_duties: *separation_of_duties,
            retired: Retirable::default().after(change),
        })
    }

    fn apply(&mut self, change: &E, _: Envelope<'_>) -> Result<(), FoldError> {
        self.retired = self.retired.after(change);
        if let E::Changed { name, rules, separation_of_duties } = change {
            (self.name, self.rules, self.separation_of_duties) = (name.clone(), rules.clone(), *separation_of_duties);
        }
        Ok(())
    }
}
