//! What a firm's events come to.

use super::*;
use kernel::{InvitationId, Personal};

const ADA: UserId = UserId(Uuid::from_u128(10));
const EVE: UserId = UserId(Uuid::from_u128(11));
const PROGRAM: ServiceAccountId = ServiceAccountId(Uuid::from_u128(20));
const KEY: ApiKeyId = ApiKeyId(Uuid::from_u128(30));

fn stored<E: Event>(id: impl Into<Uuid>, event: E) -> Stored {
    let entry = event.entry();
    Stored {
        aggregate_type: entry.stream.to_owned(),
        aggregate_id: id.into(),
        event_type: entry.event_type.to_owned(),
        event_version: entry.version as i32,
        payload: serde_json::to_string(&event).unwrap(),
    }
}

fn now() -> DateTime<Utc> {
    kernel::spec::spec_time()
}

fn hours(hours: i64) -> DateTime<Utc> {
    now() + chrono::TimeDelta::hours(hours)
}

fn firm(event: TenantEvent) -> Stored {
    stored(Uuid::from_u128(1), event)
}

fn user(id: UserId, event: UserEvent) -> Stored {
    stored(id, event)
}

fn joined(id: UserId, roles: &[&str]) -> Vec<Stored> {
    let invitation_id = InvitationId(Uuid::from_u128(8));
    let invited = UserEvent::Invited {
        invitation_id,
        email: Personal::new("ada@example.com".parse().unwrap()),
        name: Personal::new("Ada".parse().unwrap()),
        roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
        expires_at: hours(1),
    };
    vec![user(id, invited), user(id, UserEvent::Activated { invitation_id })]
}

/// A firm that Ada owns, with Eve who has these roles.
fn with_eve(roles: &[&str]) -> Vec<Stored> {
    let name = "Engines".parse().unwrap();
    let registered = TenantEvent::Registered { name, owner_id: ADA, trial_ends_at: hours(1) };
    [vec![firm(registered)], joined(ADA, &[]), joined(EVE, roles)].concat()
}

fn with_program(scopes: &[&str], expires_at: Option<DateTime<Utc>>) -> Vec<Stored> {
    let (name, roles) = ("Sync".parse().unwrap(), vec!["member".parse().unwrap()]);
    let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    let issued = ApiKeyEvent::Issued {
        name: "Key".parse().unwrap(),
        principal: Principal::ServiceAccount { id: PROGRAM },
        scopes,
        secret_hash: SecretHash::of("first"),
        expires_at,
    };
    let mut events = with_eve(&[]);
    events.push(stored(PROGRAM, ServiceAccountEvent::Created { name, roles }));
    events.push(stored(KEY, issued));
    events
}

fn standing(events: &[Stored], credential: &Credential, now: DateTime<Utc>) -> Standing {
    Firm::fold(events).unwrap().standing(credential, now)
}

fn may(events: &[Stored], id: UserId, permission: &str) -> bool {
    match standing(events, &Credential::User(id), now()) {
        Standing::In(principal, permissions) => {
            assert_eq!(principal, Principal::User { id });
            permissions.allow(permission)
        }
        Standing::Out(_) => false,
        Standing::Unregistered => panic!("the firm is registered"),
    }
}

fn key_may(events: &[Stored], secret: &str, now: DateTime<Utc>, permission: &str) -> bool {
    let credential = Credential::ApiKey { id: KEY, secret_hash: SecretHash::of(secret) };
    match standing(events, &credential, now) {
        Standing::In(_, permissions) => permissions.allow(permission),
        _ => false,
    }
}

#[test]
fn of_a_firm_that_is_not_registered_nothing_is_known() {
    assert_eq!(standing(&[], &Credential::User(ADA), now()), Standing::Unregistered);
}

#[test]
fn an_owner_may_do_everything_and_others_what_their_roles_grant() {
    let events = with_eve(&["viewer"]);
    assert!(may(&events, ADA, "identity.tenant.close"));
    assert!(may(&events, EVE, "crm.client.read") && !may(&events, EVE, "crm.client.rename"));
    assert!(!may(&events, UserId(Uuid::from_u128(99)), "crm.client.read"), "no user of the firm");
}

#[test]
fn an_owner_is_held_back_by_no_other_role() {
    let mut events = with_eve(&["admin"]);
    assert!(!may(&events, EVE, "identity.tenant.close"));
    events.push(firm(TenantEvent::OwnershipTransferred { from_user_id: ADA, to_user_id: EVE }));
    assert!(may(&events, EVE, "identity.tenant.close"));
    assert!(!may(&events, ADA, "crm.client.read"), "no owner any more, and no role");
}

#[test]
fn who_is_out_does_nothing() {
    let reason = Personal::new("leaves".parse().unwrap());
    for out in [UserEvent::Suspended { reason: reason.clone() }, UserEvent::Deactivated { reason }, UserEvent::Left {}]
    {
        let mut events = with_eve(&["admin"]);
        assert!(may(&events, EVE, "crm.client.read"));
        events.push(user(EVE, out));
        assert!(!may(&events, EVE, "crm.client.read"));
    }
    let invited = &with_eve(&["admin"])[..4];
    assert!(!may(invited, EVE, "crm.client.read"), "has not accepted");
}

#[test]
fn a_role_of_the_firms_own_grants_what_it_says_until_it_is_withdrawn() {
    let role = |event| stored(Uuid::from_u128(40), event);
    let (name, description) = ("partner".parse().unwrap(), "Runs engagements".parse::<kernel::Text>().unwrap());
    let mut events = with_eve(&["partner"]);
    assert!(!may(&events, EVE, "crm.client.rename"), "not defined yet");
    let patterns = vec!["crm.*".parse().unwrap(), "!crm.client.block".parse().unwrap()];
    events.push(role(RoleEvent::Defined { name, description: description.clone(), patterns }));
    assert!(may(&events, EVE, "crm.client.rename") && !may(&events, EVE, "crm.client.block"));
    events.push(role(RoleEvent::Changed { description, patterns: vec!["*.read".parse().unwrap()] }));
    assert!(!may(&events, EVE, "crm.client.rename") && may(&events, EVE, "files.folder.read"));
    events.push(role(RoleEvent::Withdrawn {}));
    assert!(!may(&events, EVE, "files.folder.read"));
}

#[test]
fn a_firm_that_is_suspended_or_closed_keeps_everybody_out() {
    let mut events = with_eve(&["admin"]);
    for (out, back) in [
        (TenantEvent::Suspended { reason: "unpaid".parse().unwrap() }, TenantEvent::Resumed {}),
        (TenantEvent::Closed { purge_at: hours(1) }, TenantEvent::Reopened {}),
    ] {
        events.push(firm(out));
        assert!(!may(&events, ADA, "crm.client.read"));
        events.push(firm(back));
        assert!(may(&events, ADA, "crm.client.read"));
    }
}

#[test]
fn a_key_may_what_its_principal_may_within_its_scopes() {
    let all = with_program(&[], None);
    assert!(key_may(&all, "first", now(), "crm.client.rename") && !key_may(&all, "first", now(), "workflow.run.retry"));
    assert!(!key_may(&all, "other", now(), "crm.client.read"), "another secret");
    let scoped = with_program(&["crm.*", "workflow.*"], None);
    assert!(key_may(&scoped, "first", now(), "crm.client.rename"));
    assert!(!key_may(&scoped, "first", now(), "files.folder.read"), "beyond its scopes");
    assert!(!key_may(&scoped, "first", now(), "workflow.run.retry"), "beyond its principal");
}

#[test]
fn a_key_ends_when_it_expires_is_revoked_or_its_program_disabled() {
    let expiring = with_program(&[], Some(hours(1)));
    assert!(key_may(&expiring, "first", now(), "crm.client.read"));
    assert!(!key_may(&expiring, "first", hours(1), "crm.client.read"));
    let revoked = stored(KEY, ApiKeyEvent::Revoked { reason: "leaked".parse().unwrap() });
    for end in [revoked, stored(PROGRAM, ServiceAccountEvent::Disabled {})] {
        let events = [with_program(&[], None), vec![end]].concat();
        assert!(!key_may(&events, "first", now(), "crm.client.read"));
    }
}

#[test]
fn a_rotated_key_is_good_with_both_secrets_for_a_while() {
    let rotated = ApiKeyEvent::Rotated { secret_hash: SecretHash::of("second"), previous_until: hours(2) };
    let events = [with_program(&[], None), vec![stored(KEY, rotated)]].concat();
    assert!(
        key_may(&events, "second", now(), "crm.client.read") && key_may(&events, "first", now(), "crm.client.read")
    );
    assert!(key_may(&events, "second", hours(2), "crm.client.read"));
    assert!(!key_may(&events, "first", hours(2), "crm.client.read"));
}

#[test]
fn a_users_key_goes_with_the_user() {
    let issued = ApiKeyEvent::Issued {
        name: "Mine".parse().unwrap(),
        principal: Principal::User { id: EVE },
        scopes: vec![],
        secret_hash: SecretHash::of("first"),
        expires_at: None,
    };
    let mut events = [with_eve(&["viewer"]), vec![stored(KEY, issued)]].concat();
    assert!(key_may(&events, "first", now(), "crm.client.read"));
    events.push(user(EVE, UserEvent::Left {}));
    assert!(!key_may(&events, "first", now(), "crm.client.read"));
}

#[test]
fn a_session_opens_until_it_is_ended() {
    let session = SessionId(Uuid::from_u128(50));
    let credential = Credential::Session { user: EVE, id: session };
    let mut events = with_eve(&["viewer"]);
    assert!(matches!(standing(&events, &credential, now()), Standing::In(..)));
    events.push(stored(session, SessionEvent::Ended { reason: "logged out".parse().unwrap() }));
    assert_eq!(standing(&events, &credential, now()), Standing::Out("the session was ended"));
    assert!(may(&events, EVE, "crm.client.read"), "only that session");
}

#[test]
fn with_an_event_that_cannot_be_read_nobody_comes_in() {
    let mut unreadable = user(EVE, UserEvent::Left {});
    unreadable.event_version = 99;
    assert!(Firm::fold(&[with_eve(&["admin"]), vec![unreadable]].concat()).is_err());
}
