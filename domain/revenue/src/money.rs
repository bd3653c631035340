//! Arithmetic of amounts that are known to fit: what is left of something is never more than it was.

use kernel::Money;

/// What is left of an amount; nothing if more than that was taken.
pub(crate) fn left(of: Money, taken: Money) -> Money {
    of.minus(taken).ok().filter(|left| !left.is_negative()).unwrap_or(Money::zero(of.currency()))
}

/// All of them together. Parts of one amount, so they fit; the whole otherwise.
pub(crate) fn sum(parts: impl IntoIterator<Item = Money>, whole: Money) -> Money {
    Money::sum(whole.currency(), parts).unwrap_or(whole)
}

/// The smaller one, of one currency.
pub(crate) fn least(one: Money, other: Money) -> Money {
    if one.minor() <= other.minor() { one } else { other }
}
