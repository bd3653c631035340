use super::*;
use kernel::spec::given;
use kernel::{Command, Currency};
use uuid::Uuid;

fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse::<Currency>().unwrap()).unwrap()
}

fn user(n: u128) -> Approver {
    Approver::User { user_id: UserId(Uuid::from_u128(n)) }
}

fn step(approvers: Vec<Approver>, quorum: u32) -> ApprovalStep {
    ApprovalStep { name: "Step".parse().unwrap(), approvers, quorum, escalate_after_days: None, escalate_to: vec![] }
}

fn range(from: Option<i64>, below: Option<i64>) -> AmountRange {
    AmountRange { currency: "EUR".parse().unwrap(), from: from.map(eur), below: below.map(eur) }
}

fn rule(name: &str, amount: Option<AmountRange>) -> ApprovalRule {
    let steps = vec![step(vec![user(3)], 1)];
    ApprovalRule { name: name.parse().unwrap(), amount, vendors: vec![], projects: vec![], steps }
}

fn defined(rules: Vec<ApprovalRule>) -> E {
    E::Defined { name: "Bills".parse().unwrap(), subject: ApprovalSubject::Bill, rules, separation_of_duties: true }
}

fn define(rules: Vec<ApprovalRule>) -> C {
    C::Define { name: "Bills".parse().unwrap(), subject: ApprovalSubject::Bill, rules, separation_of_duties: None }
}

fn found<'r>(rules: &'r [ApprovalRule], amount: Money, vendor: Option<u128>, projects: &[u128]) -> Option<&'r str> {
    let projects = projects.iter().map(|n| ProjectId(Uuid::from_u128(*n))).collect();
    let vendor = vendor.map(|n| VendorId(Uuid::from_u128(n)));
    applying(rules, &Approvable { amount, vendor, projects: &projects }).map(|rule| rule.name.as_str())
}

#[test]
fn a_range_has_its_beginning_and_not_its_end() {
    let rules = [rule("small", Some(range(None, Some(100_000)))), rule("large", Some(range(Some(100_000), None)))];
    for (minor, expected) in [(0, "small"), (99_999, "small"), (100_000, "large"), (Money::MINOR_MAX, "large")] {
        assert_eq!(found(&rules, eur(minor), None, &[]), Some(expected), "{minor}");
    }
    let usd = Money::new(5, "USD".parse().unwrap()).unwrap();
    assert_eq!(found(&rules, usd, None, &[]), None, "amounts of another currency are in no range");
}

#[test]
fn the_first_rule_that_fits_applies() {
    let of_vendor = ApprovalRule { vendors: vec![VendorId(Uuid::from_u128(7))], ..rule("vendor", None) };
    let of_project = ApprovalRule { projects: vec![ProjectId(Uuid::from_u128(9))], ..rule("project", None) };
    let rules = [of_vendor, of_project, rule("any", None)];
    assert_eq!(found(&rules, eur(1), Some(7), &[9]), Some("vendor"));
    assert_eq!(found(&rules, eur(1), Some(8), &[1, 9]), Some("project"));
    assert_eq!(found(&rules, eur(1), None, &[]), Some("any"));
    assert_eq!(found(&rules[..2], eur(1), None, &[]), None);
    assert_eq!(found(&[], eur(1), None, &[]), None);
}

#[test]
fn a_rule_fits_when_everything_that_it_says_does() {
    let both =
        ApprovalRule { vendors: vec![VendorId(Uuid::from_u128(7))], ..rule("both", Some(range(Some(10), None))) };
    let rules = [both];
    assert_eq!(found(&rules, eur(10), Some(7), &[]), Some("both"));
    assert_eq!(found(&rules, eur(9), Some(7), &[]), None);
    assert_eq!(found(&rules, eur(10), Some(8), &[]), None);
}

#[test]
fn one_policy_is_in_use_for_bills_and_another_can_take_the_place_of_a_retired_one() {
    let claim = Claim::new(SUBJECT_CLAIM, "bill");
    let when =
        given::<ApprovalPolicy>([]).when(define(vec![rule("any", None)])).then([defined(vec![rule("any", None)])]);
    assert_eq!(when.claims(), [ClaimChange::Take(claim.clone())]);
    let retired = given::<ApprovalPolicy>([defined(vec![])]).when(C::Retire {}).then([E::Retired {}]);
    assert_eq!(retired.claims(), [ClaimChange::Release(claim.clone())]);
    let back = given::<ApprovalPolicy>([defined(vec![]), E::Retired {}]).when(C::Reinstate {}).then([E::Reinstated {}]);
    assert_eq!(back.claims(), [ClaimChange::Take(claim)]);
    let change = C::Change { name: None, rules: Some(vec![]), separation_of_duties: None };
    given::<ApprovalPolicy>([defined(vec![]), E::Retired {}]).when(change).rejected("revenue.approval_policy.retired");
}

#[test]
fn what_a_change_leaves_out_stays() {
    let change = |body: &str| C::parse("change", body).unwrap();
    let before = || given::<ApprovalPolicy>([defined(vec![rule("any", None)])]);
    before().when(change("{}")).then_nothing();
    before().when(change(r#"{"separation_of_duties":true}"#)).then_nothing();
    let changed =
        E::Changed { name: "Bills".parse().unwrap(), rules: vec![rule("any", None)], separation_of_duties: false };
    before().when(change(r#"{"separation_of_duties":false}"#)).then([changed]);
}

#[test]
fn rules_that_nobody_could_keep_to_are_refused() {
    let with = |step: ApprovalStep| ApprovalRule { steps: vec![step], ..rule("any", None) };
    let role = Approver::Role { role: "admin".parse().unwrap() };
    let in_usd = AmountRange { currency: "USD".parse().unwrap(), ..range(Some(1), None) };
    let days = |days: u32| ApprovalStep { escalate_after_days: Some(days), ..step(vec![user(3)], 1) };
    for (wrong, code) in [
        (with(step(vec![], 1)), "no_approvers"),
        (with(step(vec![user(3)], 0)), "quorum_out_of_reach"),
        (with(step(vec![user(3), user(3)], 2)), "quorum_out_of_reach"),
        (with(step(vec![role.clone()], 21)), "quorum_out_of_reach"),
        (with(days(0)), "escalation_out_of_range"),
        (with(days(366)), "escalation_out_of_range"),
        (rule("any", Some(in_usd)), "range_of_two_currencies"),
        (rule("any", Some(range(Some(5), Some(5)))), "range_empty"),
        (with(step(vec![user(3); 101], 1)), "too_many_named"),
        (ApprovalRule { steps: vec![step(vec![user(3)], 1); 11], ..rule("any", None) }, "too_many_steps"),
    ] {
        given::<ApprovalPolicy>([]).when(define(vec![wrong])).rejected(&format!("revenue.approval_policy.{code}"));
    }
    let many = vec![rule("any", None); 51];
    given::<ApprovalPolicy>([]).when(define(many)).rejected("revenue.approval_policy.too_many_rules");
    let right = vec![with(step(vec![role], 2)), with(step(vec![user(3), user(4)], 2))];
    assert_eq!(given::<ApprovalPolicy>([]).when(define(right)).events().len(), 1);
}
