use super::*;
use identity_events::{RoleEvent, TenantEvent};
use kernel::spec::{given, spec_time};
use kernel::{ClientId, Role};

const SELF: Uuid = Uuid::from_u128(2);

#[test]
fn what_became_of_an_email_is_noted_by_the_mailer_once_and_of_the_open_invitation_only() {
    let [open, void] = [8, 9].map(|id| InvitationId(Uuid::from_u128(id)));
    let reason: Text = "550 no such mailbox".parse().unwrap();
    let note = |invitation_id| C::NoteEmailFailed { invitation_id, reason: reason.clone() };
    let failed = E::EmailFailed { invitation_id: open, reason: Personal::new(reason.clone()) };
    let sent = |invitation_id| C::NoteEmailSent { invitation_id };
    let has = |events: &[E]| given::<User>([&[invited(&[])][..], events].concat()).by_system();
    has(&[]).when(note(open)).then([failed.clone()]);
    has(&[]).when(note(void)).then([]);
    has(&[]).when(sent(open)).then([]);
    has(std::slice::from_ref(&failed)).when(note(open)).then([]);
    has(std::slice::from_ref(&failed)).when(sent(open)).then([E::EmailSent { invitation_id: open }]);
    given::<User>([invited(&[])]).when(note(open)).rejected("identity.user.mailer_only");
}

fn built_in(name: &str) -> GivenRole {
    GivenRole { name: slug(name), id: None }
}

fn custom(patterns: &[&str]) -> CustomRole {
    let mut partner = CustomRole::default();
    partner.apply(&RoleEvent::Defined {
        name: slug("partner"),
        description: "Runs engagements".parse().unwrap(),
        patterns: patterns.iter().map(|pattern| pattern.parse().unwrap()).collect(),
    });
    partner
}

fn slug(text: &str) -> Slug {
    text.parse().unwrap()
}

fn invited(roles: &[&str]) -> E {
    E::Invited {
        invitation_id: InvitationId(Uuid::from_u128(8)),
        email: Personal::new("ada@example.com".parse().unwrap()),
        name: Personal::new("Ada Lovelace".parse().unwrap()),
        roles: roles.iter().map(|role| built_in(role)).collect(),
        expires_at: spec_time() + TimeDelta::days(14),
        days: 14,
    }
}

fn activated() -> E {
    E::Activated { invitation_id: InvitationId(Uuid::from_u128(8)) }
}

fn invite(roles: &[&str]) -> C {
    C::Invite {
        email: "ada@example.com".parse().unwrap(),
        name: "Ada Lovelace".parse().unwrap(),
        roles: roles.iter().map(|role| slug(role)).collect(),
        expires_in_days: None,
        invitation_id: None,
    }
}

fn accept(number: u128) -> C {
    C::AcceptInvitation { invitation_id: InvitationId(Uuid::from_u128(number)) }
}

fn owned_by(user: Uuid) -> Tenant {
    let mut firm = Tenant::default();
    let name = "Analytical Engines".parse().unwrap();
    firm.apply(&TenantEvent::Registered { name, owner_id: UserId(user), trial_ends_at: spec_time() });
    firm
}

fn login() -> (Issuer, Subject) {
    ("https://login.example.com".parse().unwrap(), "ada".parse().unwrap())
}

#[test]
fn one_address_is_one_user_of_the_firm() {
    let when = given::<User>([]).when(invite(&["member"]));
    assert_eq!(when.claims(), [ClaimChange::Take(Claim::personal("identity.user.email", "ada@example.com"))]);
    match when.events() {
        [E::Invited { roles, expires_at, .. }] => {
            assert_eq!(
                (roles.as_slice(), *expires_at),
                ([built_in("member")].as_slice(), spec_time() + TimeDelta::days(14))
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_gives_what_they_do_not_have() {
    let member = || given::<User>([]).asked_with(Role::Member.patterns().iter().copied());
    member().when(invite(&["admin"])).rejected("identity.user.role_exceeds_your_permissions");
    assert_eq!(member().when(invite(&["viewer"])).events().len(), 1);
    given::<User>([]).when(invite(&["owner"])).rejected("identity.user.owner_role_not_assignable");
    given::<User>([]).when(invite(&["partner"])).rejected("identity.user.role_unknown");
}

#[test]
fn a_role_of_the_firms_own_is_given_like_the_others() {
    let partner = custom(&["crm.*", "workflow.*"]);
    let reference = CustomRole::reference(&slug("partner")).unwrap();
    let known =
        || given::<User>([invited(&[]), activated()]).knowing(reference.clone(), Uuid::from_u128(9), partner.clone());
    let assign = || C::AssignRole { role: slug("partner") };
    let assigned = |id| E::RoleAssigned {
        role: GivenRole { name: slug("partner"), id: Some(kernel::RoleId(Uuid::from_u128(id))) },
    };
    known().when(assign()).then([assigned(9)]);
    let again = given::<User>([invited(&[]), activated(), assigned(8)]);
    let again = again.knowing(reference.clone(), Uuid::from_u128(9), partner.clone());
    again.when(assign()).then([assigned(9)]);
    known().asked_with(["crm.*"]).when(assign()).rejected("identity.user.role_exceeds_your_permissions");
}

#[test]
fn a_right_for_a_resource_is_given_by_who_has_it() {
    let acme = Resource::from(ClientId(Uuid::from_u128(5)));
    let grant = |pattern: &str| C::Grant { pattern: pattern.parse().unwrap(), resource: acme };
    let granted = E::Granted { pattern: "projects.*".parse().unwrap(), resource: acme };
    let user = || given::<User>([invited(&[]), activated()]);
    user().when(grant("projects.*")).then([granted.clone()]);
    user().asked_with(["crm.*"]).when(grant("projects.*")).rejected("identity.user.grant_exceeds_your_permissions");
    user().when(grant("!projects.*")).rejected("identity.user.pattern_not_grantable");
    user().when(grant("projects.*:own")).rejected("identity.user.pattern_not_grantable");
    let has = || given::<User>([invited(&[]), activated(), granted.clone()]);
    has().when(grant("projects.*")).then([]);
    let revoke = || C::RevokeGrant { pattern: "projects.*".parse().unwrap(), resource: acme };
    let revoked = E::GrantRevoked { pattern: "projects.*".parse().unwrap(), resource: acme };
    has().asked_with(["crm.*"]).when(revoke()).then([revoked]);
    let gone = given::<User>([invited(&[]), activated(), granted.clone(), E::Left {}, invited(&[]), activated()]);
    gone.when(revoke()).then([]);
}

#[test]
fn an_invitation_is_accepted_once_and_in_time() {
    let user = |events: &[E]| given::<User>(events.to_vec()).by_system();
    user(&[invited(&[])]).when(accept(8)).then([activated()]);
    user(&[invited(&[])]).when(accept(9)).rejected("identity.user.invitation_not_open");
    user(&[invited(&[]), activated()]).when(accept(8)).rejected("identity.user.invitation_not_open");
    let late = user(&[invited(&[])]).at(spec_time() + TimeDelta::days(15));
    late.when(accept(8)).rejected("identity.user.invitation_expired");
}

#[test]
fn an_owner_hands_the_firm_over_before_leaving() {
    let known = |owner| {
        let user = given::<User>([invited(&[]), activated()]).with_id(SELF);
        let firm = Uuid::from_u128(1);
        user.knowing(Reference::id::<Tenant>(firm), firm, owned_by(owner))
    };
    for command in [
        C::Leave {},
        C::Suspend { reason: "on leave".parse().unwrap() },
        C::Deactivate { reason: "has gone".parse().unwrap() },
    ] {
        known(SELF).when(command).rejected("identity.user.owner");
    }
    known(Uuid::from_u128(7)).when(C::Leave {}).then([E::Left {}]);
}

#[test]
fn nobody_leaves_for_somebody_else() {
    given::<User>([invited(&[]), activated()]).when(C::Leave {}).rejected("identity.user.not_yourself");
}

#[test]
fn who_goes_gives_the_logins_up_and_can_be_invited_again() {
    let (issuer, subject) = login();
    let linked = E::LoginLinked { issuer: issuer.clone(), subject: subject.into() };
    let deactivate = C::Deactivate { reason: "has gone".parse().unwrap() };
    let gone = given::<User>([invited(&[]), activated(), linked]).when(deactivate);
    assert_eq!(gone.claims(), [ClaimChange::Release(User::login(&issuer, "ada"))]);
    assert_eq!(gone.flags(), [(Flag::KEPT_OUT, true)]);
    assert_eq!(gone.forbidden_by(), [(Flag::OWNER, Uuid::from_u128(3))]);
    let out = [invited(&["viewer"]), activated(), E::Left {}];
    given::<User>(out.clone()).when(C::AssignRole { role: slug("admin") }).rejected("identity.user.deactivated");
    let again = given::<User>(out).when(C::Reinvite { roles: None, expires_in_days: None, invitation_id: None });
    assert_eq!((again.claims(), again.events().len()), (vec![], 1), "the address is still this user's");
}

#[test]
fn who_comes_back_begins_anew() {
    let again = E::Invited {
        invitation_id: InvitationId(Uuid::from_u128(8)),
        email: Personal::new("ada@example.com".parse().unwrap()),
        name: Personal::new("Ada Lovelace".parse().unwrap()),
        roles: vec![],
        expires_at: spec_time() + TimeDelta::days(14),
        days: 14,
    };
    let gone = || vec![invited(&["admin"]), activated(), E::Left {}];
    let reinvite = |roles: Option<&[&str]>| C::Reinvite {
        roles: roles.map(|roles| roles.iter().map(|role| slug(role)).collect()),
        expires_in_days: None,
        invitation_id: None,
    };
    let roles_of = |when: kernel::spec::When<User>| match when.events() {
        [E::Invited { roles, .. }] => roles.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(roles_of(given::<User>(gone()).when(reinvite(None))), []);
    assert_eq!(roles_of(given::<User>(gone()).when(reinvite(Some(&["viewer"])))), [built_in("viewer")]);
    assert_eq!(roles_of(given::<User>([invited(&["viewer"])]).when(reinvite(None))), [built_in("viewer")]);
    let member = || Role::Member.patterns().iter().copied();
    given::<User>(gone())
        .asked_with(member())
        .when(reinvite(Some(&["admin"])))
        .rejected("identity.user.role_exceeds_your_permissions");
    given::<User>([invited(&["admin"])])
        .asked_with(member())
        .when(reinvite(None))
        .rejected("identity.user.role_exceeds_your_permissions");
    let when = given::<User>([gone(), vec![again]].concat()).by_system().when(accept(8));
    assert_eq!(when.flags(), [(Flag::KEPT_OUT, false)]);
    assert_eq!(when.state().membership(), 1);
}

#[test]
fn to_end_a_denial_is_to_give() {
    let id = kernel::RoleId(Uuid::from_u128(9));
    let held = |id| E::RoleAssigned { role: GivenRole { name: slug("partner"), id: Some(id) } };
    let user = |role: &'static str, patterns: &[&str]| {
        let user = given::<User>([invited(&[role]), activated(), held(id)]);
        user.knowing(Reference::id::<CustomRole>(id), id, custom(patterns))
    };
    let revoke = || C::RevokeRole { role: slug("partner") };
    let denied = ["*", "!crm.client.block"];
    let by_denied = user("member", &["!crm.client.block"]).asked_with(denied);
    by_denied.when(revoke()).rejected("identity.user.role_exceeds_your_permissions");
    assert_eq!(user("member", &["!crm.client.block"]).when(revoke()).events().len(), 1);
    assert_eq!(
        user("member", &["!identity.tenant.close"]).asked_with(["crm.*"]).when(revoke()).events().len(),
        1,
        "no gain"
    );
    assert_eq!(user("viewer", &["workflow.*"]).asked_with(["crm.*"]).when(revoke()).events().len(), 1, "only taken");
}

#[test]
fn a_right_is_taken_however_the_person_stands() {
    let acme = Resource::from(ClientId(Uuid::from_u128(5)));
    let granted = E::Granted { pattern: "projects.*".parse().unwrap(), resource: acme };
    let suspended = E::Suspended { reason: Personal::new("leave".parse().unwrap()) };
    let events = |more: Vec<E>| [vec![invited(&["viewer"]), activated(), granted.clone()], more].concat();
    let (issuer, subject) = login();
    for (more, taken) in [(vec![suspended], 1), (vec![E::Left {}], 0)] {
        let when = |command: C| given::<User>(events(more.clone())).when(command).events().len();
        assert_eq!(when(C::RevokeRole { role: slug("viewer") }), taken);
        assert_eq!(when(C::RevokeGrant { pattern: "projects.*".parse().unwrap(), resource: acme }), taken);
        assert_eq!(when(C::UnlinkLogin { issuer: issuer.clone(), subject: subject.clone() }), 0);
        assert_eq!(when(C::RevokeInvitation {}), 0);
        assert_eq!(when(C::Suspend { reason: "again".parse().unwrap() }), 0);
        assert_eq!(when(C::Deactivate { reason: "again".parse().unwrap() }), taken);
    }
    let invitation_id = InvitationId(Uuid::from_u128(8));
    let suspend = C::Suspend { reason: "a mistake".parse().unwrap() };
    given::<User>([invited(&[])]).when(suspend).then([E::InvitationRevoked { invitation_id }]);
}

#[test]
fn who_may_do_less_lets_nobody_in_again() {
    let suspended = || {
        let reason = Personal::new("leave".parse().unwrap());
        given::<User>([invited(&["admin"]), activated(), E::Suspended { reason }])
    };
    let member = suspended().asked_with(Role::Member.patterns().iter().copied());
    member.when(C::Reinstate {}).rejected("identity.user.role_exceeds_your_permissions");
    suspended().asked_with(Role::Admin.patterns().iter().copied()).when(C::Reinstate {}).then([E::Reinstated {}]);
    // A right that waits for whoever was invited comes in with them.
    let resource = Resource::from(ClientId(Uuid::from_u128(5)));
    let granted = || E::Granted { pattern: "projects.*".parse().unwrap(), resource };
    for roles in [None, Some(vec![])] {
        let waits = given::<User>([invited(&[]), granted()]).asked_with(["identity.*"]);
        let refused = if roles.is_none() { "role_exceeds_your_permissions" } else { "grant_exceeds_your_permissions" };
        let reinvite = C::Reinvite { roles, expires_in_days: None, invitation_id: None };
        waits.when(reinvite).rejected(&format!("identity.user.{refused}"));
    }
}

#[test]
fn what_lets_an_owner_in_is_an_owners_to_take() {
    let (issuer, subject) = login();
    let linked = E::LoginLinked { issuer: issuer.clone(), subject: subject.clone().into() };
    let owner = |by: Role| {
        let user = given::<User>([invited(&[]), activated(), linked.clone()]).with_id(Uuid::from_u128(7));
        let (firm, owned) = (Uuid::from_u128(1), owned_by(Uuid::from_u128(7)));
        user.knowing(Reference::id::<Tenant>(firm), firm, owned).asked_with(by.patterns().iter().copied())
    };
    let unlink = || C::UnlinkLogin { issuer: issuer.clone(), subject: subject.clone() };
    owner(Role::Admin).when(unlink()).rejected("identity.user.owners_only");
    assert_eq!(owner(Role::Owner).when(unlink()).events().len(), 1);
}

#[test]
fn a_login_is_one_persons() {
    let (issuer, subject) = login();
    let link = C::LinkLogin { issuer: issuer.clone(), subject };
    let user = || given::<User>([invited(&[]), activated()]);
    user().when(link.clone()).rejected("identity.user.login_only");
    let when = user().by_system().when(link);
    assert_eq!(when.claims(), [ClaimChange::Take(User::login(&issuer, "ada"))]);
}
