//! What happens to a policy on who approves.

use crate::{ApprovalStep, VendorId};
use kernel::{Currency, Money, Name, ProjectId, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

kernel::retirable!(ApprovalPolicyEvent begins "approval_policy.defined");

/// What a policy is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, Default, kernel::Input,
)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalSubject {
    /// Bills of vendors.
    #[default]
    Bill,
    /// Invoices to clients.
    Invoice,
}

impl ApprovalSubject {
    /// As claims, rows and people have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bill => "bill",
            Self::Invoice => "invoice",
        }
    }
}

/// Amounts of one currency: from one, below another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
pub struct AmountRange {
    /// The currency; no amount of another is in the range.
    pub currency: Currency,
    /// The least amount; from nothing on unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Money>,
    /// Amounts are below this; any amount unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Money>,
}

impl AmountRange {
    /// Is the amount in it?
    pub fn has(&self, amount: Money) -> bool {
        self.currency == amount.currency()
            && self.from.is_none_or(|from| amount.minor() >= from.minor())
            && self.below.is_none_or(|below| amount.minor() < below.minor())
    }
}

/// One rule: what it is for, and who approves that. The first rule that fits applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
pub struct ApprovalRule {
    /// What it is called: `Above 5,000 EUR`.
    pub name: Name,
    /// For which amounts; for any unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<AmountRange>,
    /// For bills of which vendors; of any if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vendors: Vec<VendorId>,
    /// For what belongs to one of these projects at least in part; to any or none if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<ProjectId>,
    /// The steps, one after the other; without any it is approved as soon as it is asked for.
    #[serde(default)]
    pub steps: Vec<ApprovalStep>,
}

/// Everything that happens to a policy on who approves.
#[event("revenue.approval_policy")]
pub enum ApprovalPolicyEvent {
    /// The firm has a policy.
    Defined {
        /// What it is called.
        name: Name,
        /// What it is about; one policy that is in use for each.
        subject: ApprovalSubject,
        /// Its rules; the first that fits applies.
        rules: Vec<ApprovalRule>,
        /// May nobody approve who had a hand in it before?
        separation_of_duties: bool,
    },
    /// The policy says something else. What was asked before goes on as it was asked.
    Changed {
        /// What it is called.
        name: Name,
        /// Its rules; the first that fits applies.
        rules: Vec<ApprovalRule>,
        /// May nobody approve who had a hand in it before?
        separation_of_duties: bool,
    },
    /// The policy is no longer made use of.
    Retired {},
    /// The policy is made use of again.
    Reinstated {},
}
