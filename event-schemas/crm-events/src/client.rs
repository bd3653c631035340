//! What happens to a client.

use kernel::{Email, Name, Personal, Phone, Slug, Upcaster, UserId, event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// Where the client stands with the firm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default, kernel::Input)]
#[serde(rename_all = "snake_case")]
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
        /// The main address; no two clients of a firm share one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email: Option<Personal<Email>>,
        /// The main telephone number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phone: Option<Personal<Phone>>,
    },
    /// The client is called differently now.
    Renamed {
        /// The new name.
        name: Personal<Name>,
    },
    /// The main address or telephone number changed.
    ContactDetailsChanged {
        /// The main address, none if removed.
        email: Option<Personal<Email>>,
        /// The main telephone number, none if removed.
        phone: Option<Personal<Phone>>,
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
