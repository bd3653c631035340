//! A firm's own rules for what it owes: one record of a firm.

use kernel::{Aggregate, Claim, ClaimChange, Context, Decision, Reference, command, rejection};
use revenue_events::{PayablesSettingsEvent as E, ReferenceRule};
use serde::{Deserialize, Serialize};

use PayablesSettingsCommand as C;

/// Which record holds the firm's rules.
const FIRM_CLAIM: &str = "revenue.payables_settings.firm";
/// There is one of a firm.
const FIRM: &str = "firm";

/// What may be asked of a firm's rules for what it owes.
#[command("revenue.payables_settings", !member)]
pub enum PayablesSettingsCommand {
    /// Says for the first time how the firm wants it.
    #[creates]
    #[refused("firm.taken")]
    Set {
        /// For how long a vendor's number of a bill is one bill's alone.
        #[serde(default)]
        references: ReferenceRule,
    },
    /// Says that the firm wants it otherwise. It holds for bills that come in or are corrected from then on.
    Change {
        /// For how long a vendor's number of a bill is one bill's alone.
        references: ReferenceRule,
    },
}

/// Why a command to a firm's rules may be refused: there is no reason.
#[rejection("revenue.payables_settings")]
pub enum PayablesSettingsRejection {}

/// What is remembered of a firm's rules for what it owes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PayablesSettings {
    references: ReferenceRule,
}

impl PayablesSettings {
    /// The firm's, to be looked at by a decision.
    pub(crate) fn reference() -> Reference {
        Reference::claim::<Self>(Claim::new(FIRM_CLAIM, FIRM))
    }

    /// For how long a vendor's number of a bill is one bill's alone.
    pub(crate) fn references(ctx: &Context) -> ReferenceRule {
        ctx.holder::<Self>(FIRM_CLAIM, FIRM).map_or_else(ReferenceRule::default, |(_, settings)| settings.references)
    }
}

impl Aggregate for PayablesSettings {
    type Command = C;
    type Event = E;
    type Rejection = PayablesSettingsRejection;
    const PATH: &'static str = "revenue/payables-settings";

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Set { references } => vec![E::Set { references }],
            C::Change { references } if references == self.references => vec![],
            C::Change { references } => vec![E::Changed { references }],
        })
    }

    fn apply(&mut self, event: &E) {
        match event {
            E::Set { references } | E::Changed { references } => self.references = *references,
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Set { .. } => vec![ClaimChange::Take(Claim::new(FIRM_CLAIM, FIRM))],
            E::Changed { .. } => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::given;

    #[test]
    fn a_firm_says_once_how_it_wants_it_and_may_change_its_mind() {
        let set = E::Set { references: ReferenceRule::ForEver };
        let when = given::<PayablesSettings>([]).when(C::Set { references: ReferenceRule::ForEver }).then([set.clone()]);
        assert_eq!(when.claims(), [ClaimChange::Take(Claim::new(FIRM_CLAIM, FIRM))]);
        let change = || C::Change { references: ReferenceRule::ByYear };
        let changed = E::Changed { references: ReferenceRule::ByYear };
        given::<PayablesSettings>([set.clone()]).when(change()).then([changed.clone()]);
        given::<PayablesSettings>([set, changed]).when(change()).then_nothing();
    }
}
