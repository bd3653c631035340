use super::*;
use crate::read_input;
use proptest::prelude::*;
use serde_json::json;

fn euro() -> Currency {
    "EUR".parse().unwrap()
}

fn eur(minor: i64) -> Money {
    Money::new(minor, euro()).unwrap()
}

fn at(rate: &str) -> Tax {
    Tax::Standard { rate: rate.parse().unwrap() }
}

fn line(quantity: &str, minor: i64, tax: Tax) -> Priced {
    Priced { quantity: quantity.parse().unwrap(), unit_price: eur(minor), tax }
}

fn minors(amounts: &Amounts) -> (i64, i64, i64) {
    (amounts.net.minor(), amounts.tax.minor(), amounts.total.minor())
}

#[test]
fn three_lines_at_20_per_cent_come_to_what_the_rule_says_in_every_place() {
    let lines = [line("1", 1001, at("20")); 3];
    let document = Amounts::of(euro(), Rounding::PerDocument, &lines).unwrap();
    assert_eq!(minors(&document), (3003, 601, 3604));
    assert_eq!(document.lines.iter().map(|line| line.tax.minor()).collect::<Vec<_>>(), [200, 200, 201]);
    let each = Amounts::of(euro(), Rounding::PerLine, &lines).unwrap();
    assert_eq!(minors(&each), (3003, 600, 3603));
    assert_eq!(each.lines.iter().map(|line| line.tax.minor()).collect::<Vec<_>>(), [200, 200, 200]);
    // Taken back as a whole, it comes to the same with a minus.
    let back = [line("-1", 1001, at("20")); 3];
    assert_eq!(minors(&Amounts::of(euro(), Rounding::PerDocument, &back).unwrap()), (-3003, -601, -3604));
    assert_eq!(minors(&Amounts::of(euro(), Rounding::PerLine, &back).unwrap()), (-3003, -600, -3603));
}

#[test]
fn each_tax_is_there_once_and_what_is_untaxed_says_why() {
    let lines = [
        line("2.5", 10_000, at("20")),
        line("1", 5_000, at("5.5")),
        line("1", 700, Tax::ReverseCharge {}),
        line("0.5", 1, at("20")),
    ];
    let amounts = Amounts::of(euro(), Rounding::PerDocument, &lines).unwrap();
    let taxes: Vec<_> = amounts.taxes.iter().map(|tax| (tax.tax, tax.net.minor(), tax.amount.minor())).collect();
    assert_eq!(taxes, [(at("5.5"), 5_000, 275), (at("20"), 25_001, 5_000), (Tax::ReverseCharge {}, 700, 0)]);
    assert_eq!(minors(&amounts), (30_701, 5_275, 35_976));
}

#[test]
fn what_cannot_be_added_names_its_line() {
    let yen = Money::new(1, "JPY".parse().unwrap()).unwrap();
    let foreign = Priced { quantity: Quantity::ONE, unit_price: yen, tax: Tax::Exempt {} };
    let refused = |lines: &[Priced]| Amounts::of(euro(), Rounding::default(), lines).unwrap_err();
    let other = refused(&[line("1", 1, at("20")), foreign]);
    assert_eq!(other, AmountsFault { line: Some(1), fault: MoneyFault::TwoCurrencies });
    let huge = refused(&[line("999999999", Money::MINOR_MAX, Tax::Exempt {})]);
    assert_eq!(huge, AmountsFault { line: Some(0), fault: MoneyFault::TooLarge });
    let together = refused(&[line("1", Money::MINOR_MAX, Tax::Exempt {}); 2]);
    assert_eq!(together, AmountsFault { line: None, fault: MoneyFault::TooLarge });
    assert_eq!(minors(&Amounts::of(euro(), Rounding::default(), &[]).unwrap()), (0, 0, 0));
}

#[test]
fn a_tax_is_a_category_and_a_rate_where_there_is_one() {
    assert_eq!(read_input::<Tax>(r#"{"category":"standard","rate":"20.0"}"#), Ok(at("20")));
    assert_eq!(serde_json::to_value(at("20")).unwrap(), json!({ "category": "standard", "rate": "20" }));
    assert_eq!(serde_json::to_value(Tax::Export {}).unwrap(), json!({ "category": "export" }));
    for (text, pointer) in [
        (r#"{"category":"exempt","rate":"20"}"#, "/rate"),
        (r#"{"category":"standard"}"#, "/rate"),
        (r#"{"category":"standard","rate":"0"}"#, "/rate"),
        (r#"{"category":"vat"}"#, "/category"),
    ] {
        assert_eq!(read_input::<Tax>(text).unwrap_err().into_vec()[0].pointer, pointer, "{text}");
    }
}

#[test]
fn every_measure_and_category_has_a_code_of_its_own() {
    use Measure::*;
    let all = [
        One,
        Piece,
        Set,
        LumpSum,
        Minute,
        Hour,
        Day,
        Week,
        Month,
        Quarter,
        Year,
        Page,
        Kilometre,
        SquareMetre,
        Kilogram,
    ];
    let codes: std::collections::BTreeSet<_> = all.map(Measure::code).into();
    assert_eq!(codes.len(), all.len());
    assert_eq!(read_input::<Measure>("\"lump_sum\""), Ok(LumpSum));
}

fn any_line() -> impl Strategy<Value = Priced> {
    let taxes = [at("20"), at("19"), at("5.5"), at("0.0001"), at("100"), Tax::ZeroRated {}, Tax::OutsideScope {}];
    let quantity = -5_000_000_000i64..5_000_000_000;
    (quantity, -1_000_000i64..1_000_000, prop::sample::select(taxes.to_vec())).prop_map(|(millionths, minor, tax)| {
        Priced { quantity: Quantity::of_millionths(millionths).unwrap(), unit_price: eur(minor), tax }
    })
}

proptest! {
    /// Whatever the lines are: lines sum to the net, taxes and the taxes of lines to the tax, both to the total; what is rounded once
    /// is nearest to the exact tax; in another order the paper comes to the same.
    #[test]
    fn every_place_says_the_same_sum(lines in prop::collection::vec(any_line(), 0..30)) {
        for rounding in [Rounding::PerDocument, Rounding::PerLine] {
            let amounts = Amounts::of(euro(), rounding, &lines).unwrap();
            let sum = |all: Vec<Money>| Money::sum(euro(), all).unwrap();
            prop_assert_eq!(sum(amounts.lines.iter().map(|line| line.net).collect()), amounts.net);
            prop_assert_eq!(sum(amounts.lines.iter().map(|line| line.tax).collect()), amounts.tax);
            prop_assert_eq!(sum(amounts.taxes.iter().map(|tax| tax.amount).collect()), amounts.tax);
            prop_assert_eq!(sum(amounts.taxes.iter().map(|tax| tax.net).collect()), amounts.net);
            prop_assert_eq!(amounts.net.plus(amounts.tax).unwrap(), amounts.total);
            if rounding == Rounding::PerDocument {
                for tax in &amounts.taxes {
                    prop_assert_eq!(tax.tax.on(tax.net).unwrap(), tax.amount);
                }
            }
            let backwards: Vec<_> = lines.iter().rev().copied().collect();
            let again = Amounts::of(euro(), rounding, &backwards).unwrap();
            prop_assert_eq!((again.total, &again.taxes), (amounts.total, &amounts.taxes));
            let text = serde_json::to_string(&amounts).unwrap();
            prop_assert_eq!(serde_json::from_str::<Amounts>(&text).unwrap(), amounts);
        }
    }
}
