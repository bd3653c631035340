use super::*;
use kernel::spec::{Given, given, spec_time};
use kernel::{Claim, Command, Currency};
use proptest::prelude::*;
use revenue_events::{ApprovalPolicyId, ApprovalRequest, ApprovalStep, Approver, PayablesSettingsEvent};
use std::collections::HashMap;

fn id<T: From<Uuid>>(n: u128) -> T {
    T::from(Uuid::from_u128(n))
}

fn user(n: u128) -> UserId {
    id(n)
}

fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse::<Currency>().unwrap()).unwrap()
}

fn folded<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> A {
    let mut state = A::default();
    events.into_iter().for_each(|event| state.apply(&event));
    state
}

fn vendor() -> Vendor {
    let body = r#"{"name":"Paper & Co","account_code":"6815"}"#;
    let add = <Vendor as Aggregate>::Command::parse("add", body).unwrap();
    folded(given::<Vendor>([]).when(add).events().to_vec())
}

fn content() -> BillContent {
    BillContent {
        vendor_id: Some(id(7)),
        reference: "2027-14".parse().unwrap(),
        reference_rule: ReferenceRule::ForEver,
        reference_year: 2027,
        issued_on: Date::from_ymd(2027, 1, 14),
        due_on: None,
        total: eur(11_900),
        lines: vec![],
        alike_bill_id: None,
        file_id: None,
        note: None,
    }
}

fn received_by(received_by: Option<UserId>) -> E {
    E::Received { content: content(), source: BillSource::Api, received_by }
}

fn received() -> E {
    received_by(None)
}

fn line(net: i64, tax: i64) -> BillLine {
    BillLine {
        description: "Paper".parse().unwrap(),
        net: eur(net),
        tax: Some(eur(tax)),
        account_code: Some("6815".parse().unwrap()),
        tax_code: None,
        project_id: None,
    }
}

fn coded() -> E {
    E::Coded { vendor_id: id(7), lines: vec![line(10_000, 1_900)], replaced: 0, coded_by: None }
}

fn step(approvers: &[u128], quorum: u32) -> ApprovalStep {
    ApprovalStep {
        name: "Step".parse().unwrap(),
        approvers: approvers.iter().map(|n| Approver::User { user_id: user(*n) }).collect(),
        quorum,
        escalate_after_days: Some(3),
        escalate_to: vec![Approver::Role { role: "admin".parse().unwrap() }],
    }
}

fn requested(steps: Vec<ApprovalStep>) -> E {
    let request = ApprovalRequest {
        policy_id: Some(ApprovalPolicyId(Uuid::from_u128(5))),
        rule: None,
        steps,
        separation_of_duties: true,
        requested_by: None,
        requested_at: spec_time(),
    };
    E::ApprovalRequested { request, total: eur(11_900), due_on: None }
}

fn owed() -> OwedBill {
    OwedBill {
        vendor_id: id(7),
        reference: "2027-14".parse().unwrap(),
        booked_on: Date::from_ymd(2027, 1, 14).unwrap(),
        due_on: None,
        total: eur(11_900),
        lines: vec![line(10_000, 1_900)],
    }
}

fn approved() -> E {
    E::Approved { owed: owed() }
}

fn command(action: &str, body: &str) -> C {
    C::parse(action, body).unwrap_or_else(|errors| panic!("{action} {body}: {errors}"))
}

fn receive(reference: &str, more: &str) -> C {
    let body = format!(r#"{{"reference":"{reference}","total":{{"minor":11900,"currency":"EUR"}}{more}}}"#);
    command("receive", &body)
}

fn knowing_vendor(given: Given<Bill>) -> Given<Bill> {
    given.knowing(Reference::id::<Vendor>(VendorId(Uuid::from_u128(7))), Uuid::from_u128(7), vendor())
}

const V7: &str = r#","vendor_id":"00000000-0000-0000-0000-000000000007""#;

fn taken(claims: &[ClaimChange], scope: &str) -> Vec<String> {
    let mut taken: Vec<String> = claims
        .iter()
        .filter_map(|change| match change {
            ClaimChange::Take(claim) if claim.scope == scope => Some(claim.value.clone()),
            _ => None,
        })
        .collect();
    taken.sort();
    taken
}

fn settings(reference_rule: ReferenceRule) -> PayablesSettings {
    folded([PayablesSettingsEvent::Set { reference_rule, pay_within_days: Some(14) }])
}

#[test]
fn the_same_number_of_a_vendor_is_one_claim_however_it_is_written() {
    let number = |reference: &str, day: &str| {
        let more = format!(r#"{V7},"issued_on":"{day}""#);
        let when = knowing_vendor(given::<Bill>([])).when(receive(reference, &more));
        taken(&when.claims(), REFERENCE_CLAIM)
    };
    let first = number("2027-14", "2027-01-14");
    for again in [" 2027–14 ", "2027 14", "２０２７－１４"] {
        assert_eq!(number(again, "2027-01-14"), first, "{again}");
    }
    let later = number("2027-14", "2028-01-14");
    assert!(later.iter().any(|claim| first.contains(claim)), "a year later it is taken as well");
    assert!(number("2027-15", "2027-01-14").iter().all(|claim| !first.contains(claim)));
}

#[test]
fn by_year_next_years_bill_is_another_one_and_says_so() {
    let number = |rule: Option<ReferenceRule>, day: &str| {
        let mut given = knowing_vendor(given::<Bill>([]));
        if let Some(rule) = rule {
            given = given.knowing(PayablesSettings::reference(), Uuid::from_u128(8), settings(rule));
        }
        let when = given.when(receive("2027-14", &format!(r#"{V7},"issued_on":"{day}""#)));
        let E::Received { content, .. } = &when.events()[0] else { panic!("received") };
        (taken(&when.claims(), REFERENCE_CLAIM), content.reference_rule, content.reference_year)
    };
    let (first, ..) = number(Some(ReferenceRule::ByYear), "2027-12-31");
    let (later, rule, year) = number(Some(ReferenceRule::ByYear), "2028-01-01");
    assert_eq!((rule, year), (ReferenceRule::ByYear, 2028));
    assert!(later.iter().all(|claim| !first.contains(claim)), "{first:?} {later:?}");
    let (same, ..) = number(Some(ReferenceRule::ByYear), "2027-01-01");
    assert_eq!(same, first);
    // What came in while the rule was for ever is found by year too.
    let (before, ..) = number(None, "2027-06-01");
    assert!(before.iter().any(|claim| first.contains(claim)));
}

#[test]
fn without_a_vendor_a_bill_that_looks_the_same_is_taken_in_and_suspected() {
    let alike = |vendor_id: Option<u128>| {
        let content = BillContent { vendor_id: vendor_id.map(id), ..content() };
        folded::<Bill>([E::Received { content, source: BillSource::File, received_by: None }])
    };
    let reference = || {
        let value = fingerprint(Some(&"2027-14".parse().unwrap()), eur(11_900));
        Reference::claim::<Bill>(Claim::new(FINGERPRINT_CLAIM, value))
    };
    for (theirs, more, suspected) in [(None, "", true), (Some(7), "", true), (None, V7, true), (Some(9), V7, false)] {
        let given = knowing_vendor(given::<Bill>([])).knowing(reference(), Uuid::from_u128(50), alike(theirs));
        let when = given.when(receive("2027 – 14", more));
        let E::Received { content, .. } = &when.events()[0] else { panic!("received") };
        assert_eq!(content.alike_bill_id, Some(id(50)));
        let expected = suspected.then_some(E::DuplicateSuspected { of_bill_id: id(50) });
        assert_eq!(when.events().get(1), expected.as_ref(), "{theirs:?} {more}");
        assert!(taken(&when.claims(), FINGERPRINT_CLAIM).is_empty(), "it is the first one's");
    }
    let other = given::<Bill>([]).when(receive("2027-15", ""));
    assert_eq!(other.events().len(), 1);
    assert_eq!(taken(&other.claims(), FINGERPRINT_CLAIM), ["EUR/11900/202715"]);
}

#[test]
fn coding_claims_the_number_of_the_vendor_and_voiding_frees_it() {
    let unknown = BillContent { vendor_id: None, ..content() };
    let unknown = E::Received { content: unknown, source: BillSource::Email, received_by: None };
    let code = || command("code", &format!("{{{}}}", &V7[1..]));
    let when = knowing_vendor(given::<Bill>([unknown])).when(code());
    let claims = taken(&when.claims(), REFERENCE_CLAIM);
    assert_eq!(claims.len(), 2, "{claims:?}");
    let void = || command("void", r#"{"reason":"twice"}"#);
    let voided = given::<Bill>([received(), coded()]).when(void());
    assert_eq!(voided.claims().len(), 3);
    assert!(voided.claims().iter().all(|change| matches!(change, ClaimChange::Release(_))));
    let after: Vec<E> = [received(), coded()].into_iter().chain(voided.events().to_vec()).collect();
    given::<Bill>(after).when(void()).then_nothing();
}

#[test]
fn a_bill_without_lines_is_coded_as_one_line_with_what_is_usual() {
    let code = || command("code", "{}");
    let when = knowing_vendor(given::<Bill>([received()])).when(code());
    let [E::Coded { lines, vendor_id, replaced: 0, .. }] = when.events() else { panic!("coded") };
    assert_eq!((*vendor_id, lines.len(), lines[0].net), (id(7), 1, eur(11_900)));
    assert_eq!(lines[0].account_code.as_ref().map(LedgerCode::as_str), Some("6815"));
    let after = [received(), when.events()[0].clone()];
    knowing_vendor(given::<Bill>(after)).when(code()).then_nothing();
    given::<Bill>([received()]).when(code()).rejected("revenue.bill.unknown_vendor");
    let nobody = E::Received {
        content: BillContent { vendor_id: None, ..content() },
        source: BillSource::Api,
        received_by: None,
    };
    given::<Bill>([nobody]).when(code()).rejected("revenue.bill.vendor_missing");
}

#[test]
fn a_bills_lines_come_to_its_total_in_its_currency() {
    let line = |net: i64, tax: i64, currency: &str| {
        format!(
            r#"{{"description":"x","net":{{"minor":{net},"currency":"{currency}"}},"tax":{{"minor":{tax},"currency":"{currency}"}}}}"#
        )
    };
    let body = |total: Option<i64>, lines: &str| {
        let total = total.map_or(String::new(), |t| format!(r#","total":{{"minor":{t},"currency":"EUR"}}"#));
        command("receive", &format!(r#"{{"reference":"1","lines":[{lines}]{total}}}"#))
    };
    let two = format!("{},{}", line(10_000, 1_900, "EUR"), line(-500, 0, "EUR"));
    let when = given::<Bill>([]).when(body(None, &two));
    let E::Received { content, .. } = &when.events()[0] else { panic!("received") };
    assert_eq!(content.total, eur(11_400));
    given::<Bill>([]).when(body(Some(11_401), &two)).rejected("revenue.bill.lines_do_not_add_up");
    given::<Bill>([]).when(body(Some(1), &line(1, 0, "USD"))).rejected("revenue.bill.two_currencies");
    let mixed = format!("{},{}", line(1, 0, "EUR"), line(1, 0, "USD"));
    given::<Bill>([]).when(body(None, &mixed)).rejected("revenue.bill.two_currencies");
    given::<Bill>([]).when(body(None, "")).rejected("revenue.bill.total_missing");
    given::<Bill>([]).when(body(Some(0), "")).rejected("revenue.bill.not_positive");
    given::<Bill>([]).when(body(None, &line(-1, 0, "EUR"))).rejected("revenue.bill.not_positive");
    let most = line(Money::MINOR_MAX, Money::MINOR_MAX, "EUR");
    given::<Bill>([]).when(body(None, &most)).rejected("revenue.bill.amount_too_large");
    let many = vec![line(1, 0, "EUR"); 201].join(",");
    given::<Bill>([]).when(body(None, &many)).rejected("revenue.bill.too_many_lines");
}

#[test]
fn a_bill_is_due_when_it_says_or_when_the_firm_usually_pays_and_never_before_its_day() {
    let given = || {
        given::<Bill>([]).knowing(PayablesSettings::reference(), Uuid::from_u128(8), settings(ReferenceRule::ForEver))
    };
    let when = given().when(receive("1", r#","issued_on":"2027-01-14""#));
    let E::Received { content, .. } = &when.events()[0] else { panic!("received") };
    assert_eq!(content.due_on, Date::from_ymd(2027, 1, 28));
    let early = receive("1", r#","issued_on":"2027-01-14","due_on":"2027-01-13""#);
    given().when(early).rejected("revenue.bill.due_before_issued");
}

#[test]
fn what_was_read_wrongly_is_corrected_until_somebody_is_asked() {
    let correct = || command("correct", r#"{"reference":"2027-41"}"#);
    let when = given::<Bill>([received(), coded()]).when(correct());
    let [E::Corrected { replaced: 1, .. }] = when.events() else { panic!("{:?}", when.events()) };
    assert_eq!(when.state().status, BillStatus::Received);
    assert_eq!(when.claims().len(), 6, "three are given up and three are taken");
    let after = [received(), coded(), when.events()[0].clone()];
    given::<Bill>(after).when(correct()).then_nothing();
    given::<Bill>([received(), coded(), requested(vec![])]).when(correct()).rejected("revenue.bill.not_open");
    let due = command("correct", r#"{"due_on":null}"#);
    given::<Bill>([received()]).when(due).then_nothing();
}

#[test]
fn where_the_firm_has_no_policy_its_owners_approve() {
    let when = given::<Bill>([received(), coded()]).when(C::RequestApproval {});
    let [E::ApprovalRequested { request, .. }] = when.events() else { panic!("requested") };
    assert_eq!(request.steps[0].approvers, [Approver::Role { role: "owner".parse().unwrap() }]);
    assert_eq!((request.requested_by, request.separation_of_duties), (Some(user(2)), true));
    let asked = [received(), coded(), when.events()[0].clone()];
    let approve = || command("approve", "{}");
    given::<Bill>(asked.clone()).by_user(user(3)).when(approve()).rejected("revenue.bill.not_for_you");
    given::<Bill>(asked.clone()).known_as(["owner"], &[]).when(approve()).rejected("revenue.bill.separation_of_duties");
    let by_owner = given::<Bill>(asked).by_user(user(3)).known_as(["owner"], &[]).when(approve());
    let [E::ApprovalGranted { completes: true, .. }, E::Approved { owed }] = by_owner.events() else { panic!() };
    assert_eq!((owed.total, owed.booked_on), (eur(11_900), Date::from_ymd(2027, 1, 14).unwrap()));
}

#[test]
fn a_bill_that_nobody_has_to_approve_is_approved_at_once_and_once() {
    let when = given::<Bill>([received(), coded()]).knowing(
        ApprovalPolicy::in_use(ApprovalSubject::Bill),
        Uuid::from_u128(5),
        folded::<ApprovalPolicy>([revenue_events::ApprovalPolicyEvent::Defined {
            name: "Bills".parse().unwrap(),
            subject: ApprovalSubject::Bill,
            rules: vec![revenue_events::ApprovalRule {
                name: "Small".parse().unwrap(),
                amount: None,
                vendors: vec![],
                projects: vec![],
                steps: vec![],
            }],
            separation_of_duties: true,
        }]),
    );
    let when = when.when(C::RequestApproval {});
    assert!(matches!(when.events(), [E::ApprovalRequested { .. }, E::Approved { .. }]));
    let after: Vec<E> = [received(), coded()].into_iter().chain(when.events().to_vec()).collect();
    given::<Bill>(after).when(C::RequestApproval {}).then_nothing();
}

#[test]
fn steps_come_one_after_the_other_and_a_repeat_approves_nothing_more() {
    let asked = vec![received(), coded(), requested(vec![step(&[3, 4], 2), step(&[3, 5], 1)])];
    let approve = |at: u32| command("approve", &format!(r#"{{"step":{at}}}"#));
    let by = |events: &[E], n: u128, at: u32| given::<Bill>(events.to_vec()).by_user(user(n)).when(approve(at));
    let first = by(&asked, 3, 0).events().to_vec();
    assert!(matches!(first[..], [E::ApprovalGranted { step: 0, completes: false, .. }]));
    let then: Vec<E> = asked.iter().chain(&first).cloned().collect();
    by(&then, 3, 0).then_nothing();
    by(&then, 5, 1).rejected("revenue.bill.not_this_step");
    let second = by(&then, 4, 0).events().to_vec();
    assert!(matches!(second[..], [E::ApprovalGranted { step: 0, completes: true, .. }]));
    let then: Vec<E> = then.iter().chain(&second).cloned().collect();
    by(&then, 3, 0).then_nothing();
    let last = by(&then, 3, 1).events().to_vec();
    assert!(matches!(last[..], [E::ApprovalGranted { step: 1, .. }, E::Approved { .. }]));
    let then: Vec<E> = then.iter().chain(&last).cloned().collect();
    by(&then, 3, 1).then_nothing();
    by(&then, 5, 1).rejected("revenue.bill.not_pending");
}

#[test]
fn whoever_received_or_coded_does_not_approve_not_even_as_a_delegate() {
    let coded_by =
        E::Coded { vendor_id: id(7), lines: vec![line(10_000, 1_900)], replaced: 0, coded_by: Some(user(4)) };
    let asked = vec![received_by(Some(user(3))), coded_by, requested(vec![step(&[3, 4, 6], 1)])];
    let by =
        |n: u128, action: &str, body: &str| given::<Bill>(asked.clone()).by_user(user(n)).when(command(action, body));
    by(3, "approve", "{}").rejected("revenue.bill.separation_of_duties");
    by(4, "reject", r#"{"reason":"no"}"#).rejected("revenue.bill.separation_of_duties");
    let to = |n: u128| format!(r#"{{"to_user_id":"{}"}}"#, Uuid::from_u128(n));
    by(6, "delegate_approval", &to(3)).rejected("revenue.bill.separation_of_duties");
    by(8, "delegate_approval", &to(9)).rejected("revenue.bill.not_for_you");
    let delegated = by(3, "delegate_approval", &to(9)).events().to_vec();
    assert_eq!(delegated, [E::ApprovalDelegated { step: 0, by: user(3), to: user(9), reason: None }]);
    let then: Vec<E> = asked.iter().chain(&delegated).cloned().collect();
    given::<Bill>(then.clone()).by_user(user(3)).when(command("delegate_approval", &to(9))).then_nothing();
    let by_delegate = given::<Bill>(then).by_user(user(9)).when(command("approve", "{}"));
    assert_eq!(by_delegate.events().len(), 2);
    given::<Bill>(asked.clone()).by_system().when(command("approve", "{}")).rejected("revenue.bill.not_for_you");
}

#[test]
fn where_an_approver_has_left_others_approve_when_somebody_says_so_or_after_a_time() {
    let asked = vec![received(), coded(), requested(vec![step(&[3], 1)])];
    let admin = |events: &[E], days: i64| {
        let given = given::<Bill>(events.to_vec()).by_user(user(6)).known_as(["admin"], &[]);
        given.at(spec_time() + chrono::TimeDelta::days(days)).when(command("approve", "{}"))
    };
    admin(&asked, 2).rejected("revenue.bill.not_for_you");
    assert_eq!(admin(&asked, 3).events().len(), 2);
    let escalate = || command("escalate_approval", r#"{"reason":"has left"}"#);
    let escalated = given::<Bill>(asked.clone()).by_system().when(escalate()).events().to_vec();
    let then: Vec<E> = asked.iter().chain(&escalated).cloned().collect();
    assert_eq!(admin(&then, 0).events().len(), 2);
    given::<Bill>(then).by_system().when(escalate()).then_nothing();
}

#[test]
fn a_team_approves_by_any_of_its_members() {
    let team = Approver::Team { team_id: id(40) };
    let by_team = ApprovalStep { approvers: vec![team], ..step(&[3], 1) };
    let asked = [received(), coded(), requested(vec![by_team])];
    let approve = || command("approve", "{}");
    let member = given::<Bill>(asked.clone()).by_user(user(6)).known_as([], &[id(40)]).when(approve());
    assert_eq!(member.events().len(), 2);
    given::<Bill>(asked).by_user(user(6)).known_as([], &[id(41)]).when(approve()).rejected("revenue.bill.not_for_you");
}

#[test]
fn a_rejected_bill_can_be_coded_anew() {
    let asked = [received(), coded(), requested(vec![step(&[3], 1)])];
    let reject = || command("reject", r#"{"reason":"wrong project"}"#);
    let rejected = given::<Bill>(asked.clone()).by_user(user(3)).when(reject()).events().to_vec();
    let then: Vec<E> = asked.into_iter().chain(rejected).collect();
    given::<Bill>(then.clone()).by_user(user(3)).when(reject()).then_nothing();
    given::<Bill>(then.clone()).by_user(user(3)).when(command("approve", "{}")).rejected("revenue.bill.not_pending");
    let again = knowing_vendor(given::<Bill>(then)).when(command("code", "{}"));
    assert_eq!(again.state().status, BillStatus::Coded);
}

#[test]
fn a_ledger_has_a_bill_once() {
    let owed = [received(), coded(), approved()];
    let owed: Vec<E> = [owed[0].clone(), owed[1].clone(), requested(vec![]), owed[2].clone()].to_vec();
    let refuse = || command("note_ledger_rejection", r#"{"reason":"The period is closed."}"#);
    let refused = given::<Bill>(owed.clone()).when(refuse()).events().to_vec();
    let then: Vec<E> = owed.iter().chain(&refused).cloned().collect();
    given::<Bill>(then.clone()).when(refuse()).then_nothing();
    let push = |to: &str| command("mark_pushed", &format!(r#"{{"external_id":"{to}"}}"#));
    let when = given::<Bill>(then.clone()).when(push("x1"));
    assert_eq!(when.state().status, BillStatus::PushedToLedger);
    let then: Vec<E> = then.iter().chain(when.events()).cloned().collect();
    given::<Bill>(then.clone()).when(push("x1")).then_nothing();
    given::<Bill>(then.clone()).when(push("x2")).rejected("revenue.bill.already_pushed");
    given::<Bill>(then).when(refuse()).rejected("revenue.bill.already_pushed");
    given::<Bill>([received()]).when(push("x1")).rejected("revenue.bill.not_owed");
}

/// A bill that was approved.
fn owed_bill() -> Vec<E> {
    vec![received(), coded(), requested(vec![]), approved()]
}

fn pay(minor: i64, more: &str) -> C {
    command("record_payment", &format!(r#"{{"amount":{{"minor":{minor},"currency":"EUR"}}{more}}}"#))
}

#[test]
fn a_bill_is_paid_in_parts_and_a_payment_is_taken_back() {
    let one = r#","payment_id":"00000000-0000-0000-0000-000000000061""#;
    let mut history = owed_bill();
    let first = given::<Bill>(history.clone()).when(pay(10_000, one)).events().to_vec();
    let [E::PaymentRecorded { outstanding, .. }] = &first[..] else { panic!("{first:?}") };
    assert_eq!(*outstanding, eur(1_900));
    history.extend(first);
    given::<Bill>(history.clone()).when(pay(10_000, one)).then_nothing();
    given::<Bill>(history.clone()).when(pay(1_900, one)).rejected("revenue.bill.payment_exists");
    given::<Bill>(history.clone()).when(pay(1_901, "")).rejected("revenue.bill.overpaid");
    given::<Bill>(history.clone()).when(pay(0, "")).rejected("revenue.bill.amount_not_positive");
    given::<Bill>(history.clone()).when(command("void", r#"{"reason":"x"}"#)).rejected("revenue.bill.has_payments");
    let rest = given::<Bill>(history.clone()).when(command("record_payment", "{}"));
    assert!(matches!(rest.events(), [E::PaymentRecorded { .. }, E::Paid { .. }]));
    history.extend(rest.events().to_vec());
    let reverse =
        || command("reverse_payment", r#"{"payment_id":"00000000-0000-0000-0000-000000000061","reason":"returned"}"#);
    let back = given::<Bill>(history.clone()).when(reverse());
    let [E::PaymentReversed { outstanding, leaves: LeftPaid::Part, .. }] = back.events() else { panic!() };
    assert_eq!((*outstanding, back.state().status), (eur(10_000), BillStatus::PartiallyPaid));
    history.extend(back.events().to_vec());
    given::<Bill>(history.clone()).when(reverse()).then_nothing();
    let usd = command("record_payment", r#"{"amount":{"minor":1,"currency":"USD"}}"#);
    given::<Bill>(history).when(usd).rejected("revenue.bill.other_currency");
}

#[test]
fn of_several_payments_of_a_bill_one_is_taken_back() {
    let mut history = owed_bill();
    for id in [61, 62] {
        let one = format!(r#","payment_id":"00000000-0000-0000-0000-0000000000{id}""#);
        history.extend(given::<Bill>(history.clone()).when(pay(5_000, &one)).events().to_vec());
    }
    let reverse =
        command("reverse_payment", r#"{"payment_id":"00000000-0000-0000-0000-000000000061","reason":"returned"}"#);
    let back = given::<Bill>(history).when(reverse);
    let [E::PaymentReversed { leaves: LeftPaid::Part, .. }] = back.events() else { panic!("{:?}", back.events()) };
    assert_eq!(back.state().status, BillStatus::PartiallyPaid);
}

#[test]
fn a_bill_that_was_owed_says_what_for_when_it_is_voided() {
    let void = || command("void", r#"{"reason":"taken back"}"#);
    let when = given::<Bill>(owed_bill()).when(void());
    assert!(matches!(when.events(), [E::Voided { owed: Some(_), .. }]));
    let when = given::<Bill>([received()]).when(void());
    assert!(matches!(when.events(), [E::Voided { owed: None, .. }]));
}

#[test]
fn every_wrong_field_of_a_new_bill_is_named() {
    let errors = C::parse("receive", r#"{"total":{"minor":1.5,"currency":"EURO"},"issued_on":"x","sourc":"api"}"#);
    let said: Vec<(String, String)> =
        errors.unwrap_err().iter().map(|e| (e.pointer.clone(), e.code.as_str().to_owned())).collect();
    let said: HashMap<&str, &str> = said.iter().map(|(at, code)| (at.as_str(), code.as_str())).collect();
    assert_eq!(said["/sourc"], "unknown");
    assert_eq!(said["/reference"], "required");
    assert_eq!(said["/issued_on"], "not_a_date");
    assert_eq!(said["/total/currency"], "not_a_currency");
    assert_eq!(said["/total/minor"], "wrong_type");
}

proptest! {
    /// Whatever is paid and taken back, in whatever order: never more than is owed, what is left is told rightly, and the status says
    /// how much is paid.
    #[test]
    fn what_is_left_is_what_was_not_paid(steps in prop::collection::vec((1..8_000i64, any::<prop::sample::Index>(), any::<bool>()), 0..30)) {
        let mut history = owed_bill();
        let mut live: Vec<(BillPaymentId, i64)> = vec![];
        for (n, (minor, which, back)) in steps.into_iter().enumerate() {
            let command = match live.get(which.index(live.len().max(1))) {
                Some((payment_id, _)) if back => {
                    C::ReversePayment { payment_id: *payment_id, reversed_on: None, reason: "x".parse().unwrap() }
                }
                _ => pay(minor, &format!(r#","payment_id":"{}""#, Uuid::from_u128(1_000 + n as u128))),
            };
            let state = folded::<Bill>(history.clone());
            let ctx = Context::new(id(1), Actor::System { name: "spec".to_owned() }, spec_time(), Uuid::nil(), Uuid::nil());
            let Ok(events) = state.decide(command, &ctx) else { continue };
            for event in &events {
                match event {
                    E::PaymentRecorded { payment_id, amount, outstanding, .. } => {
                        live.push((*payment_id, amount.minor()));
                        prop_assert_eq!(outstanding.minor(), 11_900 - live.iter().map(|(_, m)| m).sum::<i64>());
                    }
                    E::PaymentReversed { payment_id, outstanding, .. } => {
                        live.retain(|(there, _)| there != payment_id);
                        prop_assert_eq!(outstanding.minor(), 11_900 - live.iter().map(|(_, m)| m).sum::<i64>());
                    }
                    _ => {}
                }
            }
            history.extend(events);
            let paid: i64 = live.iter().map(|(_, m)| m).sum();
            prop_assert!((0..=11_900).contains(&paid));
            let expected = match paid {
                0 => BillStatus::Approved,
                11_900 => BillStatus::Paid,
                _ => BillStatus::PartiallyPaid,
            };
            prop_assert_eq!(folded::<Bill>(history.clone()).status, expected);
        }
    }
}
