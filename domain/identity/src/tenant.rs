//! A tenant: the firm itself, whether it comes in, and who owns it.

use crate::User;
use chrono::TimeDelta;
use identity_events::{TenantEvent as E, TenantStatus as Status};
use kernel::{
    Aggregate, Claim, ClaimChange, Context, Decision, Flag, Issuer, Machine, Name, Reference, Role, TimeZone,
    Timestamp, UserId, command, rejection,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

use TenantCommand as C;
use TenantRejection as R;

/// How long a firm tries UBOS.
const TRIAL_DAYS: i64 = 30;
/// How long the data of a closed firm is kept.
const CLOSED_DAYS: i64 = 30;
/// Providers that one firm names.
const PROVIDERS_MAX: usize = 20;

/// What may be asked of a tenant.
#[command("identity.tenant", !member)]
pub enum TenantCommand {
    /// Lets a firm in; its first owner is invited next.
    #[creates]
    #[refused(IdMismatch, OperatorsOnly, "identity.user.kept_out")]
    Register {
        /// What the firm is called.
        name: Name,
        /// Its first owner.
        owner_id: UserId,
    },
    /// Gives the firm another name.
    #[refused(Closed, Suspended)]
    Rename {
        /// What it is called from now on.
        name: Name,
    },
    /// Says where the firm's clocks hang, and so which day it is for the firm; UTC until then.
    #[refused(Closed, Suspended)]
    SetTimeZone {
        /// An IANA name.
        time_zone: TimeZone,
    },
    /// Makes the firm a customer, also one that owed a payment.
    #[refused(Closed, Suspended, OperatorsOnly)]
    Activate {},
    /// Notes that the firm owes a payment.
    #[refused(Closed, Suspended, OperatorsOnly)]
    MarkPastDue {},
    /// Keeps everybody of the firm out for the time being.
    #[refused(OperatorsOnly)]
    Suspend {
        /// Why.
        reason: Name,
    },
    /// Lets the firm in again.
    #[refused(Closed, OperatorsOnly)]
    Resume {},
    /// Ends the firm's time with UBOS; its data is kept for 30 days.
    Close {},
    /// Undoes the end while the data is there; an owner can, or an operator.
    #[refused(Purged)]
    Reopen {},
    /// Lets people in through these providers only, or through any that there are.
    #[refused(Closed, Suspended, TooManyProviders, ProviderUnknown, OwnerLockedOut)]
    LimitLogins {
        /// Each provider's `iss`, one of the installation's, at most 20; any of them if there are none. Each owner who has
        /// logged in keeps a way in.
        issuers: Vec<Issuer>,
    },
    /// Makes an active user an owner; whoever does that may do everything.
    #[refused(Closed, Suspended, UserNotActive, OwnershipExceedsYourPermissions, "identity.user.kept_out")]
    AddOwner {
        /// Who.
        user_id: UserId,
    },
    /// Makes an owner an ordinary user; somebody has to stay.
    #[refused(LastOwner)]
    RemoveOwner {
        /// Who.
        user_id: UserId,
    },
    /// Puts one owner in another's place; whoever does that may do everything.
    #[refused(
        Closed,
        Suspended,
        SuccessorNotActive,
        NotAnOwner,
        OwnershipExceedsYourPermissions,
        "identity.user.kept_out"
    )]
    TransferOwnership {
        /// Who is an owner now.
        from_user_id: UserId,
        /// Who will be one.
        to_user_id: UserId,
    },
    /// Notes that an event of the firm that could not be applied is read as something else now; only UBOS itself does.
    #[refused(OperatorsOnly)]
    NoteRepair {
        /// The event's position.
        position: i64,
        /// The event.
        event_id: Uuid,
        /// The kind of stream it belongs to.
        aggregate_type: String,
        /// The stream.
        aggregate_id: Uuid,
        /// Why.
        reason: Name,
    },
}

/// Why a tenant's command may be refused.
#[rejection("identity.tenant")]
pub enum TenantRejection {
    /// A firm is registered under its own id.
    IdMismatch,
    /// The firm is closed; reopen it first.
    Closed,
    /// The firm is suspended; let it in again first.
    Suspended,
    /// The firm's data is destroyed by now.
    Purged,
    /// Only an active user can be an owner.
    #[invalid("/user_id")]
    UserNotActive,
    /// Only an active user can be an owner.
    #[invalid("/to_user_id")]
    SuccessorNotActive,
    /// This user is no owner.
    NotAnOwner,
    /// A firm has an owner; make somebody else one first.
    LastOwner,
    /// A firm names 20 providers at most.
    #[invalid("/issuers")]
    TooManyProviders,
    /// This installation has no such provider.
    #[invalid("/issuers")]
    ProviderUnknown,
    /// An owner of the firm would not come in any more; let them log in at one of these providers first.
    #[invalid("/issuers")]
    OwnerLockedOut,
    /// An owner may do everything, and you may not.
    #[audited]
    OwnershipExceedsYourPermissions,
    /// Only operators of UBOS do this.
    #[audited]
    OperatorsOnly,
}

/// What is remembered of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    name: String,
    status: Status,
    /// Where it would stand had it never closed.
    reopens_as: Status,
    purge_at: Option<Timestamp>,
    owners: BTreeSet<UserId>,
    issuers: BTreeSet<Issuer>,
    time_zone: TimeZone,
}

impl Aggregate for Tenant {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "identity/tenants";
    const STATE_VERSION: i32 = 4;

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::AddOwner { user_id } | C::TransferOwnership { to_user_id: user_id, .. } => {
                vec![Reference::id::<User>(*user_id)]
            }
            C::LimitLogins { .. } => self.owners.iter().map(|owner| Reference::id::<User>(*owner)).collect(),
            _ => vec![],
        }
    }

    fn decide(&self, command: C, ctx: &Context) -> Decision<Self> {
        let gives_everything = ctx.permissions.cover(Role::Owner.patterns().iter().copied());
        let is_active =
            |id: UserId| ctx.referenced::<User>(id).is_some_and(|user| user.is_active() && !user.is_erased());
        Ok(match command {
            C::Register { .. }
            | C::Activate {}
            | C::MarkPastDue {}
            | C::Suspend { .. }
            | C::Resume {}
            | C::NoteRepair { .. }
                if !ctx.actor.is_system() =>
            {
                return Err(R::OperatorsOnly);
            }
            C::Register { .. } if ctx.id != ctx.tenant.0 => return Err(R::IdMismatch),
            C::Register { name, owner_id } => {
                vec![E::Registered { name, owner_id, trial_ends_at: ctx.now + TimeDelta::days(TRIAL_DAYS) }]
            }
            // Whatever the firm's status: what cannot be applied may be what it hangs on.
            C::NoteRepair { position, event_id, aggregate_type, aggregate_id, reason } => {
                vec![E::EventRepaired { position, event_id, aggregate_type, aggregate_id, reason }]
            }
            C::Reopen {} if !self.is_closed() => vec![],
            C::Reopen {} if self.purge_at.is_some_and(|purge_at| purge_at <= ctx.now) => return Err(R::Purged),
            C::Reopen {} => vec![E::Reopened { status: self.reopens_as }],
            C::Close {} if self.is_closed() => vec![],
            C::Close {} => vec![E::Closed { purge_at: ctx.now + TimeDelta::days(CLOSED_DAYS) }],
            // To take something away works however the firm stands.
            C::Suspend { .. } if self.reopens_as == Status::Suspended => vec![],
            C::Suspend { reason } => vec![E::Suspended { reason }],
            C::RemoveOwner { user_id } if !self.owners.contains(&user_id) => vec![],
            C::RemoveOwner { .. } if self.owners.len() == 1 => return Err(R::LastOwner),
            C::RemoveOwner { user_id } => vec![E::OwnerRemoved { user_id }],
            _ if self.is_closed() => return Err(R::Closed),
            C::Resume {} if self.status == Status::Suspended => vec![E::Resumed {}],
            C::Resume {} => vec![],
            _ if self.status == Status::Suspended => return Err(R::Suspended),
            C::Rename { name } if name.as_str() == self.name => vec![],
            C::Rename { name } => vec![E::Renamed { name }],
            C::SetTimeZone { time_zone } if time_zone == self.time_zone => vec![],
            C::SetTimeZone { time_zone } => vec![E::TimeZoneSet { time_zone }],
            C::Activate {} if self.status == Status::Active => vec![],
            C::Activate {} => vec![E::Activated {}],
            C::MarkPastDue {} if self.status == Status::PastDue => vec![],
            C::MarkPastDue {} => vec![E::PaymentOverdue {}],
            C::LimitLogins { issuers } if issuers.len() > PROVIDERS_MAX => return Err(R::TooManyProviders),
            C::LimitLogins { issuers } => {
                let issuers: BTreeSet<Issuer> = issuers.into_iter().collect();
                self.may_limit_to(&issuers, ctx)?;
                let new = issuers != self.issuers;
                new.then_some(E::LoginsLimited { issuers: issuers.into_iter().collect() }).into_iter().collect()
            }
            C::AddOwner { user_id } if self.owners.contains(&user_id) => vec![],
            C::AddOwner { user_id } if !is_active(user_id) => return Err(R::UserNotActive),
            C::AddOwner { .. } if !gives_everything => return Err(R::OwnershipExceedsYourPermissions),
            C::AddOwner { user_id } => vec![E::OwnerAdded { user_id }],
            C::TransferOwnership { from_user_id, to_user_id } if from_user_id == to_user_id => vec![],
            C::TransferOwnership { from_user_id, .. } if !self.owners.contains(&from_user_id) => {
                return Err(R::NotAnOwner);
            }
            C::TransferOwnership { to_user_id, .. } if !is_active(to_user_id) => return Err(R::SuccessorNotActive),
            C::TransferOwnership { .. } if !gives_everything => return Err(R::OwnershipExceedsYourPermissions),
            C::TransferOwnership { from_user_id, to_user_id } => {
                vec![E::OwnershipTransferred { from_user_id, to_user_id }]
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        self.reopens_as = self.reopens_as.after_unless_closed(event);
        match event {
            E::Registered { name, owner_id, trial_ends_at: _ } => {
                self.name = name.to_string();
                self.owners.insert(*owner_id);
            }
            E::Renamed { name } => self.name = name.to_string(),
            E::TimeZoneSet { time_zone } => self.time_zone = time_zone.clone(),
            E::Activated {} | E::PaymentOverdue {} | E::Suspended { .. } | E::Resumed {} => {}
            E::Closed { purge_at } => self.purge_at = Some(*purge_at),
            E::Reopened { .. } => self.purge_at = None,
            E::LoginsLimited { issuers } => self.issuers = issuers.iter().cloned().collect(),
            E::EventRepaired { .. } => {}
            E::OwnerAdded { user_id } => {
                self.owners.insert(*user_id);
            }
            E::OwnerRemoved { user_id } => {
                self.owners.remove(user_id);
            }
            E::OwnershipTransferred { from_user_id, to_user_id } => {
                self.owners.remove(from_user_id);
                self.owners.insert(*to_user_id);
            }
        }
    }

    /// The flag of each owner is up, by which whoever is to go, or to be erased, is known to be one.
    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Registered { owner_id: user, .. } | E::OwnerAdded { user_id: user } => {
                vec![ClaimChange::Take(Self::owner(*user))]
            }
            E::OwnerRemoved { user_id } => vec![ClaimChange::Release(Self::owner(*user_id))],
            E::OwnershipTransferred { from_user_id, to_user_id } => {
                vec![ClaimChange::Release(Self::owner(*from_user_id)), ClaimChange::Take(Self::owner(*to_user_id))]
            }
            _ => vec![],
        }
    }

    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        match event {
            E::Registered { owner_id: user, .. }
            | E::OwnerAdded { user_id: user }
            | E::OwnershipTransferred { to_user_id: user, .. } => vec![(Flag::KEPT_OUT, user.0)],
            _ => vec![],
        }
    }
}

impl Tenant {
    /// What nobody but an owner may do, unless an owner gave it.
    pub(crate) const OWNERS_DO: &str = "identity.tenant.remove_owner";

    fn owner(user: UserId) -> Claim {
        Flag::OWNER.of(user)
    }

    /// Is its time with UBOS over, for now at least?
    pub fn is_closed(&self) -> bool {
        self.status == Status::Closed
    }

    fn may_limit_to(&self, issuers: &BTreeSet<Issuer>, ctx: &Context) -> Result<(), R> {
        if ctx.providers.as_ref().is_some_and(|known| issuers.iter().any(|issuer| !known.contains(issuer))) {
            return Err(R::ProviderUnknown);
        }
        let owners = self.owners.iter().filter_map(|owner| ctx.referenced::<User>(*owner));
        let locked_out = |owner: &User| {
            let mut logins = owner.logs_in_at().peekable();
            logins.peek().is_some() && !logins.any(|issuer| issuers.contains(issuer))
        };
        if !issuers.is_empty() && owners.into_iter().any(locked_out) { Err(R::OwnerLockedOut) } else { Ok(()) }
    }

    /// Do its people log in at this provider?
    pub fn admits(&self, issuer: &Issuer) -> bool {
        self.issuers.is_empty() || self.issuers.contains(issuer)
    }

    /// What the firm is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Is this user one of the firm's owners?
    pub fn is_owner(&self, user: UserId) -> bool {
        self.owners.contains(&user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity_events::UserEvent;
    use kernel::spec::{given, spec_time};
    use kernel::{InvitationId, Personal};

    fn user(number: u128) -> UserId {
        UserId(Uuid::from_u128(number))
    }

    fn registered() -> E {
        let trial_ends_at = spec_time() + TimeDelta::days(30);
        E::Registered { name: "Analytical Engines".parse().unwrap(), owner_id: user(2), trial_ends_at }
    }

    #[test]
    fn a_firm_says_which_providers_its_people_log_in_at() {
        let issuer = |name: &str| format!("https://{name}.example.com").parse::<Issuer>().unwrap();
        let limit = |names: &[&str]| C::LimitLogins { issuers: names.iter().map(|name| issuer(name)).collect() };
        let limited = E::LoginsLimited { issuers: vec![issuer("a"), issuer("b")] };
        given::<Tenant>([registered()]).when(limit(&["b", "a", "b"])).then([limited.clone()]);
        given::<Tenant>([registered(), limited.clone()]).when(limit(&["a", "b"])).then([]);
        given::<Tenant>([registered()]).when(limit(&["a"; 21])).rejected("identity.tenant.too_many_providers");
        let mut firm = Tenant::default();
        assert!(firm.admits(&issuer("c")), "any, unless it says which");
        firm.apply(&limited);
        assert!(firm.admits(&issuer("a")) && !firm.admits(&issuer("c")));
    }

    #[test]
    fn a_firm_names_providers_that_there_are_and_at_which_its_owners_are_known() {
        let issuer = |name: &str| format!("https://{name}.example.com").parse::<Issuer>().unwrap();
        let limit = |name: &str| C::LimitLogins { issuers: vec![issuer(name)] };
        let firm = || given::<Tenant>([registered()]).at_providers(&["https://a.example.com", "https://b.example.com"]);
        firm().when(limit("nowhere")).rejected("identity.tenant.provider_unknown");
        assert_eq!(firm().when(limit("a")).events().len(), 1);
        given::<Tenant>([registered()]).at_providers(&[]).when(limit("a")).rejected("identity.tenant.provider_unknown");
        let mut owner = an_active_user();
        owner.apply(&UserEvent::LoginLinked { issuer: issuer("a"), subject: Personal::new("ada".parse().unwrap()) });
        let known = || firm().knowing(Reference::id::<User>(user(2)), user(2), owner.clone());
        known().when(limit("b")).rejected("identity.tenant.owner_locked_out");
        assert_eq!(known().when(limit("a")).events().len(), 1);
        known().when(C::LimitLogins { issuers: vec![] }).then([]);
    }

    #[test]
    fn whoever_makes_an_owner_may_do_everything() {
        let known = |patterns: &[&'static str]| {
            let firm = given::<Tenant>([registered()]).asked_with(patterns.iter().copied());
            firm.knowing(Reference::id::<User>(user(5)), user(5), an_active_user())
        };
        let add = || C::AddOwner { user_id: user(5) };
        let transfer = || C::TransferOwnership { from_user_id: user(2), to_user_id: user(5) };
        for command in [add(), transfer()] {
            known(&["identity.*"]).when(command.clone()).rejected("identity.tenant.ownership_exceeds_your_permissions");
            let key = known(&["*"]).asked_by_key(["identity.tenant.*"], None);
            key.when(command.clone()).rejected("identity.tenant.ownership_exceeds_your_permissions");
            assert_eq!(known(&["*"]).when(command).events().len(), 1);
        }
    }

    #[test]
    fn nobody_is_an_owner_and_out_at_the_same_time() {
        let owner = |number| Flag::OWNER.of(user(number));
        let known =
            || given::<Tenant>([registered()]).knowing(Reference::id::<User>(user(5)), user(5), an_active_user());
        let transferred = known().when(C::TransferOwnership { from_user_id: user(2), to_user_id: user(5) });
        assert_eq!(transferred.claims(), [ClaimChange::Release(owner(2)), ClaimChange::Take(owner(5))]);
        let added = known().when(C::AddOwner { user_id: user(5) });
        assert_eq!(added.claims(), [ClaimChange::Take(owner(5))]);
        for when in [transferred, added] {
            assert_eq!(when.forbidden_by(), [(Flag::KEPT_OUT, user(5).0)]);
        }
    }

    #[test]
    fn a_firm_is_suspended_and_an_owner_removed_however_it_stands() {
        let suspend = || C::Suspend { reason: "unpaid".parse().unwrap() };
        let two = || vec![registered(), E::OwnerAdded { user_id: user(5) }];
        for standing in [closed(), E::Suspended { reason: "unpaid".parse().unwrap() }] {
            let events = [two(), vec![standing]].concat();
            let removed = given::<Tenant>(events.clone()).by_system().when(C::RemoveOwner { user_id: user(5) });
            removed.then([E::OwnerRemoved { user_id: user(5) }]);
            assert!(given::<Tenant>(events).by_system().when(suspend()).events().len() <= 1);
        }
    }

    fn closed() -> E {
        E::Closed { purge_at: spec_time() + TimeDelta::days(30) }
    }

    fn an_active_user() -> User {
        let invitation_id = InvitationId(Uuid::from_u128(8));
        let mut user = User::default();
        user.apply(&UserEvent::Invited {
            invitation_id,
            email: Personal::new("ada@example.com".parse().unwrap()),
            name: Personal::new("Ada Lovelace".parse().unwrap()),
            roles: vec![],
            expires_at: spec_time(),
            days: 14,
        });
        user.apply(&UserEvent::Activated { invitation_id });
        user
    }

    #[test]
    fn a_firm_is_registered_under_its_own_id_and_tries_for_a_month() {
        let register = || C::Register { name: "Analytical Engines".parse().unwrap(), owner_id: user(2) };
        given::<Tenant>([]).by_system().with_id(Uuid::from_u128(1)).when(register()).then([registered()]);
        given::<Tenant>([]).by_system().when(register()).rejected("identity.tenant.id_mismatch");
    }

    #[test]
    fn a_firms_clocks_hang_in_utc_until_it_says_where() {
        let zone = |name: &str| name.parse::<TimeZone>().unwrap();
        let set = |name| C::SetTimeZone { time_zone: zone(name) };
        let berlin = E::TimeZoneSet { time_zone: zone("Europe/Berlin") };
        given::<Tenant>([registered()]).when(set("UTC")).then_nothing();
        given::<Tenant>([registered()]).when(set("Europe/Berlin")).then([berlin.clone()]);
        given::<Tenant>([registered(), berlin.clone()]).when(set("Europe/Berlin")).then_nothing();
        given::<Tenant>([registered(), berlin, closed()]).when(set("UTC")).rejected("identity.tenant.closed");
    }

    #[test]
    fn the_last_owner_stays() {
        let remove = |number| C::RemoveOwner { user_id: user(number) };
        given::<Tenant>([registered()]).when(remove(2)).rejected("identity.tenant.last_owner");
        let two = [registered(), E::OwnerAdded { user_id: user(5) }];
        given::<Tenant>(two.clone()).when(remove(2)).then([E::OwnerRemoved { user_id: user(2) }]);
        given::<Tenant>(two).when(remove(7)).then([]);
    }

    #[test]
    fn only_who_comes_in_becomes_an_owner() {
        let add = || C::AddOwner { user_id: user(5) };
        given::<Tenant>([registered()]).when(add()).rejected("identity.tenant.user_not_active");
        let known = given::<Tenant>([registered()]);
        let known = known.knowing(Reference::id::<User>(user(5)), user(5), an_active_user());
        known.when(add()).then([E::OwnerAdded { user_id: user(5) }]);
    }

    #[test]
    fn an_owner_hands_the_firm_over_in_one_step() {
        let transfer = |from, to| C::TransferOwnership { from_user_id: user(from), to_user_id: user(to) };
        let known =
            || given::<Tenant>([registered()]).knowing(Reference::id::<User>(user(5)), user(5), an_active_user());
        known().when(transfer(2, 5)).then([E::OwnershipTransferred { from_user_id: user(2), to_user_id: user(5) }]);
        known().when(transfer(7, 5)).rejected("identity.tenant.not_an_owner");
        given::<Tenant>([registered()]).when(transfer(2, 6)).rejected("identity.tenant.successor_not_active");
    }

    #[test]
    fn a_closed_firm_comes_back_while_its_data_is_there() {
        given::<Tenant>([registered()]).when(C::Close {}).then([closed()]);
        let activate = given::<Tenant>([registered(), closed()]).by_system().when(C::Activate {});
        activate.rejected("identity.tenant.closed");
        given::<Tenant>([registered(), closed()]).when(C::Reopen {}).then([E::Reopened { status: Status::Trialing }]);
        let late = given::<Tenant>([registered(), closed()]).at(spec_time() + TimeDelta::days(30));
        late.when(C::Reopen {}).rejected("identity.tenant.purged");
    }

    #[test]
    fn a_firm_that_comes_back_stands_where_it_would_had_it_never_closed() {
        let suspended = E::Suspended { reason: "unpaid".parse().unwrap() };
        for (before, status) in [
            (vec![E::Activated {}, closed()], Status::Active),
            (vec![E::PaymentOverdue {}, closed()], Status::PastDue),
            (vec![suspended.clone(), closed()], Status::Suspended),
            (vec![E::Activated {}, closed(), suspended.clone()], Status::Suspended),
            (vec![closed(), suspended, E::Reopened { status: Status::Suspended }, closed()], Status::Suspended),
        ] {
            let history = [vec![registered()], before].concat();
            let reopened = E::Reopened { status };
            given::<Tenant>(history.clone()).when(C::Reopen {}).then([reopened.clone()]);
            let back = given::<Tenant>([history, vec![reopened]].concat());
            assert_eq!(back.when(C::Close {}).state().reopens_as, status);
        }
    }

    #[test]
    fn a_suspended_firm_changes_nothing() {
        let suspended = [registered(), E::Suspended { reason: "unpaid".parse().unwrap() }];
        let rename = C::Rename { name: "Engines".parse().unwrap() };
        given::<Tenant>(suspended.clone()).when(rename).rejected("identity.tenant.suspended");
        given::<Tenant>(suspended.clone()).when(C::Resume {}).rejected("identity.tenant.operators_only");
        given::<Tenant>(suspended).by_system().when(C::Resume {}).then([E::Resumed {}]);
    }
}
