use super::*;
use crate::read_input;
use proptest::prelude::*;
use serde_json::json;

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

fn eur(minor: i64) -> Money {
    Money::new(minor, currency("EUR")).unwrap()
}

#[test]
fn a_currency_has_the_minor_units_that_iso_4217_gives_it() {
    for (code, exponent) in
        [("EUR", 2), ("USD", 2), ("CHF", 2), ("JPY", 0), ("KRW", 0), ("CLP", 0), ("KWD", 3), ("TND", 3), ("CLF", 4)]
    {
        assert_eq!(currency(code).exponent(), exponent, "{code}");
    }
    for code in ["XAU", "XXX", "XTS", "eur", "EURO", "€", "", "ZZZ"] {
        assert_eq!(code.parse::<Currency>().unwrap_err().code, FieldCode::NotACurrency, "{code}");
    }
}

#[test]
fn an_amount_is_written_with_the_decimals_of_its_currency() {
    let shown = |minor, code| Money::new(minor, currency(code)).unwrap().to_string();
    assert_eq!(shown(1250, "EUR"), "12.50 EUR");
    assert_eq!(shown(-5, "EUR"), "-0.05 EUR");
    assert_eq!(shown(1250, "JPY"), "1250 JPY");
    assert_eq!(shown(1250, "KWD"), "1.250 KWD");
}

#[test]
fn what_somebody_sends_is_an_amount_or_names_its_field() {
    let read = |text: &str| read_input::<Money>(text);
    assert_eq!(read(r#"{"minor": 1250, "currency": "EUR"}"#), Ok(eur(1250)));
    for (text, pointer, code) in [
        (r#"{"minor": 1.5, "currency": "EUR"}"#, "/minor", FieldCode::WrongType),
        (r#"{"minor": 9007199254740992, "currency": "EUR"}"#, "/minor", FieldCode::OutOfRange),
        (r#"{"minor": 1, "currency": "XAU"}"#, "/currency", FieldCode::NotACurrency),
        (r#"{"minor": 1}"#, "/currency", FieldCode::Required),
        (r#"{"minor": 1, "currency": "EUR", "amount": 2}"#, "/amount", FieldCode::Unknown),
    ] {
        let errors = read(text).unwrap_err().into_vec();
        assert_eq!((errors[0].pointer.as_str(), errors[0].code), (pointer, code), "{text}");
        assert!(serde_json::from_str::<Money>(text).is_err(), "{text}");
    }
    assert_eq!(serde_json::to_value(eur(-1)).unwrap(), json!({ "minor": -1, "currency": "EUR" }));
}

#[test]
fn no_cent_of_a_text_is_dropped() {
    let parse = |text| Money::parse(text, currency("EUR"));
    for (text, minor) in [("12.50", 1250), ("12.5", 1250), ("12", 1200), ("-0.05", -5), ("007", 700), ("1.5000", 150)] {
        assert_eq!(parse(text), Ok(eur(minor)), "{text}");
    }
    for text in ["12.505", "", ".", "5.", ".5", "1,50", "+1", "1e3", "--1", "- 1", " 1", "1_000", "١"] {
        assert_eq!(parse(text).unwrap_err().code, FieldCode::NotAnAmount, "{text}");
    }
    assert_eq!(parse("90071992547409.92").unwrap_err().code, FieldCode::OutOfRange);
    assert_eq!(parse(&"9".repeat(60)).unwrap_err().code, FieldCode::OutOfRange);
    assert_eq!(Money::parse("12.5", currency("JPY")).unwrap_err().code, FieldCode::NotAnAmount);
}

#[test]
fn half_a_cent_goes_away_from_zero() {
    for (minor, numerator, denominator, expected) in [
        (5, 1, 2, 3),
        (-5, 1, 2, -3),
        (5, -1, 2, -3),
        (5, 1, -2, -3),
        (-5, -1, 2, 3),
        (1000, 19, 100, 190),
        (1, 1, 3, 0),
        (2, 1, 3, 1),
    ] {
        assert_eq!(eur(minor).scaled(numerator, denominator), Ok(eur(expected)), "{minor} × {numerator}/{denominator}");
    }
    assert_eq!(eur(1).scaled(1, 0), Err(MoneyFault::ByNothing));
}

#[test]
fn two_currencies_are_never_one_amount() {
    let yen = Money::new(1, currency("JPY")).unwrap();
    assert_eq!(eur(1).plus(yen), Err(MoneyFault::TwoCurrencies));
    assert_eq!(eur(1).minus(yen), Err(MoneyFault::TwoCurrencies));
    assert_eq!(Money::sum(currency("EUR"), [eur(1), yen]), Err(MoneyFault::TwoCurrencies));
}

#[test]
fn what_rounding_leaves_goes_to_whom_it_took_the_most_from() {
    let minors = |parts: Vec<Money>| parts.into_iter().map(Money::minor).collect::<Vec<_>>();
    assert_eq!(minors(eur(100).split(3).unwrap()), [34, 33, 33]);
    assert_eq!(minors(eur(-100).split(3).unwrap()), [-34, -33, -33]);
    assert_eq!(minors(eur(100).allocated(&[1, 0, 5]).unwrap()), [17, 0, 83]);
    assert_eq!(eur(100).split(0), Err(MoneyFault::ByNothing));
    assert_eq!(eur(100).allocated(&[0, 0]), Err(MoneyFault::ByNothing));
}

fn amounts() -> impl Strategy<Value = Money> {
    let minor = prop_oneof![-1_000i64..1_000, -Money::MINOR_MAX..=Money::MINOR_MAX, Just(Money::MINOR_MAX)];
    minor.prop_map(eur)
}

proptest! {
    /// Either the exact sum or a fault; never another number, and nothing panics.
    #[test]
    fn arithmetic_is_exact_or_refused(a in amounts(), b in amounts(), count in any::<i64>()) {
        let exact = |minor: i128| match i64::try_from(minor) {
            Ok(minor) if minor.unsigned_abs() <= Money::MINOR_MAX.unsigned_abs() => Ok(eur(minor)),
            _ => Err(MoneyFault::TooLarge),
        };
        prop_assert_eq!(a.plus(b), exact(i128::from(a.minor()) + i128::from(b.minor())));
        prop_assert_eq!(a.minus(b), exact(i128::from(a.minor()) - i128::from(b.minor())));
        prop_assert_eq!(a.times(count), exact(i128::from(a.minor()) * i128::from(count)));
        prop_assert_eq!(a.plus(b), b.plus(a));
        prop_assert_eq!(a.negated().negated(), a);
    }

    /// A ratio is off by half a minor unit at most, and the other sign gives the other sign.
    #[test]
    fn a_ratio_is_rounded_to_the_nearest(a in amounts(), numerator in any::<i64>(), denominator in any::<i64>()) {
        prop_assume!(denominator != 0 && denominator != i64::MIN && numerator != i64::MIN);
        if let Ok(scaled) = a.scaled(numerator, denominator) {
            let exact = i128::from(a.minor()) * i128::from(numerator);
            let off = exact - i128::from(scaled.minor()) * i128::from(denominator);
            prop_assert!(2 * off.unsigned_abs() <= denominator.unsigned_abs().into());
            prop_assert_eq!(a.negated().scaled(numerator, denominator), Ok(scaled.negated()));
        }
    }

    /// The parts are the whole, each within one minor unit of its exact share, and nobody without a share gets anything.
    #[test]
    fn parts_sum_to_the_whole(a in amounts(), shares in prop::collection::vec(prop_oneof![0u32..4, any::<u32>()], 1..20)) {
        let whole: i128 = shares.iter().map(|share| i128::from(*share)).sum();
        prop_assume!(whole > 0);
        let parts = a.allocated(&shares).unwrap();
        prop_assert_eq!(Money::sum(a.currency(), parts.iter().copied()), Ok(a));
        for (part, share) in parts.iter().zip(&shares) {
            let off = i128::from(part.minor()) * whole - i128::from(a.minor()) * i128::from(*share);
            prop_assert!(off.abs() < whole);
            prop_assert!(*share > 0 || part.is_zero());
        }
    }

    #[test]
    fn equal_parts_differ_by_one_at_most(a in amounts(), count in 1u16..400) {
        let parts = a.split(count).unwrap();
        let minors = || parts.iter().map(|part| part.minor().abs());
        prop_assert_eq!(parts.len(), usize::from(count));
        prop_assert!(minors().max().unwrap() - minors().min().unwrap() <= 1);
        prop_assert!(minors().is_sorted_by(|a, b| a >= b));
    }

    /// What was written is read again: as JSON and as people write it.
    #[test]
    fn an_amount_reads_as_it_was_written(minor in -Money::MINOR_MAX..=Money::MINOR_MAX, code in prop::sample::select(vec!["EUR", "JPY", "KWD", "CLF"])) {
        let money = Money::new(minor, currency(code)).unwrap();
        let json = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
        prop_assert_eq!(read_input::<Money>(&json).unwrap(), money);
        let shown = money.to_string();
        prop_assert_eq!(Money::parse(shown.strip_suffix(&format!(" {code}")).unwrap(), money.currency()), Ok(money));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,30}|-?[0-9]{0,25}\\.?[0-9]{0,6}") {
        let _ = Money::parse(&text, currency("EUR"));
        let _ = text.parse::<Currency>();
    }
}
