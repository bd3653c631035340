//! What happens to a client.

use kernel::{
    ContactDetails, Machine, Name, Personal, PostalAddress, Slug, Text, Upcaster, UserId, WebAddress, event, status,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use ClientEvent as E;

/// Is the client an organisation or one person?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// A company, a partnership, a public body.
    #[default]
    Organisation,
    /// One person on their own account.
    Individual,
}

/// What an address of a client is for; it has one of each kind at most.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, kernel::Input,
)]
#[serde(rename_all = "snake_case")]
pub enum AddressKind {
    /// Where it is registered, or lives.
    Registered,
    /// Where invoices go.
    Billing,
    /// Where it works.
    Office,
    /// What else there is.
    Other,
}

/// Where the client stands with the firm.
#[status]
pub enum ClientStatus {
    /// Interested, nothing agreed.
    #[default]
    Prospect,
    /// Being taken on.
    Onboarding,
    /// Being served.
    Active,
    /// Not served at the moment.
    Dormant,
    /// Left for good.
    Former,
}

impl ClientStatus {
    /// May a client that stands here stand there next? A former one may come back as a prospect; everybody else moves between
    /// neighbours or leaves.
    pub fn leads_to(self, next: Self) -> bool {
        use ClientStatus::{Active, Dormant, Former, Onboarding, Prospect};
        matches!(
            (self, next),
            (Prospect, Onboarding | Active | Former)
                | (Onboarding, Active | Prospect | Former)
                | (Active, Dormant | Former)
                | (Dormant, Active | Former)
                | (Former, Prospect)
        )
    }
}

impl Machine<E> for ClientStatus {
    const BEGINS: &'static [&'static str] = &["client.created"];

    fn after(self, event: &E) -> Self {
        match event {
            E::StatusChanged { to, .. } if self.leads_to(*to) => *to,
            _ => self,
        }
    }
}

/// Everything that happens to a client.
#[event("crm.client", upcasters = UPCASTERS)]
pub enum ClientEvent {
    /// A client was added to the golden record.
    #[version(2)]
    Created {
        /// What the client is called.
        name: Personal<Name>,
        /// Organisation or person.
        kind: ClientKind,
        /// How it is reached in the first place.
        #[serde(flatten)]
        details: ContactDetails,
    },
    /// The client is called differently now.
    Renamed {
        /// The new name.
        name: Personal<Name>,
    },
    /// The main address or telephone number changed.
    ContactDetailsChanged {
        /// What they are now; what is left out is there no more.
        #[serde(flatten)]
        details: ContactDetails,
    },
    /// The client stands differently with the firm.
    StatusChanged {
        /// Before.
        from: ClientStatus,
        /// After.
        to: ClientStatus,
    },
    /// Somebody of the firm became responsible for the client.
    OwnerAssigned {
        /// Who.
        owner_id: UserId,
    },
    /// A tag was put on the client.
    Tagged {
        /// The tag.
        tag: Slug,
    },
    /// A tag was taken off the client.
    Untagged {
        /// The tag.
        tag: Slug,
    },
    /// The client has another address of a kind, or one where it had none.
    AddressChanged {
        /// Of which kind.
        kind: AddressKind,
        /// What it is now.
        address: Personal<PostalAddress>,
    },
    /// The client has no address of a kind any more.
    AddressRemoved {
        /// Of which kind.
        kind: AddressKind,
    },
    /// What is told of the client changed.
    Described {
        /// Where it is on the web; what is left out is there no more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        website: Option<Personal<WebAddress>>,
        /// What it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        industry: Option<Personal<Name>>,
        /// What else the firm should know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notes: Option<Personal<Text>>,
    },
    /// No new work may be started for the client.
    Blocked {
        /// Why.
        reason: Personal<Name>,
    },
    /// Work for the client may be started again.
    Unblocked {},
}

/// Version 1 of `client.created` did not say whether the client is an organisation; all were.
const UPCASTERS: &[Upcaster] = &[Upcaster {
    event_type: "client.created",
    from: 1,
    upcast: |mut payload| {
        payload["kind"] = "organisation".into();
        payload
    },
}];
