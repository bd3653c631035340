//! Who approves what is paid or sent, step by step.

use kernel::{Name, Slug, TeamId, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Somebody who may approve.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Approver {
    /// One member of staff.
    User {
        /// Who.
        user_id: UserId,
    },
    /// Whoever is in a team.
    Team {
        /// Which one.
        team_id: TeamId,
    },
    /// Whoever has a role: `owner`, `admin`, or one of the firm's own.
    Role {
        /// Which one.
        role: Slug,
    },
}

/// One step of an approval, as a policy has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
pub struct ApprovalStep {
    /// What it is called: `Head of department`.
    pub name: Name,
    /// Who may approve at it; one of them is enough unless more are needed.
    pub approvers: Vec<Approver>,
    /// So many have to approve.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    pub quorum: u32,
    /// After so many days others may approve as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 365))]
    pub escalate_after_days: Option<u32>,
    /// Who those are, also where whoever would approve has left; owners of the firm unless given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate_to: Vec<Approver>,
}

fn one() -> u32 {
    1
}

/// What was asked of whom: the steps of the policy as they were then. A later change of the policy does not change it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRequest {
    /// Whose policy; none if there is none, and the owners of the firm decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_id: Option<ApprovalPolicyId>,
    /// Which of its rules; none where it has none for this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Name>,
    /// The steps, one after the other; none is needed if there are none.
    pub steps: Vec<ApprovalStep>,
    /// May nobody approve who had a hand in it before?
    pub separation_of_duties: bool,
    /// Who asked; none if no member of staff did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<UserId>,
    /// When, which is when the first step began.
    pub requested_at: Timestamp,
}

kernel::ids! {
    /// A firm's rules on who approves.
    ApprovalPolicyId,
}
