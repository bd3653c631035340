//! What a firm's events come to.

use super::*;
use kernel::{ClientId, InvitationId, Personal, Resource, Scope};

const ADA: UserId = UserId(Uuid::from_u128(10));
const EVE: UserId = UserId(Uuid::from_u128(11));
const PROGRAM: ServiceAccountId = ServiceAccountId(Uuid::from_u128(20));
const KEY: ApiKeyId = ApiKeyId(Uuid::from_u128(30));

pub(crate) fn stored<E: Event>(id: impl Into<Uuid>, event: E) -> Stored {
    let entry = event.entry();
    Stored {
        aggregate_type: entry.stream.to_owned(),
        aggregate_id: id.into(),
        event_type: entry.event_type.to_owned(),
        event_version: entry.version as i32,
        payload: serde_json::to_string(&event).unwrap(),
    }
}

fn now() -> Timestamp {
    kernel::spec::spec_time()
}

fn hours(hours: i64) -> Timestamp {
    now() + chrono::TimeDelta::hours(hours)
}

fn firm(event: TenantEvent) -> Stored {
    stored(Uuid::from_u128(1), event)
}

fn user(id: UserId, event: UserEvent) -> Stored {
    stored(id, event)
}

/// The firm's own role `partner` is this one, unless said otherwise.
const PARTNER: RoleId = RoleId(Uuid::from_u128(40));

fn given(role: &str) -> GivenRole {
    let id = role.parse::<Role>().is_err().then_some(PARTNER);
    GivenRole { name: role.parse().unwrap(), id }
}

fn joined(id: UserId, roles: &[&str]) -> Vec<Stored> {
    let invitation_id = InvitationId(Uuid::from_u128(8));
    let invited = UserEvent::Invited {
        invitation_id,
        email: Personal::new("ada@example.com".parse().unwrap()),
        name: Personal::new("Ada".parse().unwrap()),
        roles: roles.iter().map(|role| given(role)).collect(),
        expires_at: hours(1),
        days: 14,
    };
    vec![user(id, invited), user(id, UserEvent::Activated { invitation_id })]
}

/// A firm that Ada owns, with Eve who has these roles.
fn with_eve(roles: &[&str]) -> Vec<Stored> {
    let name = "Engines".parse().unwrap();
    let registered = TenantEvent::Registered { name, owner_id: ADA, trial_ends_at: hours(1) };
    [vec![firm(registered)], joined(ADA, &[]), joined(EVE, roles)].concat()
}

fn with_program(scopes: &[&str], expires_at: Option<Timestamp>) -> Vec<Stored> {
    let (name, roles) = ("Sync".parse().unwrap(), vec![given("member")]);
    let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    let issued = ApiKeyEvent::Issued {
        name: "Key".parse().unwrap(),
        principal: Principal::ServiceAccount { id: PROGRAM },
        membership: 0,
        scopes,
        secret_hash: SecretHash::of("first"),
        expires_at,
    };
    let mut events = with_eve(&[]);
    events.push(stored(PROGRAM, ServiceAccountEvent::Created { name, roles }));
    events.push(stored(KEY, issued));
    events
}

fn standing(events: &[Stored], credential: &Credential, now: Timestamp) -> Standing {
    Firm::fold(events).unwrap().standing(credential, now.utc()).unwrap()
}

fn may(events: &[Stored], id: UserId, permission: &str) -> bool {
    match standing(events, &Credential::User(id), now()) {
        Standing::In(principal, permissions) => {
            assert_eq!(principal, Principal::User { id });
            permissions.allow(permission)
        }
        Standing::Out(..) | Standing::Reads { .. } => false,
        Standing::Unregistered => panic!("the firm is registered"),
    }
}

fn key_may(events: &[Stored], secret: &str, now: Timestamp, permission: &str) -> bool {
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
fn a_role_of_the_same_name_is_another_role() {
    let defined = |id, pattern: &str| {
        let (name, description) = ("partner".parse().unwrap(), "Runs engagements".parse().unwrap());
        let patterns = vec![pattern.parse().unwrap()];
        stored(Uuid::from_u128(id), RoleEvent::Defined { name, description, patterns })
    };
    let mut events = with_eve(&["partner"]);
    events.push(defined(40, "crm.*"));
    events.push(stored(PARTNER, RoleEvent::Withdrawn {}));
    events.push(defined(41, "*"));
    assert!(!may(&events, EVE, "crm.client.rename"), "nobody has the new one yet");
    let role = GivenRole { name: "partner".parse().unwrap(), id: Some(RoleId(Uuid::from_u128(41))) };
    events.push(user(EVE, UserEvent::RoleAssigned { role }));
    assert!(may(&events, EVE, "crm.client.rename"));
}

#[test]
fn a_firm_that_is_suspended_or_closed_keeps_everybody_out() {
    let mut events = with_eve(&["admin"]);
    for (out, back) in [
        (TenantEvent::Suspended { reason: "unpaid".parse().unwrap() }, TenantEvent::Resumed {}),
        (TenantEvent::Closed { purge_at: hours(1) }, TenantEvent::Reopened { status: TenantStatus::Trialing }),
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
        membership: 0,
        scopes: vec![],
        secret_hash: SecretHash::of("first"),
        expires_at: None,
    };
    let mut events = [with_eve(&["viewer"]), vec![stored(KEY, issued)]].concat();
    assert!(key_may(&events, "first", now(), "crm.client.read"));
    events.push(user(EVE, UserEvent::Left {}));
    assert!(!key_may(&events, "first", now(), "crm.client.read"));
    events.extend(joined(EVE, &["admin"]));
    assert!(may(&events, EVE, "crm.client.read"));
    assert!(!key_may(&events, "first", now(), "crm.client.read"), "what ended stays ended");
}

#[test]
fn a_session_opens_what_the_log_began_in_this_time_of_the_user_and_no_more() {
    let session = SessionId(Uuid::from_u128(50));
    let started = |user_id, membership| SessionEvent::Started {
        user_id,
        membership,
        issuer: "https://login.example.com".parse().unwrap(),
        ends_at: hours(1),
        user_agent: None,
    };
    let keeps_out = |events: &[Stored], event: SessionEvent, now: Timestamp| {
        let begun = match crate::portal::Person::session(&[stored(session, event)]).unwrap() {
            Some(crate::portal::Person::Session(begun)) => begun,
            _ => panic!("no session"),
        };
        Firm::fold(events).unwrap().keeps_out(EVE, &begun, now.utc())
    };
    let mut events = with_eve(&["viewer"]);
    assert_eq!(keeps_out(&events, started(EVE, 0), now()), None);
    assert!(keeps_out(&events, started(ADA, 0), now()).is_some(), "another's");
    assert!(keeps_out(&events, started(EVE, 0), hours(1)).is_some(), "over");
    events.push(user(EVE, UserEvent::Left {}));
    events.extend(joined(EVE, &["viewer"]));
    assert!(keeps_out(&events, started(EVE, 0), now()).is_some(), "from before they went");
    assert_eq!(keeps_out(&events, started(EVE, 1), now()), None);
}

#[test]
fn an_owner_of_a_closed_firm_may_reopen_it_while_its_data_is_there() {
    let events = [with_eve(&["admin"]), vec![firm(TenantEvent::Closed { purge_at: hours(2) })]].concat();
    let at = |id, now, permission| match standing(&events, &Credential::User(id), now) {
        Standing::In(_, permissions) => permissions.allow(permission),
        _ => false,
    };
    assert!(at(ADA, now(), "identity.tenant.reopen") && at(ADA, hours(1), "identity.tenant.reopen"));
    assert!(!at(ADA, hours(2), "identity.tenant.reopen"), "its data is gone");
    assert!(!at(ADA, now(), "crm.client.read"), "nothing else");
    assert!(!at(EVE, now(), "identity.tenant.reopen"), "no owner");
}

#[test]
fn an_owner_of_a_closed_firm_that_is_suspended_stays_out() {
    let suspended = || firm(TenantEvent::Suspended { reason: "unpaid".parse().unwrap() });
    let closed = || firm(TenantEvent::Closed { purge_at: hours(2) });
    for order in [vec![suspended(), closed()], vec![closed(), suspended()]] {
        let events = [with_eve(&["admin"]), order].concat();
        assert!(!may(&events, ADA, "identity.tenant.reopen"));
        let reopened = firm(TenantEvent::Reopened { status: TenantStatus::Suspended });
        assert!(!may(&[events, vec![reopened]].concat(), ADA, "crm.client.read"), "suspended as before");
    }
}

#[test]
fn what_is_given_with_a_secret_that_ends_ends_no_later() {
    let rotated = ApiKeyEvent::Rotated { secret_hash: SecretHash::of("second"), previous_until: hours(2) };
    let events = [with_program(&[], Some(hours(5))), vec![stored(KEY, rotated)]].concat();
    for (secret, end) in [("first", 2), ("second", 5)] {
        let credential = Credential::ApiKey { id: KEY, secret_hash: SecretHash::of(secret) };
        let Standing::In(_, permissions) = standing(&events, &credential, now()) else { panic!("{secret}") };
        assert!(permissions.cover_end(Some(hours(end))), "{secret}");
        assert!(!permissions.cover_end(Some(hours(end + 1))) && !permissions.cover_end(None), "{secret}");
    }
}

#[test]
fn a_session_opens_until_it_is_ended() {
    let session = SessionId(Uuid::from_u128(50));
    let credential = Credential::Session { user: EVE, id: session };
    let mut events = with_eve(&["viewer"]);
    assert!(matches!(standing(&events, &credential, now()), Standing::In(..)));
    events.push(stored(session, SessionEvent::Ended { reason: "logged out".parse().unwrap() }));
    assert_eq!(
        standing(&events, &credential, now()),
        Standing::Out("the session was ended", Some(Principal::User { id: EVE }))
    );
    assert!(may(&events, EVE, "crm.client.read"), "only that session");
}

#[test]
fn with_an_event_that_cannot_be_read_nobody_comes_in() {
    let mut unreadable = user(EVE, UserEvent::Left {});
    unreadable.event_version = 99;
    assert!(Firm::fold(&[with_eve(&["admin"]), vec![unreadable]].concat()).is_err());
}

#[test]
fn rights_for_a_resource_come_from_the_user_their_roles_and_their_teams() {
    let client = |number| Resource::from(ClientId(Uuid::from_u128(number)));
    let (role, team) = (Uuid::from_u128(40), Uuid::from_u128(41));
    let pattern = || "projects.*".parse().unwrap();
    let defined = RoleEvent::Defined {
        name: "partner".parse().unwrap(),
        description: "Runs engagements".parse().unwrap(),
        patterns: vec![],
    };
    let mut events = with_eve(&["partner"]);
    events.extend([
        stored(role, defined),
        stored(role, RoleEvent::Granted { pattern: pattern(), resource: client(1) }),
        stored(team, TeamEvent::Created { name: "Tax".parse().unwrap() }),
        stored(team, TeamEvent::MemberAdded { user_id: EVE, membership: 0 }),
        stored(team, TeamEvent::Granted { pattern: pattern(), resource: client(2) }),
        user(EVE, UserEvent::Granted { pattern: pattern(), resource: client(3) }),
    ]);
    let reaches = |events: &[Stored], number| match standing(events, &Credential::User(EVE), now()) {
        Standing::In(principal, permissions) => {
            permissions.reach("projects.project.read").covers(&Scope::of([client(number)]), Some(principal))
        }
        _ => false,
    };
    let reached = |events: &[Stored]| [1, 2, 3, 4].map(|number| reaches(events, number));
    assert_eq!(reached(&events), [true, true, true, false]);
    let and = |event: Stored| [events.clone(), vec![event]].concat();
    for (event, left) in [
        (stored(role, RoleEvent::GrantRevoked { pattern: pattern(), resource: client(1) }), [false, true, true, false]),
        (user(EVE, UserEvent::RoleRevoked { role: given("partner") }), [false, true, true, false]),
        (stored(role, RoleEvent::Withdrawn {}), [false, true, true, false]),
        (stored(team, TeamEvent::GrantRevoked { pattern: pattern(), resource: client(2) }), [true, false, true, false]),
        (stored(team, TeamEvent::MemberRemoved { user_id: EVE }), [true, false, true, false]),
        (stored(team, TeamEvent::Disbanded {}), [true, false, true, false]),
        (user(EVE, UserEvent::GrantRevoked { pattern: pattern(), resource: client(3) }), [true, true, false, false]),
    ] {
        assert_eq!(reached(&and(event.clone())), left, "{}", event.event_type);
    }
    let back = [events.clone(), vec![user(EVE, UserEvent::Left {})], joined(EVE, &["partner"])].concat();
    assert_eq!(
        reached(&back),
        [true, false, false, false],
        "whoever leaves comes back without their own, and in no team"
    );
    let member = stored(team, TeamEvent::MemberAdded { user_id: EVE, membership: 1 });
    assert_eq!(reached(&[back, vec![member]].concat()), [true, true, false, false], "taken in once more");
}

#[test]
fn every_user_sees_and_ends_their_own_sessions_and_nobody_elses() {
    let events = with_eve(&[]);
    let Standing::In(principal, permissions) = standing(&events, &Credential::User(EVE), now()) else { panic!() };
    for permission in ["identity.session.audit", "identity.session.end", "identity.user.read"] {
        let reach = permissions.reach(permission);
        assert!(reach.covers(&Scope::default().owned_by([EVE]), Some(principal)), "{permission}");
        assert!(!reach.covers(&Scope::default().owned_by([ADA]), Some(principal)), "{permission}");
    }
}

#[test]
fn a_subscriber_reads_with_both_secrets_for_a_while_until_it_expires_or_is_revoked() {
    const LEDGER: SubscriberId = SubscriberId(Uuid::from_u128(60));
    let reads = |events: &[Stored], secret: &str, now| {
        standing(events, &Credential::Subscriber { id: LEDGER, secret_hash: SecretHash::of(secret) }, now)
    };
    let name = "Ledger".parse().unwrap();
    let scopes: std::sync::Arc<[kernel::EventScope]> = ["projects.>".parse().unwrap()].into();
    let until = |end| Standing::Reads { until: Some(hours(end).utc()), scopes: scopes.clone() };
    let added = SubscriberEvent::Added {
        name,
        secret_hash: SecretHash::of("first"),
        expires_at: Some(hours(5)),
        scopes: scopes.to_vec(),
    };
    let mut events = with_eve(&[]);
    assert_eq!(reads(&events, "first", now()), Standing::Out("no such subscriber", None));
    events.push(stored(LEDGER, added));
    assert_eq!(reads(&events, "first", now()), until(5));
    assert_eq!(reads(&events, "other", now()), Standing::Out("the secret is another", None));
    assert_eq!(reads(&events, "first", hours(5)), Standing::Out("it has expired", None));
    let key = Credential::ApiKey { id: ApiKeyId(LEDGER.0), secret_hash: SecretHash::of("first") };
    assert_eq!(standing(&events, &key, now()), Standing::Out("no such key", None), "it opens nothing else");
    let rotated = SubscriberEvent::Rotated { secret_hash: SecretHash::of("second"), previous_until: hours(2) };
    events.push(stored(LEDGER, rotated));
    assert_eq!(reads(&events, "first", now()), until(2));
    assert_eq!(reads(&events, "first", hours(2)), Standing::Out("the secret is another", None));
    assert_eq!(reads(&events, "second", hours(2)), until(5));
    let suspended = [events.clone(), vec![firm(TenantEvent::Suspended { reason: "unpaid".parse().unwrap() })]].concat();
    assert_eq!(reads(&suspended, "second", now()), Standing::Out("the firm is suspended", None));
    events.push(stored(LEDGER, SubscriberEvent::Revoked { reason: "leaked".parse().unwrap() }));
    assert_eq!(reads(&events, "second", now()), Standing::Out("it was revoked", None));
}
