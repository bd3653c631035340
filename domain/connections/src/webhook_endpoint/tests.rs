use super::*;
use kernel::spec::{given, spec_time};
use kernel::{Principal, Role, UserId};
use uuid::Uuid;

fn url() -> WebAddress {
    "https://hooks.example/ubos".parse().unwrap()
}

fn scopes(texts: &[&str]) -> Vec<EventScope> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn add(events: &[&str]) -> C {
    C::Add { url: url(), events: scopes(events), order: WebhookOrder::Unordered, description: None }
}

fn added(events: &[&str]) -> E {
    let (order, owner) = (WebhookOrder::Unordered, None);
    E::Added { url: url(), events: scopes(events), order, description: None, owner }
}

fn disabled() -> E {
    E::Disabled { because: DisabledBecause::Gone, detail: "HTTP 410".parse().unwrap() }
}

fn failing() -> E {
    E::Failing { detail: "no answer".parse().unwrap() }
}

#[test]
fn whoever_adds_one_answers_for_it() {
    let ada = UserId(Uuid::from_u128(7));
    let decided = given::<WebhookEndpoint>([]).by_user(ada).when(add(&["crm.>", "crm.client.>"]));
    let [E::Added { events, owner, .. }] = decided.events() else { panic!("another event") };
    assert_eq!((events, owner), (&scopes(&["crm.>"]), &Some(Principal::User { id: ada })));
}

#[test]
fn nobody_has_sent_what_they_may_not_read() {
    let by = |patterns: &'static [&'static str], command| {
        given::<WebhookEndpoint>([]).by_system().asked_with(patterns.iter().copied()).when(command)
    };
    for (patterns, events) in [
        (&["crm.*.read"][..], &["crm.>"][..]),
        (&["crm.client.read"], &["crm.client.>"]),
        (&["crm.client.read"], &["crm.client.created"]),
        (Role::Viewer.patterns(), &[]),
    ] {
        by(patterns, add(events)).then([added(events)]);
    }
    for (patterns, events) in [
        (&["crm.client.read"][..], &["crm.>"][..]),
        (&["crm.*.read"], &[]),
        (&["crm.*.read"], &["crm.>", "revenue.invoice.issued"]),
        (&["connections.*"], &["crm.client.created"]),
    ] {
        by(patterns, add(events)).rejected("connections.webhook_endpoint.exceeds_your_permissions");
    }
}

#[test]
fn nobody_learns_a_secret_or_moves_an_endpoint_whose_events_they_may_not_read() {
    let other = "https://elsewhere.example/".parse().unwrap();
    for command in
        [C::RotateSecret { overlap_hours: None }, C::ChangeAddress { url: other }, C::Replay { after: 0, until: None }]
    {
        let few = given::<WebhookEndpoint>([added(&["crm.>"])]).asked_with(["connections.*"]).when(command);
        few.rejected("connections.webhook_endpoint.exceeds_your_permissions");
    }
}

#[test]
fn a_key_that_ends_has_nothing_sent_for_longer() {
    let soon = spec_time() + TimeDelta::hours(1);
    let key = given::<WebhookEndpoint>([]).asked_by_key([], Some(soon)).when(add(&[]));
    key.rejected("connections.webhook_endpoint.exceeds_your_permissions");
}

#[test]
fn a_rotated_secret_is_signed_with_for_a_day_more() {
    let rotate = |hours| given::<WebhookEndpoint>([added(&[])]).when(C::RotateSecret { overlap_hours: hours });
    let rotated = |hours| E::SecretRotated { previous_until: spec_time() + TimeDelta::hours(hours) };
    rotate(None).then([rotated(24)]);
    rotate(Some(0)).then([rotated(0)]);
    rotate(Some(169)).rejected("connections.webhook_endpoint.overlap_too_long");
}

#[test]
fn one_that_is_paused_or_disabled_is_resumed_and_what_is_so_already_is_a_success() {
    let at = |events: Vec<E>, command| given::<WebhookEndpoint>(events).by_system().when(command);
    at(vec![added(&[])], C::Pause {}).then([E::Paused {}]);
    at(vec![added(&[]), failing()], C::Pause {}).then([E::Paused {}]);
    at(vec![added(&[]), E::Paused {}], C::Pause {}).then_nothing();
    at(vec![added(&[]), E::Paused {}], C::Resume {}).then([E::Resumed {}]);
    at(vec![added(&[]), disabled()], C::Resume {}).then([E::Resumed {}]);
    at(vec![added(&[])], C::Resume {}).then_nothing();
    at(vec![added(&[]), disabled()], C::Pause {}).rejected("connections.webhook_endpoint.disabled");
    at(vec![added(&[])], C::ChangeAddress { url: url() }).then_nothing();
    at(vec![added(&["crm.>"])], C::ChooseEvents { events: scopes(&["crm.>"]), order: WebhookOrder::Unordered })
        .then_nothing();
    at(vec![added(&[])], C::Describe { description: None }).then_nothing();
}

#[test]
fn how_it_is_only_whoever_sends_says_and_once() {
    let detail: Text = "no answer".parse().unwrap();
    let fail = || C::RecordFailing { detail: detail.clone() };
    let disable = || C::RecordDisabled { because: DisabledBecause::Gone, detail: "HTTP 410".parse().unwrap() };
    for command in [fail(), disable(), C::RecordRecovered {}] {
        let user = given::<WebhookEndpoint>([added(&[])]).by_user(UserId(Uuid::from_u128(1))).when(command);
        user.rejected("connections.webhook_endpoint.webhooks_only");
    }
    let at = |events: Vec<E>, command| given::<WebhookEndpoint>(events).by_system().when(command);
    at(vec![added(&[])], fail()).then([failing()]);
    at(vec![added(&[]), failing()], fail()).then_nothing();
    at(vec![added(&[]), failing()], C::RecordRecovered {}).then([E::Recovered {}]);
    at(vec![added(&[])], C::RecordRecovered {}).then_nothing();
    at(vec![added(&[]), failing()], disable()).then([disabled()]);
    at(vec![added(&[]), E::Paused {}], disable()).then_nothing();
}

#[test]
fn a_replay_goes_forward_and_not_to_one_that_is_disabled() {
    let replay = |after, until| C::Replay { after, until };
    let at = |events: Vec<E>, command| given::<WebhookEndpoint>(events).when(command);
    at(vec![added(&[])], replay(5, None)).then([E::ReplayAsked { after: 5, until: None }]);
    at(vec![added(&[])], replay(5, Some(6))).then([E::ReplayAsked { after: 5, until: Some(6) }]);
    at(vec![added(&[])], replay(5, Some(5))).rejected("connections.webhook_endpoint.nothing_between");
    at(vec![added(&[]), disabled()], replay(5, None)).rejected("connections.webhook_endpoint.disabled");
}

#[test]
fn one_that_was_given_up_stays_so() {
    let removed = || given::<WebhookEndpoint>([added(&[]), E::Removed {}]);
    removed().when(C::Remove {}).then_nothing();
    for command in [C::Resume {}, C::Pause {}, C::Test {}, C::RotateSecret { overlap_hours: None }] {
        removed().when(command).rejected("connections.webhook_endpoint.removed");
    }
    let recovered = removed().by_system().when(C::RecordRecovered {});
    recovered.then_nothing();
}

#[test]
fn there_is_a_bound_of_kinds_of_events() {
    given::<WebhookEndpoint>([]).when(add(&["crm.>"; 51])).rejected("connections.webhook_endpoint.too_many_events");
}
