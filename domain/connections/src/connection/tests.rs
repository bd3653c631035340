use super::*;
use kernel::spec::given;

fn created() -> E {
    E::Created { provider: Provider::Xero, name: "Our books".parse().unwrap() }
}

fn authorised() -> E {
    E::Authorised {
        provider: Provider::Xero,
        account_id: "70784a63-d24b-46a9-a4db-0e70a274b056".parse().unwrap(),
        account_label: "Engines Ltd".parse().unwrap(),
    }
}

fn record_authorised(account: &str) -> C {
    C::RecordAuthorised { account_id: account.parse().unwrap(), account_label: "Engines Ltd".parse().unwrap() }
}

fn same() -> C {
    record_authorised("70784a63-d24b-46a9-a4db-0e70a274b056")
}

fn failed() -> E {
    E::AuthFailed { trouble: Trouble::GrantRefused, detail: None }
}

fn fail() -> C {
    C::RecordAuthFailed { trouble: Trouble::GrantRefused, detail: None }
}

fn recovered(trouble: Trouble) -> E {
    E::Recovered { trouble: Some(trouble) }
}

fn degraded() -> E {
    E::Degraded { trouble: Trouble::Unreachable, detail: Some("HTTP 503".parse().unwrap()) }
}

fn taken() -> Claim {
    Claim::new("connections.connection.account", "xero:70784a63-d24b-46a9-a4db-0e70a274b056")
}

#[test]
fn a_connection_is_prepared_authorised_and_claims_its_account() {
    let create = C::Create { provider: Provider::Xero, name: "Our books".parse().unwrap() };
    given::<Connection>([]).when(create).then([created()]);
    let begun = given::<Connection>([created()]).when(C::BeginAuthorisation {});
    begun.then([E::AuthorisationBegun {}]);
    given::<Connection>([created(), E::AuthorisationBegun {}]).when(C::BeginAuthorisation {}).then_nothing();
    let claims = given::<Connection>([created(), E::AuthorisationBegun {}])
        .by_system()
        .when(same())
        .then([authorised()])
        .claims();
    assert_eq!(claims, [ClaimChange::Take(taken())]);
}

#[test]
fn nobody_but_the_system_says_what_a_provider_said() {
    let recover = C::RecordRecovered {};
    let degrade = C::RecordDegraded { trouble: Trouble::Unreachable, detail: None };
    for said in [same(), fail(), recover, degrade] {
        given::<Connection>([created()]).when(said).rejected("connections.connection.connect_only");
    }
}

#[test]
fn whoever_agrees_again_for_the_same_account_mends_it_and_keeps_the_claim() {
    let broken = [created(), authorised(), failed()];
    let mended = given::<Connection>(broken.clone()).by_system().when(same());
    let mended = mended.then([authorised(), recovered(Trouble::GrantRefused)]);
    assert_eq!(mended.claims(), []);
    let another = record_authorised("another");
    given::<Connection>(broken).by_system().when(another).rejected("connections.connection.another_account");
}

#[test]
fn what_works_is_authorised_once() {
    given::<Connection>([created(), authorised()]).by_system().when(same()).then_nothing();
}

#[test]
fn the_first_trouble_counts_until_it_is_mended() {
    let well = [created(), authorised()];
    given::<Connection>(well.clone()).by_system().when(fail()).then([failed()]);
    let broken = [created(), authorised(), failed()];
    given::<Connection>(broken.clone()).by_system().when(fail()).then_nothing();
    let degrade = C::RecordDegraded { trouble: Trouble::Unreachable, detail: Some("HTTP 503".parse().unwrap()) };
    given::<Connection>(well.clone()).by_system().when(degrade.clone()).then([degraded()]);
    given::<Connection>(broken.clone()).by_system().when(degrade).then_nothing();
    given::<Connection>(broken).by_system().when(C::RecordRecovered {}).then([recovered(Trouble::GrantRefused)]);
    given::<Connection>(well).by_system().when(C::RecordRecovered {}).then_nothing();
}

#[test]
fn a_paused_connection_goes_on_with_what_it_had() {
    given::<Connection>([created()]).when(C::Pause {}).rejected("connections.connection.not_connected");
    given::<Connection>([created(), authorised()]).when(C::Pause {}).then([E::Paused {}]);
    let paused = [created(), authorised(), E::Paused {}];
    given::<Connection>(paused.clone()).when(C::Pause {}).then_nothing();
    given::<Connection>(paused.clone()).by_system().when(fail()).then_nothing();
    given::<Connection>(paused).when(C::Resume {}).then([E::Resumed {}]);
    let broken = [created(), authorised(), failed(), E::Paused {}];
    given::<Connection>(broken.clone()).when(C::Resume {}).then([E::Resumed {}, failed()]);
    let mended: Vec<E> = broken.into_iter().chain([authorised()]).collect();
    given::<Connection>(mended).when(C::Resume {}).then([E::Resumed {}]);
    given::<Connection>([created(), authorised(), degraded(), E::Paused {}])
        .when(C::Resume {})
        .then([E::Resumed {}, degraded()]);
}

#[test]
fn a_connection_that_was_given_up_frees_its_account_and_can_be_had_again() {
    let claims =
        given::<Connection>([created(), authorised()]).when(C::Disconnect {}).then([E::Disconnected {}]).claims();
    assert_eq!(claims, [ClaimChange::Release(taken())]);
    let gone = [created(), authorised(), E::Disconnected {}];
    given::<Connection>(gone.clone()).when(C::Disconnect {}).then_nothing();
    given::<Connection>(gone.clone()).when(C::Pause {}).rejected("connections.connection.not_connected");
    given::<Connection>(gone.clone()).by_system().when(fail()).then_nothing();
    let claims = given::<Connection>(gone).by_system().when(same()).then([authorised()]).claims();
    assert_eq!(claims, [ClaimChange::Take(taken())]);
    let unused = given::<Connection>([created()]).when(C::Disconnect {}).then([E::Disconnected {}]);
    assert_eq!(unused.claims(), []);
}

#[test]
fn whoever_agrees_again_while_it_works_badly_is_told_that_it_works_and_while_it_is_paused_is_not() {
    given::<Connection>([created(), authorised(), degraded()])
        .by_system()
        .when(same())
        .then([authorised(), recovered(Trouble::Unreachable)]);
    given::<Connection>([created(), authorised(), failed(), E::Paused {}])
        .by_system()
        .when(same())
        .then([authorised()]);
    given::<Connection>([created(), E::AuthorisationBegun {}]).by_system().when(same()).then([authorised()]);
}

#[test]
fn everything_is_looked_at_again_wherever_somebody_has_agreed() {
    let since = Some("2026-11-01".parse().unwrap());
    let again = || C::Resync { since };
    for there in [vec![created(), authorised()], vec![created(), authorised(), failed()]] {
        given::<Connection>(there.clone()).when(again()).then([E::ResyncRequested { since }]);
        // Whoever asks twice has it looked at twice.
        let twice: Vec<E> = there.into_iter().chain([E::ResyncRequested { since }]).collect();
        given::<Connection>(twice).when(C::Resync { since: None }).then([E::ResyncRequested { since: None }]);
    }
    for nowhere in [vec![created()], vec![created(), authorised(), E::Disconnected {}]] {
        given::<Connection>(nowhere).when(again()).rejected("connections.connection.not_connected");
    }
}

#[test]
fn what_is_wrong_has_the_name_that_it_is_written_with_and_says_what_helps() {
    use Trouble::{GrantRefused, NotPermitted, QuotaUsedUp, SecretsLost, Unreachable};
    for trouble in [GrantRefused, NotPermitted, SecretsLost, Unreachable, QuotaUsedUp] {
        assert_eq!(serde_json::to_value(trouble).unwrap(), trouble.as_str());
        assert_eq!(trouble.remedy().starts_with("Authorise"), trouble.needs_somebody(), "{trouble:?}");
        assert!(trouble.sentence().ends_with('.') && trouble.remedy().ends_with('.'), "{trouble:?}");
    }
}

#[test]
fn a_connection_is_called_differently_from_now_on() {
    let rename = C::Rename { name: "Books of Engines".parse().unwrap() };
    given::<Connection>([created()]).when(rename).then([E::Renamed { name: "Books of Engines".parse().unwrap() }]);
    given::<Connection>([created()]).when(C::Rename { name: "Our books".parse().unwrap() }).then_nothing();
}

#[test]
fn every_wrong_field_of_what_a_provider_said_is_named() {
    let body = r#"{"account_id":"","account_label":7}"#;
    let errors = <C as kernel::Command>::parse("record_authorised", body).unwrap_err();
    let said: Vec<&str> = errors.iter().map(|e| e.pointer.as_str()).collect();
    assert_eq!(said, ["/account_id", "/account_label"]);
}
