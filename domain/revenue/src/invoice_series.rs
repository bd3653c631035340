//! A series of numbers: a paper takes the next one as it is issued, in the same unit, so that there are no gaps and no two of one.

use kernel::{Aggregate, ClaimChange, Context, Decision, Keyed, Machine, Name, Retirable, Slug, command, rejection};
use revenue_events::{InvoiceSeriesEvent as E, NumberPrefix, Paper};
use serde::{Deserialize, Serialize};

use InvoiceSeriesCommand as C;
use InvoiceSeriesRejection as R;

/// Digits that a number is filled up to at most.
const DIGITS_MAX: u16 = 9;

/// What may be asked of a series of numbers.
#[command("revenue.invoice_series", !member)]
pub enum InvoiceSeriesCommand {
    /// Begins a series of numbers.
    #[creates]
    #[refused(TooManyDigits, FirstIsZero, "key.taken")]
    Define {
        /// What invoices call it; unique in the firm.
        key: Slug,
        /// What people call it.
        name: Name,
        /// What stands before each number: `2026-`.
        prefix: NumberPrefix,
        /// With how many digits it is written at least, 9 at most; more are written where the number has more.
        digits: u16,
        /// The first number.
        first: u32,
    },
    /// Gives it another name.
    #[refused(Retired)]
    Rename {
        /// What people call it.
        name: Name,
    },
    /// Gives the next number to a paper that is being issued; comes with that and never alone.
    #[refused(NotAlone, Retired, NotNext, Exhausted)]
    TakeNumber {
        /// The next number.
        number: u32,
        /// The paper.
        taken_by: Paper,
    },
    /// Ends that papers have numbers of it.
    Retire {},
    /// Allows papers to have numbers of it again.
    Reinstate {},
}

/// Why a command to a series may be refused.
#[rejection("revenue.invoice_series")]
pub enum InvoiceSeriesRejection {
    /// The series is retired; reinstate it first.
    Retired,
    /// A number is filled up to 9 digits at most, and has one at least.
    #[invalid("/digits")]
    TooManyDigits,
    /// Numbers begin with 1 or later.
    #[invalid("/first")]
    FirstIsZero,
    /// A number is taken by issuing a paper and not by itself, so that none is missing.
    NotAlone,
    /// Another paper was faster; issue again.
    #[invalid("/number")]
    NotNext,
    /// The series has no more numbers.
    Exhausted,
}

/// What is remembered of a series.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InvoiceSeries {
    name: String,
    prefix: String,
    digits: u16,
    next: u32,
    last: Option<Paper>,
    retired: Retirable,
}

impl InvoiceSeries {
    /// The next number, and how papers write it; none if it gives none.
    pub(crate) fn next(&self) -> Option<(u32, Name)> {
        if self.retired.is_retired() || self.next == u32::MAX {
            None
        } else {
            Some((self.next, self.written(self.next)?))
        }
    }

    fn written(&self, number: u32) -> Option<Name> {
        format!("{}{number:0>width$}", self.prefix, width = usize::from(self.digits)).parse().ok()
    }
}

impl Keyed for InvoiceSeries {
    const KEY: &'static str = "revenue.invoice_series.key";
}

impl Aggregate for InvoiceSeries {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "revenue/invoice-series";

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Define { digits, .. } if !(1..=DIGITS_MAX).contains(&digits) => return Err(R::TooManyDigits),
            C::Define { first: 0, .. } => return Err(R::FirstIsZero),
            C::Define { key, name, prefix, digits, first } => vec![E::Defined { key, name, prefix, digits, first }],
            C::Reinstate {} => self.retired.reinstate(),
            C::Retire {} => self.retired.retire(),
            C::TakeNumber { .. } if ctx.brought_by.is_none() => return Err(R::NotAlone),
            C::TakeNumber { taken_by, number }
                if self.last == Some(taken_by) && self.next == number.saturating_add(1) =>
            {
                vec![]
            }
            _ if self.retired.is_retired() => return Err(R::Retired),
            C::Rename { name } if name.as_str() == self.name => vec![],
            C::Rename { name } => vec![E::Renamed { name }],
            C::TakeNumber { number, .. } if number != self.next => return Err(R::NotNext),
            C::TakeNumber { number, taken_by } => match self.next() {
                Some((_, text)) => vec![E::NumberTaken { number, text, taken_by }],
                None => return Err(R::Exhausted),
            },
        })
    }

    fn apply(&mut self, event: &E) {
        self.retired = self.retired.after(event);
        match event {
            E::Defined { key: _, name, prefix, digits, first } => {
                self.name = name.as_str().to_owned();
                self.prefix = prefix.as_str().to_owned();
                (self.digits, self.next) = (*digits, *first);
            }
            E::Renamed { name } => self.name = name.as_str().to_owned(),
            E::NumberTaken { number, taken_by, .. } => {
                self.next = number.saturating_add(1);
                self.last = Some(*taken_by);
            }
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
    use kernel::InvoiceId;
    use kernel::spec::given;
    use uuid::Uuid;

    pub(crate) fn defined(key: &str, prefix: &str, first: u32) -> E {
        let (key, prefix) = (key.parse().unwrap(), prefix.parse().unwrap());
        E::Defined { key, name: "Invoices".parse().unwrap(), prefix, digits: 4, first }
    }

    fn paper(n: u128) -> Paper {
        Paper::Invoice { invoice_id: InvoiceId(Uuid::from_u128(n)) }
    }

    fn taken(number: u32, text: &str, n: u128) -> E {
        E::NumberTaken { number, text: text.parse().unwrap(), taken_by: paper(n) }
    }

    #[test]
    fn a_number_comes_with_its_paper_and_never_alone() {
        let take = || C::TakeNumber { number: 7, taken_by: paper(1) };
        let series = || given::<InvoiceSeries>([defined("invoices", "2026-", 7)]);
        series().when(take()).rejected("revenue.invoice_series.not_alone");
        let brought = series().brought_by("revenue.invoice.issue", Uuid::from_u128(1));
        brought.when(take()).then([taken(7, "2026-0007", 1)]);
    }

    #[test]
    fn no_number_is_left_out_or_given_twice() {
        let series = || {
            let history = [defined("invoices", "R", 1), taken(1, "R0001", 1)];
            given::<InvoiceSeries>(history).brought_by("revenue.invoice.issue", Uuid::from_u128(2))
        };
        for wrong in [0, 1, 3] {
            let take = C::TakeNumber { number: wrong, taken_by: paper(2) };
            series().when(take).rejected("revenue.invoice_series.not_next");
        }
        series().when(C::TakeNumber { number: 2, taken_by: paper(2) }).then([taken(2, "R0002", 2)]);
        series().when(C::TakeNumber { number: 1, taken_by: paper(1) }).then_nothing();
    }

    #[test]
    fn a_number_has_more_digits_where_it_needs_them_and_the_last_one_is_refused() {
        let at = |first, number| {
            let series = given::<InvoiceSeries>([defined("invoices", "", first)]);
            series.brought_by("x", Uuid::nil()).when(C::TakeNumber { number, taken_by: paper(1) })
        };
        at(12_345, 12_345).then([taken(12_345, "12345", 1)]);
        at(u32::MAX, u32::MAX).rejected("revenue.invoice_series.exhausted");
    }

    #[test]
    fn a_series_begins_with_one_and_has_a_digit() {
        let define = |digits, first| C::Define {
            key: "invoices".parse().unwrap(),
            name: "Invoices".parse().unwrap(),
            prefix: "".parse().unwrap(),
            digits,
            first,
        };
        given::<InvoiceSeries>([]).when(define(0, 1)).rejected("revenue.invoice_series.too_many_digits");
        given::<InvoiceSeries>([]).when(define(10, 1)).rejected("revenue.invoice_series.too_many_digits");
        given::<InvoiceSeries>([]).when(define(1, 0)).rejected("revenue.invoice_series.first_is_zero");
        assert_eq!(given::<InvoiceSeries>([]).when(define(9, 1)).events().len(), 1);
    }

    #[test]
    fn a_retired_series_gives_no_number() {
        let series = given::<InvoiceSeries>([defined("invoices", "", 1), E::Retired {}]).brought_by("x", Uuid::nil());
        series.when(C::TakeNumber { number: 1, taken_by: paper(1) }).rejected("revenue.invoice_series.retired");
    }
}
