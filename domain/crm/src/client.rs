//! A client: an organisation or person that the firm serves.

use crm_events::{AddressKind, ClientEvent as E, ClientKind, ClientStatus};
use kernel::{
    Aggregate, ClaimChange, ClientId, ContactDetails, Context, Decision, Email, Flag, Machine, Name, Patch, Personal,
    Phone, PostalAddress, Resource, Scope, Slug, Text, UserId, WebAddress, command, rejection,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

use ClientCommand as C;
use ClientRejection as R;

/// Which client of the firm has an address.
const EMAIL_CLAIM: &str = "crm.client.email";
/// Tags one client may carry.
const TAGS_MAX: usize = 50;

/// What may be asked of a client.
#[command("crm.client", member)]
pub enum ClientCommand {
    /// Adds a client to the golden record.
    #[creates]
    #[refused("email.taken")]
    Create {
        /// What the client is called.
        name: Name,
        /// Organisation (the default) or person.
        #[serde(default)]
        kind: ClientKind,
        /// The main address; no two clients of a firm share one.
        #[serde(default)]
        email: Option<Email>,
        /// The main telephone number, E.164.
        #[serde(default)]
        phone: Option<Phone>,
    },
    /// Gives the client another name.
    #[refused(Blocked)]
    Rename {
        /// The new name.
        name: Name,
    },
    /// Changes the main address or telephone number. What is left out stays, `null` removes it.
    #[refused(Blocked, "email.taken")]
    ChangeContactDetails {
        /// The main address.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        email: Patch<Email>,
        /// The main telephone number, E.164.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        phone: Patch<Phone>,
    },
    /// Moves the client along: prospect, onboarding, active, dormant, former.
    #[refused(Blocked, InvalidStatusTransition)]
    ChangeStatus {
        /// Where the client stands from now on.
        status: ClientStatus,
    },
    /// Makes somebody of the firm responsible for the client.
    #[refused(Blocked)]
    AssignOwner {
        /// Who.
        owner_id: UserId,
    },
    /// Puts a tag on the client.
    #[refused(Blocked, TooManyTags)]
    Tag {
        /// The tag.
        tag: Slug,
    },
    /// Takes a tag off the client.
    #[refused(Blocked)]
    Untag {
        /// The tag.
        tag: Slug,
    },
    /// Changes the client's address of a kind, or gives it one.
    #[refused(Blocked)]
    ChangeAddress {
        /// Of which kind.
        kind: AddressKind,
        /// The address.
        address: PostalAddress,
    },
    /// Takes the client's address of a kind away.
    #[refused(Blocked)]
    RemoveAddress {
        /// Of which kind.
        kind: AddressKind,
    },
    /// Changes what is told of the client. What is left out stays, `null` removes it.
    #[refused(Blocked)]
    Describe {
        /// Where it is on the web.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        website: Patch<WebAddress>,
        /// What it does.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        industry: Patch<Name>,
        /// What else the firm should know.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        notes: Patch<Text>,
    },
    /// Forbids changes and new work for the client until it is unblocked.
    Block {
        /// Why.
        reason: Name,
    },
    /// Allows new work for the client again.
    Unblock {},
}

/// Why a client's command may be refused.
#[rejection("crm.client")]
pub enum ClientRejection {
    /// The client is blocked; unblock it first.
    Blocked,
    /// A client cannot go from its present status to that one.
    InvalidStatusTransition,
    /// A client carries at most 50 tags.
    TooManyTags,
}

/// What is told of a client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Description {
    website: Option<Personal<WebAddress>>,
    industry: Option<Personal<Name>>,
    notes: Option<Personal<Text>>,
}

/// What is remembered of a client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Client {
    name: String,
    details: ContactDetails,
    status: ClientStatus,
    owner_id: Option<UserId>,
    tags: BTreeSet<Slug>,
    addresses: BTreeMap<AddressKind, Personal<PostalAddress>>,
    description: Description,
    blocked: bool,
}

impl Aggregate for Client {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "crm/clients";
    const STATE_VERSION: i32 = 3;

    fn belongs_to(&self, id: Uuid) -> Vec<Resource> {
        vec![ClientId(id).into()]
    }

    fn scope(&self, id: Uuid, _command: &C) -> Scope {
        Scope::of(self.belongs_to(id)).owned_by(self.owner_id)
    }

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Create { name, kind, email, phone } => {
                vec![E::Created { name: name.into(), kind, details: ContactDetails::new(email, phone) }]
            }
            C::Unblock {} if self.blocked => vec![E::Unblocked {}],
            C::Unblock {} => vec![],
            // Blocking twice is already so; the first reason stays.
            C::Block { .. } if self.blocked => vec![],
            C::Block { reason } => vec![E::Blocked { reason: reason.into() }],
            _ if self.blocked => return Err(R::Blocked),
            C::Rename { name } if name.as_str() == self.name => vec![],
            C::Rename { name } => vec![E::Renamed { name: name.into() }],
            C::ChangeContactDetails { email, phone } => {
                let details = self.details.changed(email, phone);
                details.map(|details| E::ContactDetailsChanged { details }).into_iter().collect()
            }
            C::ChangeStatus { status } if status == self.status => vec![],
            C::ChangeStatus { status } if !self.status.leads_to(status) => return Err(R::InvalidStatusTransition),
            C::ChangeStatus { status } => vec![E::StatusChanged { from: self.status, to: status }],
            C::AssignOwner { owner_id } if self.owner_id == Some(owner_id) => vec![],
            C::AssignOwner { owner_id } => vec![E::OwnerAssigned { owner_id }],
            C::Tag { tag } if self.tags.contains(&tag) => vec![],
            C::Tag { .. } if self.tags.len() >= TAGS_MAX => return Err(R::TooManyTags),
            C::Tag { tag } => vec![E::Tagged { tag }],
            C::Untag { tag } if self.tags.contains(&tag) => vec![E::Untagged { tag }],
            C::Untag { .. } => vec![],
            C::ChangeAddress { kind, address } => {
                let address = Personal::new(address);
                let is_so = self.addresses.get(&kind) == Some(&address);
                if is_so { vec![] } else { vec![E::AddressChanged { kind, address }] }
            }
            C::RemoveAddress { kind } if self.addresses.contains_key(&kind) => vec![E::AddressRemoved { kind }],
            C::RemoveAddress { .. } => vec![],
            C::Describe { website, industry, notes } => {
                let before = &self.description;
                let after = Description {
                    website: website.over(&before.website),
                    industry: industry.over(&before.industry),
                    notes: notes.over(&before.notes),
                };
                let is_so = after == self.description;
                let Description { website, industry, notes } = after;
                if is_so { vec![] } else { vec![E::Described { website, industry, notes }] }
            }
        })
    }

    fn apply(&mut self, event: &E) {
        self.status = self.status.after(event);
        match event {
            E::Created { name, kind: _, details } => {
                self.name = name.text().to_owned();
                self.details = details.clone();
            }
            E::Renamed { name } => self.name = name.text().to_owned(),
            E::ContactDetailsChanged { details } => self.details = details.clone(),
            E::StatusChanged { .. } => {}
            E::OwnerAssigned { owner_id } => self.owner_id = Some(*owner_id),
            E::Tagged { tag } => {
                self.tags.insert(tag.clone());
            }
            E::Untagged { tag } => {
                self.tags.remove(tag);
            }
            E::AddressChanged { kind, address } => {
                self.addresses.insert(*kind, address.clone());
            }
            E::AddressRemoved { kind } => {
                self.addresses.remove(kind);
            }
            E::Described { website, industry, notes } => {
                let (website, industry, notes) = (website.clone(), industry.clone(), notes.clone());
                self.description = Description { website, industry, notes };
            }
            E::Blocked { reason: _ } => self.blocked = true,
            E::Unblocked {} => self.blocked = false,
        }
    }

    fn flags(&self, event: &E) -> Vec<(Flag, bool)> {
        match event {
            E::Blocked { reason: _ } => vec![(Flag::CLIENT_BLOCKED, true)],
            E::Unblocked {} => vec![(Flag::CLIENT_BLOCKED, false)],
            _ => vec![],
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Created { details, .. } | E::ContactDetailsChanged { details } => {
                details.claims_over(&self.details, EMAIL_CLAIM)
            }
            _ => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::given;
    use kernel::{Actor, Claim, Personal, TenantId};
    use proptest::prelude::*;

    fn created() -> E {
        E::Created {
            name: Personal::new("Analytical Engines".parse().unwrap()),
            kind: ClientKind::Organisation,
            details: ContactDetails::new(Some("office@engines.example".parse().unwrap()), None),
        }
    }

    #[test]
    fn a_new_client_claims_its_address() {
        let create = C::Create {
            name: "Analytical Engines".parse().unwrap(),
            kind: ClientKind::Organisation,
            email: Some("office@engines.example".parse().unwrap()),
            phone: None,
        };
        let claims = given::<Client>([]).when(create).then([created()]).claims();
        assert_eq!(claims, [ClaimChange::Take(Claim::personal("crm.client.email", "office@engines.example"))]);
    }

    #[test]
    fn another_address_frees_the_old_one() {
        let change = C::ChangeContactDetails {
            email: Patch::Set("new@engines.example".parse().unwrap()),
            phone: Patch::Unchanged,
        };
        let claims = given::<Client>([created()]).when(change).claims();
        assert_eq!(
            claims,
            [
                ClaimChange::Release(Claim::personal("crm.client.email", "office@engines.example")),
                ClaimChange::Take(Claim::personal("crm.client.email", "new@engines.example")),
            ]
        );
    }

    #[test]
    fn renaming_to_the_same_name_is_already_so() {
        let rename = C::Rename { name: "Analytical Engines".parse().unwrap() };
        given::<Client>([created()]).when(rename).then_nothing();
    }

    #[test]
    fn a_prospect_is_taken_on() {
        let change = C::ChangeStatus { status: ClientStatus::Onboarding };
        let changed = E::StatusChanged { from: ClientStatus::Prospect, to: ClientStatus::Onboarding };
        given::<Client>([created()]).when(change).then([changed]);
    }

    #[test]
    fn a_prospect_cannot_become_dormant() {
        let change = C::ChangeStatus { status: ClientStatus::Dormant };
        given::<Client>([created()]).when(change).rejected("crm.client.invalid_status_transition");
    }

    #[test]
    fn a_client_has_one_address_of_each_kind() {
        let address = |line1: &str| PostalAddress {
            line1: line1.parse().unwrap(),
            line2: None,
            city: "London".parse().unwrap(),
            region: None,
            postal_code: Some("NW1 5LR".parse().unwrap()),
            country: "GB".parse().unwrap(),
        };
        let change = |kind, line1: &str| C::ChangeAddress { kind, address: address(line1) };
        let changed = |kind, line1: &str| E::AddressChanged { kind, address: Personal::new(address(line1)) };
        let (billing, other) = (AddressKind::Billing, AddressKind::Other);
        let home = changed(billing, "Marylebone Road 12");
        given::<Client>([created()]).when(change(billing, "Marylebone Road 12")).then([home.clone()]);
        let moved = || given::<Client>([created(), home.clone()]);
        moved().when(change(billing, "Marylebone Road 12")).then_nothing();
        moved().when(change(billing, "Dorset Street 1")).then([changed(billing, "Dorset Street 1")]);
        moved().when(change(other, "Marylebone Road 12")).then([changed(other, "Marylebone Road 12")]);
        moved().when(C::RemoveAddress { kind: billing }).then([E::AddressRemoved { kind: billing }]);
        moved().when(C::RemoveAddress { kind: other }).then_nothing();
    }

    #[test]
    fn what_is_told_of_a_client_changes_in_parts() {
        let describe = |body: &str| <C as kernel::Command>::parse("describe", body).unwrap();
        let described = |website: Option<&str>, industry: Option<&str>| E::Described {
            website: website.map(|text| text.parse().unwrap()),
            industry: industry.map(|text| text.parse().unwrap()),
            notes: None,
        };
        let site = described(Some("https://engines.example/"), None);
        given::<Client>([created()]).when(describe(r#"{"website":"https://Engines.example"}"#)).then([site.clone()]);
        let told = || given::<Client>([created(), site.clone()]);
        told().when(describe("{}")).then_nothing();
        told().when(describe(r#"{"website":"https://engines.example","notes":null}"#)).then_nothing();
        let both = described(Some("https://engines.example/"), Some("Machines"));
        told().when(describe(r#"{"industry":"Machines"}"#)).then([both]);
        told().when(describe(r#"{"website":null}"#)).then([described(None, None)]);
    }

    #[test]
    fn a_blocked_client_cannot_be_renamed() {
        let blocked = E::Blocked { reason: "unpaid invoices".parse().unwrap() };
        let rename = C::Rename { name: "Difference Engines".parse().unwrap() };
        given::<Client>([created(), blocked]).when(rename).rejected("crm.client.blocked");
    }

    #[test]
    fn blocking_twice_keeps_the_first_reason() {
        let blocked = E::Blocked { reason: "unpaid invoices".parse().unwrap() };
        given::<Client>([created(), blocked]).when(C::Block { reason: "other".parse().unwrap() }).then_nothing();
    }

    #[test]
    fn a_fifty_first_tag_is_refused() {
        let tags = (0..TAGS_MAX).map(|n| E::Tagged { tag: format!("tag{n}").parse().unwrap() });
        let tag = C::Tag { tag: "one-more".parse().unwrap() };
        given::<Client>([created()].into_iter().chain(tags)).when(tag).rejected("crm.client.too_many_tags");
    }

    #[test]
    fn a_client_is_called_differently_from_now_on() {
        let rename = C::Rename { name: "Difference Engines".parse().unwrap() };
        let renamed = E::Renamed { name: Personal::new("Difference Engines".parse().unwrap()) };
        given::<Client>([created()]).when(rename).then([renamed]);
    }

    #[test]
    fn the_same_address_with_another_number_stays_claimed() {
        let change = C::ChangeContactDetails {
            email: Patch::Set("office@engines.example".parse().unwrap()),
            phone: Patch::Set("+442079460000".parse().unwrap()),
        };
        let when = given::<Client>([created()]).when(change);
        assert_eq!(when.events().len(), 1);
        assert_eq!(when.claims(), []);
    }

    #[test]
    fn an_address_that_is_removed_is_free_for_others() {
        let removed = E::ContactDetailsChanged { details: ContactDetails::default() };
        let change = || C::ChangeContactDetails { email: Patch::Removed, phone: Patch::Unchanged };
        let claims = given::<Client>([created()]).when(change()).then([removed.clone()]).claims();
        assert_eq!(claims, [ClaimChange::Release(Claim::personal("crm.client.email", "office@engines.example"))]);
        given::<Client>([created(), removed]).when(change()).then_nothing();
    }

    #[test]
    fn somebody_is_made_responsible_once() {
        let owner_id = UserId(Uuid::from_u128(5));
        let assigned = E::OwnerAssigned { owner_id };
        given::<Client>([created()]).when(C::AssignOwner { owner_id }).then([assigned.clone()]);
        given::<Client>([created(), assigned]).when(C::AssignOwner { owner_id }).then_nothing();
    }

    #[test]
    fn a_tag_is_put_on_and_taken_off_once() {
        let tag: Slug = "vip".parse().unwrap();
        let tagged = E::Tagged { tag: tag.clone() };
        given::<Client>([created()]).when(C::Tag { tag: tag.clone() }).then([tagged.clone()]);
        given::<Client>([created(), tagged.clone()]).when(C::Tag { tag: tag.clone() }).then_nothing();
        let untag = || C::Untag { tag: tag.clone() };
        given::<Client>([created(), tagged]).when(untag()).then([E::Untagged { tag: tag.clone() }]);
        given::<Client>([created()]).when(untag()).then_nothing();
    }

    #[test]
    fn a_detail_that_is_left_out_stays() {
        let change = |body: &str| <C as kernel::Command>::parse("change_contact_details", body).unwrap();
        let numbered = E::ContactDetailsChanged {
            details: ContactDetails::new(
                Some("office@engines.example".parse().unwrap()),
                Some("+442079460000".parse().unwrap()),
            ),
        };
        let when = given::<Client>([created()]).when(change(r#"{"phone":"+442079460000"}"#)).then([numbered]);
        assert_eq!(when.claims(), []);
        given::<Client>([created()]).when(change("{}")).then_nothing();
        given::<Client>([created()]).when(change(r#"{"phone":null}"#)).then_nothing();
    }

    #[test]
    fn every_wrong_field_of_a_new_client_is_named() {
        let body = r#"{"kind":"organization","email":"a@","phone":7,"nmae":"Ada"}"#;
        let errors = <C as kernel::Command>::parse("create", body).unwrap_err();
        let said: Vec<(&str, &str)> = errors.iter().map(|e| (e.pointer.as_str(), e.code.as_str())).collect();
        assert_eq!(
            said,
            [
                ("/nmae", "unknown"),
                ("/name", "required"),
                ("/kind", "not_one_of"),
                ("/email", "not_an_email"),
                ("/phone", "wrong_type"),
            ]
        );
    }

    #[test]
    fn an_unblocked_client_takes_changes_again() {
        let blocked = || E::Blocked { reason: "unpaid invoices".parse().unwrap() };
        let block = C::Block { reason: "unpaid invoices".parse().unwrap() };
        given::<Client>([created()]).when(block).then([blocked()]);
        given::<Client>([created(), blocked()]).when(C::Unblock {}).then([E::Unblocked {}]);
        given::<Client>([created()]).when(C::Unblock {}).then_nothing();
        let tag = C::Tag { tag: "vip".parse().unwrap() };
        let events = [created(), blocked(), E::Unblocked {}];
        assert_eq!(given::<Client>(events).when(tag).events().len(), 1);
    }

    fn any_command() -> impl Strategy<Value = C> {
        use ClientStatus::{Active, Dormant, Former, Onboarding, Prospect};
        let email = (0..5u8).prop_map(|n| match n {
            0 => Patch::Unchanged,
            1 => Patch::Removed,
            n => Patch::Set(format!("box{n}@engines.example").parse().unwrap()),
        });
        let tag = || (0..3u8).prop_map(|n| format!("tag{n}").parse().unwrap());
        prop_oneof![
            (0..3u8).prop_map(|n| C::Rename { name: format!("Engines {n}").parse().unwrap() }),
            email.prop_map(|email| C::ChangeContactDetails { email, phone: Patch::Unchanged }),
            prop::sample::select(vec![Prospect, Onboarding, Active, Dormant, Former])
                .prop_map(|status| C::ChangeStatus { status }),
            (0..2u128).prop_map(|n| C::AssignOwner { owner_id: UserId(Uuid::from_u128(n)) }),
            tag().prop_map(|tag| C::Tag { tag }),
            tag().prop_map(|tag| C::Untag { tag }),
            Just(C::Block { reason: "unpaid invoices".parse().unwrap() }),
            Just(C::Unblock {}),
        ]
    }

    proptest! {
        /// Whatever is asked: asking twice changes nothing more, a blocked client does not change, the address that is
        /// held is the one that is remembered, and a snapshot is as good as the whole history.
        #[test]
        fn a_client_holds_what_it_remembers(commands in prop::collection::vec(any_command(), 0..40)) {
            let (tenant, actor) = (TenantId::default(), Actor::System { name: "spec".to_owned() });
            let ctx = Context::new(tenant, actor, kernel::spec::spec_time(), Uuid::nil(), Uuid::nil());
            let mut state = Client::default();
            let mut held = BTreeSet::new();
            let mut remember = |state: &mut Client, event: &E| {
                for change in state.claims(event) {
                    match change {
                        ClaimChange::Take(claim) => held.insert(claim),
                        ClaimChange::Release(claim) => held.remove(&claim),
                    };
                }
                state.apply(event);
                held.clone()
            };
            remember(&mut state, &created());
            for command in commands {
                let before = state.clone();
                let Ok(events) = state.decide(command.clone(), &ctx) else { continue };
                for event in &events {
                    let held = remember(&mut state, event);
                    prop_assert_eq!(held, state.details.claim(EMAIL_CLAIM).into_iter().collect::<BTreeSet<_>>());
                }
                if before.blocked && state.blocked {
                    prop_assert_eq!(&state, &before);
                }
                prop_assert_eq!(state.decide(command, &ctx), Ok(vec![]));
                let snapshot = serde_json::to_string(&state).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Client>(&snapshot).unwrap(), &state);
            }
        }
    }
}
