//! A tax rate: what lines name by a key. What it is never changes; another rate has another key.

use kernel::{
    Aggregate, ClaimChange, Context, Decision, Keyed, Machine, Name, Retirable, Slug, Tax, Text, command, rejection,
};
use revenue_events::{LineTax, TaxRateEvent as E};
use serde::{Deserialize, Serialize};

use TaxRateCommand as C;
use TaxRateRejection as R;

/// What may be asked of a tax rate.
#[command("revenue.tax_rate", !member)]
pub enum TaxRateCommand {
    /// Lets lines have a tax.
    #[creates]
    #[refused(ReasonMissing, ReasonNotNeeded, "key.taken")]
    Define {
        /// What lines call it; unique in the firm.
        key: Slug,
        /// What people call it.
        name: Name,
        /// What it is, by the categories of EN 16931.
        tax: Tax,
        /// Why nothing is to be paid, where that is so.
        #[serde(default)]
        exemption_reason: Option<Text>,
    },
    /// Gives it another name.
    #[refused(Retired)]
    Rename {
        /// What people call it.
        name: Name,
    },
    /// Ends that new lines have it.
    Retire {},
    /// Allows new lines to have it again.
    Reinstate {},
}

/// Why a tax rate's command may be refused.
#[rejection("revenue.tax_rate")]
pub enum TaxRateRejection {
    /// The tax rate is retired; reinstate it first.
    Retired,
    /// Papers say why a line is exempt, reversed, exported or not subject to the tax.
    #[invalid("/exemption_reason")]
    ReasonMissing,
    /// A line that is taxed, at a rate or at 0 %, is not exempt.
    #[invalid("/exemption_reason")]
    ReasonNotNeeded,
}

/// What is remembered of a tax rate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaxRate {
    name: String,
    tax: Option<LineTax>,
    retired: Retirable,
}

impl TaxRate {
    /// The tax as a line has it.
    pub(crate) fn of_line(&self) -> Option<&LineTax> {
        self.tax.as_ref()
    }

    /// Has no new line it?
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.is_retired()
    }
}

impl Keyed for TaxRate {
    const KEY: &'static str = "revenue.tax_rate.key";
}

impl Aggregate for TaxRate {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "revenue/tax-rates";

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Define { key, name, tax, exemption_reason } => {
                let is_taxed = matches!(tax, Tax::Standard { .. } | Tax::ZeroRated {});
                match exemption_reason {
                    None if !is_taxed => return Err(R::ReasonMissing),
                    Some(_) if is_taxed => return Err(R::ReasonNotNeeded),
                    exemption_reason => vec![E::Defined { key, name, tax, exemption_reason }],
                }
            }
            C::Reinstate {} => self.retired.reinstate(),
            C::Retire {} => self.retired.retire(),
            _ if self.is_retired() => return Err(R::Retired),
            C::Rename { name } if name.as_str() == self.name => vec![],
            C::Rename { name } => vec![E::Renamed { name }],
        })
    }

    fn apply(&mut self, event: &E) {
        self.retired = self.retired.after(event);
        match event {
            E::Defined { key, name, tax, exemption_reason } => {
                self.name = name.as_str().to_owned();
                let (key, exemption_reason) = (key.clone(), exemption_reason.clone());
                self.tax = Some(LineTax { key, tax: *tax, exemption_reason });
            }
            E::Renamed { name } => self.name = name.as_str().to_owned(),
            E::Retired {} | E::Reinstated {} => {}
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Defined { key, .. } => vec![ClaimChange::Take(Self::key_claim(key))],
            _ => vec![],
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use kernel::spec::given;

    pub(crate) fn standard(key: &str, rate: &str) -> E {
        let tax = Tax::Standard { rate: rate.parse().unwrap() };
        E::Defined { key: key.parse().unwrap(), name: "VAT".parse().unwrap(), tax, exemption_reason: None }
    }

    fn define(tax: Tax, reason: Option<&str>) -> C {
        let (key, name) = ("vat".parse().unwrap(), "VAT".parse().unwrap());
        C::Define { key, name, tax, exemption_reason: reason.map(|reason| reason.parse().unwrap()) }
    }

    #[test]
    fn what_is_not_taxed_says_why() {
        let reverse = Tax::ReverseCharge {};
        given::<TaxRate>([]).when(define(reverse, None)).rejected("revenue.tax_rate.reason_missing");
        assert_eq!(given::<TaxRate>([]).when(define(reverse, Some("Reverse charge"))).events().len(), 1);
        let standard = Tax::Standard { rate: "20".parse().unwrap() };
        given::<TaxRate>([]).when(define(standard, Some("why"))).rejected("revenue.tax_rate.reason_not_needed");
        assert_eq!(given::<TaxRate>([]).when(define(Tax::ZeroRated {}, None)).events().len(), 1);
    }

    #[test]
    fn a_key_is_claimed_for_ever() {
        let claims = given::<TaxRate>([]).when(define(Tax::ZeroRated {}, None)).claims();
        assert_eq!(claims, [ClaimChange::Take(TaxRate::key_claim(&"vat".parse().unwrap()))]);
        assert_eq!(given::<TaxRate>([standard("vat", "20")]).when(C::Retire {}).then([E::Retired {}]).claims(), []);
    }

    #[test]
    fn a_retired_rate_is_not_renamed_and_comes_back() {
        let retired = || given::<TaxRate>([standard("vat", "20"), E::Retired {}]);
        retired().when(C::Rename { name: "Tax".parse().unwrap() }).rejected("revenue.tax_rate.retired");
        retired().when(C::Retire {}).then_nothing();
        retired().when(C::Reinstate {}).then([E::Reinstated {}]);
        given::<TaxRate>([standard("vat", "20")]).when(C::Rename { name: "VAT".parse().unwrap() }).then_nothing();
    }
}
