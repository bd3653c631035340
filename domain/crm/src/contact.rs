//! A contact: a person one talks to, at a client or not yet at one.

use crm_events::ContactEvent as E;
use kernel::{
    Aggregate, Archivable, Claim, ClaimChange, ClientId, Companions, ContactDetails, Context, Decision, Email, Flag,
    Machine, Name, Patch, Personal, Phone, Reference, Resource, Scope, command, rejection,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

use ClaimChange::{Release, Take};
use ContactCommand as C;
use ContactRejection as R;

/// Which contact of the firm has an address.
const EMAIL_CLAIM: &str = "crm.contact.email";

/// What may be asked of a contact.
#[command("crm.contact", member)]
pub enum ContactCommand {
    /// Adds a person to the golden record.
    #[creates]
    #[refused("email.taken")]
    Create {
        /// What the person is called.
        name: Name,
        /// The person's address; no two contacts of a firm share one.
        #[serde(default)]
        email: Option<Email>,
        /// The person's telephone number, E.164.
        #[serde(default)]
        phone: Option<Phone>,
        /// What the person's job is called.
        #[serde(default)]
        title: Option<Name>,
    },
    /// Gives the person another name.
    #[refused(Archived)]
    Rename {
        /// The new name.
        name: Name,
    },
    /// Changes address or telephone number. What is left out stays, `null` removes it.
    #[refused(Archived, "email.taken")]
    ChangeContactDetails {
        /// The address.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        email: Patch<Email>,
        /// The telephone number, E.164.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        phone: Patch<Phone>,
    },
    /// Changes what the person's job is called. What is left out stays, `null` removes it.
    #[refused(Archived)]
    ChangeTitle {
        /// The title.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        title: Patch<Name>,
    },
    /// Lets the person speak for a client, or changes in which role; who is asked first stays if that is left out. Whoever is to
    /// be asked first takes the place of whoever was before, who goes on speaking for the client.
    #[refused(Archived, "crm.client.blocked")]
    LinkToClient {
        /// The client.
        client_id: ClientId,
        /// In which role.
        role: Name,
        /// Is this the first person to ask? A client has one such person at most.
        #[serde(default, skip_serializing_if = "Patch::is_unchanged")]
        primary: Patch<bool>,
    },
    /// Ends that the person speaks for a client.
    #[refused(Archived)]
    UnlinkFromClient {
        /// The client.
        client_id: ClientId,
    },
    /// Takes the person out of every list; the history stays.
    Archive {},
    /// Puts the person back into the lists.
    #[refused("email.taken", "crm.client.primary_contact.taken")]
    Restore {},
}

/// Why a contact's command may be refused.
#[rejection("crm.contact")]
pub enum ContactRejection {
    /// The contact is archived; restore it first.
    Archived,
}

/// What is remembered of a contact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    name: String,
    details: ContactDetails,
    title: Option<Personal<Name>>,
    clients: BTreeMap<ClientId, (String, bool)>,
    archived: Archivable,
    /// Nobody can be asked who was erased, so such a person is first nowhere.
    erased: bool,
}

impl Aggregate for Contact {
    type Command = C;
    type Event = E;
    type Rejection = R;
    const PATH: &'static str = "crm/contacts";
    const STATE_VERSION: i32 = 3;

    fn belongs_to(&self, _id: Uuid) -> Vec<Resource> {
        self.clients.keys().map(|client| (*client).into()).collect()
    }

    fn concerns(&self, id: Uuid, event: &E) -> Vec<Resource> {
        let mut concerns = self.belongs_to(id);
        if let E::UnlinkedFromClient { client_id } = event {
            concerns.push((*client_id).into());
        }
        concerns
    }

    fn scope(&self, id: Uuid, command: &C) -> Scope {
        let scope = Scope::of(self.belongs_to(id));
        match command {
            C::LinkToClient { client_id, .. } | C::UnlinkFromClient { client_id } => {
                scope.naming([(*client_id).into()])
            }
            _ => scope,
        }
    }

    fn decide(&self, command: C, _ctx: &Context) -> Decision<Self> {
        Ok(match command {
            C::Create { name, email, phone, title } => {
                let (details, title) = (ContactDetails::new(email, phone), title.map(Personal::new));
                vec![E::Created { name: name.into(), details, title }]
            }
            C::Archive {} => self.archived.archive(),
            C::Restore {} => self.archived.restore(),
            _ if self.archived.is_archived() => return Err(R::Archived),
            C::Rename { name } if name.as_str() == self.name => vec![],
            C::Rename { name } => vec![E::Renamed { name: name.into() }],
            C::ChangeContactDetails { email, phone } => {
                let details = self.details.changed(email, phone);
                details.map(|details| E::ContactDetailsChanged { details }).into_iter().collect()
            }
            C::ChangeTitle { title } => {
                let title = title.over(&self.title);
                if title == self.title { vec![] } else { vec![E::TitleChanged { title }] }
            }
            C::LinkToClient { client_id, role, primary } => {
                let primary = primary.over_or(self.is_first_at(&client_id), false) && !self.erased;
                let link = (role.as_str().to_owned(), primary);
                if self.clients.get(&client_id) == Some(&link) {
                    vec![]
                } else {
                    vec![E::LinkedToClient { client_id, role, primary }]
                }
            }
            C::UnlinkFromClient { client_id } if self.clients.contains_key(&client_id) => {
                vec![E::UnlinkedFromClient { client_id }]
            }
            C::UnlinkFromClient { .. } => vec![],
        })
    }

    fn apply(&mut self, event: &E) {
        self.archived = self.archived.after(event);
        match event {
            E::Created { name, details, title } => {
                self.called(name);
                (self.details, self.title) = (details.clone(), title.clone());
            }
            E::TitleChanged { title } => self.title = title.clone(),
            E::Renamed { name } => self.called(name),
            E::ContactDetailsChanged { details } => self.details = details.clone(),
            E::LinkedToClient { client_id, role, primary } => {
                self.clients.insert(*client_id, (role.as_str().to_owned(), *primary && !self.erased));
            }
            E::UnlinkedFromClient { client_id } => {
                self.clients.remove(client_id);
            }
            E::Archived {} | E::Restored {} => {}
        }
    }

    fn references(&self, command: &C) -> Vec<Reference> {
        match command {
            C::LinkToClient { client_id, primary: Patch::Set(true), .. } if !self.is_first_at(client_id) => {
                vec![Reference::claim::<Self>(first_to_ask(client_id))]
            }
            _ => vec![],
        }
    }

    /// Whoever was asked first at the client is so no longer, in the role that they have.
    fn companions(&self, command: &C, ctx: &Context, companions: &mut impl Companions) {
        let C::LinkToClient { client_id, primary: Patch::Set(true), .. } = command else { return };
        let first = first_to_ask(client_id);
        let Some((id, before)) = ctx.holder::<Self>(first.scope, &first.value) else { return };
        let role =
            before.clients.get(client_id).filter(|(_, primary)| *primary).and_then(|(role, _)| role.parse().ok());
        if let Some(role) = role.filter(|_| id != ctx.id && !self.erased) {
            let second = C::LinkToClient { client_id: *client_id, role, primary: Patch::Set(false) };
            companions.add::<Self>(id, second);
        }
    }

    fn forbidden_by(&self, _id: Uuid, event: &E) -> Vec<(Flag, Uuid)> {
        match event {
            E::LinkedToClient { client_id, .. } => vec![(Flag::CLIENT_BLOCKED, client_id.0)],
            _ => vec![],
        }
    }

    fn claims(&self, event: &E) -> Vec<ClaimChange> {
        match event {
            E::Created { details, .. } | E::ContactDetailsChanged { details } => {
                details.claims_over(&self.details, EMAIL_CLAIM)
            }
            E::LinkedToClient { client_id, primary, .. } => match (self.is_first_at(client_id), *primary) {
                (false, true) => vec![Take(first_to_ask(client_id))],
                (true, false) => vec![Release(first_to_ask(client_id))],
                _ => vec![],
            },
            E::UnlinkedFromClient { client_id } if self.is_first_at(client_id) => {
                vec![Release(first_to_ask(client_id))]
            }
            // An archived person does not stand in the way of a new one with the same address, or at the same client.
            E::Archived {} => self.details.claim(EMAIL_CLAIM).into_iter().chain(self.firsts()).map(Release).collect(),
            E::Restored {} => self.details.claim(EMAIL_CLAIM).into_iter().chain(self.firsts()).map(Take).collect(),
            _ => vec![],
        }
    }
}

impl Contact {
    fn called(&mut self, name: &Personal<Name>) {
        self.name = name.text().to_owned();
        self.erased = name.expose().is_none();
    }

    fn is_first_at(&self, client: &ClientId) -> bool {
        self.clients.get(client).is_some_and(|(_, primary)| *primary)
    }

    /// The claims on being the first person to ask, one for each client where it is.
    fn firsts(&self) -> impl Iterator<Item = Claim> {
        self.clients.iter().filter(|(_, (_, primary))| *primary).map(|(client, _)| first_to_ask(client))
    }
}

/// The claim on being the first person to ask at a client. It says of a person where they work, and goes with them when
/// they are erased.
fn first_to_ask(client: &ClientId) -> Claim {
    Claim::personal("crm.client.primary_contact", client.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::spec::given;

    fn created() -> E {
        E::Created {
            name: Personal::new("Ada Lovelace".parse().unwrap()),
            details: ContactDetails::new(Some("ada@example.com".parse().unwrap()), None),
            title: None,
        }
    }

    fn ada() -> Claim {
        Claim::personal("crm.contact.email", "ada@example.com")
    }

    #[test]
    fn a_new_contact_claims_its_address() {
        let create = C::Create {
            name: "Ada Lovelace".parse().unwrap(),
            email: Some("ADA@example.com".parse().unwrap()),
            phone: None,
            title: None,
        };
        assert_eq!(given::<Contact>([]).when(create).then([created()]).claims(), [ClaimChange::Take(ada())]);
    }

    #[test]
    fn an_archived_contact_frees_its_address_and_takes_it_back_when_restored() {
        assert_eq!(given::<Contact>([created()]).when(C::Archive {}).claims(), [ClaimChange::Release(ada())]);
        let archived = given::<Contact>([created(), E::Archived {}]);
        assert_eq!(archived.when(C::Restore {}).claims(), [ClaimChange::Take(ada())]);
    }

    #[test]
    fn an_archived_contact_cannot_be_renamed() {
        let rename = C::Rename { name: "Ada King".parse().unwrap() };
        given::<Contact>([created(), E::Archived {}]).when(rename).rejected("crm.contact.archived");
    }

    #[test]
    fn a_detail_that_is_left_out_stays_and_null_removes_it() {
        let phone: Phone = "+493012345678".parse().unwrap();
        let change = |body: &str| <C as kernel::Command>::parse("change_contact_details", body).unwrap();
        let numbered = E::ContactDetailsChanged {
            details: ContactDetails::new(Some("ada@example.com".parse().unwrap()), Some(phone.clone())),
        };
        let set = change(r#"{"phone":"+493012345678"}"#);
        given::<Contact>([created()]).when(set).then([numbered.clone()]);
        let remove = change(r#"{"email":null}"#);
        let removed = E::ContactDetailsChanged { details: ContactDetails::new(None, Some(phone)) };
        let when = given::<Contact>([created(), numbered.clone()]).when(remove).then([removed]);
        assert_eq!(when.claims(), [ClaimChange::Release(ada())]);
        given::<Contact>([created(), numbered]).when(change("{}")).then_nothing();
    }

    #[test]
    fn a_title_is_given_changed_and_removed_once() {
        let change = |body: &str| <C as kernel::Command>::parse("change_title", body).unwrap();
        let titled = |title: Option<&str>| E::TitleChanged { title: title.map(|title| title.parse().unwrap()) };
        let body = r#"{"title":"Head of Numbers"}"#;
        given::<Contact>([created()]).when(change(body)).then([titled(Some("Head of Numbers"))]);
        let known = || given::<Contact>([created(), titled(Some("Head of Numbers"))]);
        known().when(change(body)).then_nothing();
        known().when(change("{}")).then_nothing();
        known().when(change(r#"{"title":null}"#)).then([titled(None)]);
        given::<Contact>([created(), E::Archived {}]).when(change(body)).rejected("crm.contact.archived");
    }

    #[test]
    fn linking_twice_in_the_same_role_is_already_so() {
        let client_id = ClientId(uuid::Uuid::from_u128(7));
        let link = || C::LinkToClient { client_id, role: "owner".parse().unwrap(), primary: Patch::Set(true) };
        let linked = E::LinkedToClient { client_id, role: "owner".parse().unwrap(), primary: true };
        given::<Contact>([created()]).when(link()).then([linked.clone()]);
        given::<Contact>([created(), linked]).when(link()).then_nothing();
    }

    #[test]
    fn a_client_has_one_first_person_to_ask() {
        let client_id = ClientId(uuid::Uuid::from_u128(7));
        let claim = || Claim::personal("crm.client.primary_contact", client_id.to_string());
        let link =
            |primary| C::LinkToClient { client_id, role: "owner".parse().unwrap(), primary: Patch::Set(primary) };
        let linked = |primary| E::LinkedToClient { client_id, role: "owner".parse().unwrap(), primary };
        let claims = |before: &[E], command| given::<Contact>(before.iter().cloned()).when(command).claims();
        assert_eq!(claims(&[created()], link(false)), []);
        assert_eq!(claims(&[created()], link(true)), [Take(claim())]);
        let first = [created(), linked(true)];
        assert_eq!(claims(&first, link(false)), [Release(claim())]);
        assert_eq!(claims(&first, C::UnlinkFromClient { client_id }), [Release(claim())]);
        assert_eq!(claims(&first, C::Archive {}), [Release(ada()), Release(claim())]);
        let away = [created(), linked(true), E::Archived {}];
        assert_eq!(claims(&away, C::Restore {}), [Take(ada()), Take(claim())]);
    }

    #[test]
    fn whoever_is_asked_first_takes_the_place_of_whoever_was() {
        let client_id = ClientId(uuid::Uuid::from_u128(7));
        let link = |role: &str, primary| C::LinkToClient { client_id, role: role.parse().unwrap(), primary };
        let linked = |role: &str, primary| E::LinkedToClient { client_id, role: role.parse().unwrap(), primary };
        let first = || Reference::claim::<Contact>(first_to_ask(&client_id));
        let ada = given::<Contact>([created(), linked("owner", true)]).when(C::Archive {}).before();
        let grace = || given::<Contact>([created()]).with_id(Uuid::from_u128(2));
        let when = grace().knowing(first(), Uuid::from_u128(1), ada.clone()).when(link("heir", Patch::Set(true)));
        let second = link("owner", Patch::Set(false));
        when.then([linked("heir", true)]).together_with::<Contact>(Uuid::from_u128(1), second);
        let as_second = grace().knowing(first(), Uuid::from_u128(1), ada.clone());
        as_second.when(link("heir", Patch::Set(false))).then([linked("heir", false)]).alone();
        grace().when(link("heir", Patch::Set(true))).then([linked("heir", true)]).alone();
        let again = given::<Contact>([created(), linked("owner", true)]).knowing(first(), Uuid::from_u128(3), ada);
        again.when(link("owner", Patch::Set(true))).then_nothing().alone();
    }

    #[test]
    fn another_role_leaves_it_as_it_is_who_is_asked_first() {
        let client_id = ClientId(uuid::Uuid::from_u128(7));
        let linked = |role: &str, primary| E::LinkedToClient { client_id, role: role.parse().unwrap(), primary };
        let body = format!(r#"{{"client_id":"{client_id}","role":"heir"}}"#);
        let change = || <C as kernel::Command>::parse("link_to_client", &body).unwrap();
        let when = given::<Contact>([created(), linked("owner", true)]).when(change());
        assert_eq!(when.then([linked("heir", true)]).claims(), []);
        given::<Contact>([created(), linked("owner", false)]).when(change()).then([linked("heir", false)]);
        given::<Contact>([created()]).when(change()).then([linked("heir", false)]);
    }

    #[test]
    fn whoever_was_erased_is_asked_first_nowhere() {
        let client_id = ClientId(uuid::Uuid::from_u128(7));
        let details = ContactDetails { email: Some(Personal::erased()), phone: None };
        let erased = E::Created { name: Personal::erased(), details, title: None };
        let linked = |primary| E::LinkedToClient { client_id, role: "owner".parse().unwrap(), primary };
        let link = C::LinkToClient { client_id, role: "owner".parse().unwrap(), primary: Patch::Set(true) };
        assert_eq!(given::<Contact>([erased.clone(), linked(true)]).when(C::Archive {}).claims(), []);
        given::<Contact>([erased.clone()]).when(link.clone()).then([linked(false)]);
        let named = E::Renamed { name: Personal::new("Ada Lovelace".parse().unwrap()) };
        let when = given::<Contact>([erased, linked(true), named]).when(link).then([linked(true)]);
        let claim = Claim::personal("crm.client.primary_contact", client_id.to_string());
        assert_eq!(when.claims(), [Take(claim)], "somebody else, who asks for the place anew");
    }
}
