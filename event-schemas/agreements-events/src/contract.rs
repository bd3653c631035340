//! What happens to a contract and to those who get it.

use crate::proposal::{OfferedLine, Totals};
use crate::template::TemplateVersion;
use kernel::{
    ClientId, ConnectionId, Date, DealId, Email, EngagementId, FieldCode, FileId, InvalidValue, Machine, Markdown,
    Name, Personal, PostalAddress, ProposalId, Text, Timestamp, event, status,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::str::FromStr;

use ContractEvent as E;

kernel::ids! {
    /// Somebody who gets a contract.
    RecipientId,
}

/// What a file's bytes hash to, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Sha256(String);

impl FromStr for Sha256 {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let valid = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let wrong = || InvalidValue::new(FieldCode::NotAHash, "expected 64 hexadecimal digits in lower case");
        if valid { Ok(Self(text.to_owned())) } else { Err(wrong()) }
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Sha256 {
    fn schema_name() -> Cow<'static, str> {
        "Sha256".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
    }
}

kernel::input_texts!(Sha256);

/// Where a contract stands.
#[status]
pub enum ContractStatus {
    /// Being written; the client does not see it.
    #[default]
    Draft,
    /// Those who sign have it, or are about to.
    SentForSignature,
    /// Somebody signed.
    PartiallySigned,
    /// Everybody signed.
    Signed,
    /// Somebody who was to sign does not want to.
    Declined,
    /// The firm took it back.
    Voided,
    /// It was not signed in time.
    Expired,
    /// In force.
    Active,
    /// Ended.
    Terminated,
}

impl ContractStatus {
    /// Are signatures awaited?
    pub fn is_out(self) -> bool {
        matches!(self, Self::SentForSignature | Self::PartiallySigned)
    }
}

impl Machine<E> for ContractStatus {
    const BEGINS: &'static [&'static str] = &["contract.created"];

    fn after(self, event: &E) -> Self {
        use ContractStatus::{
            Active, Declined, Draft, Expired, PartiallySigned, SentForSignature, Signed, Terminated, Voided,
        };
        match (self, event) {
            (Draft, E::SentForSignature { .. }) => SentForSignature,
            (SentForSignature, E::RecipientSigned { .. }) => PartiallySigned,
            (PartiallySigned, E::Signed { .. }) => Signed,
            (SentForSignature | PartiallySigned, E::Declined { .. }) => Declined,
            (Draft | SentForSignature | PartiallySigned, E::Voided { .. }) => Voided,
            (SentForSignature | PartiallySigned, E::Expired {}) => Expired,
            (Signed, E::Activated {}) => Active,
            (Active, E::Terminated { .. }) => Terminated,
            _ => self,
        }
    }
}

/// Where somebody who gets a contract stands.
#[status]
pub enum RecipientStatus {
    /// Has not got it.
    #[default]
    Pending,
    /// It is on its way.
    Sent,
    /// Looked at it.
    Delivered,
    /// Signed it.
    Signed,
    /// Does not want to sign.
    Declined,
    /// Cannot be reached there.
    Bounced,
}

impl Machine<E> for RecipientStatus {
    const BEGINS: &'static [&'static str] = &["contract.created", "contract.changed"];

    fn after(self, event: &E) -> Self {
        use RecipientStatus::{Bounced, Declined, Delivered, Pending, Sent, Signed};
        match (self, event) {
            (Pending | Bounced, E::RecipientSent { .. }) => Sent,
            (Pending | Sent | Bounced, E::RecipientDelivered { .. }) => Delivered,
            (Pending | Sent | Delivered | Bounced, E::RecipientSigned { .. }) => Signed,
            (Pending | Sent | Delivered | Bounced, E::RecipientDeclined { .. }) => Declined,
            (Pending | Sent, E::RecipientBounced { .. }) => Bounced,
            _ => self,
        }
    }
}

/// What somebody who gets a contract does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum RecipientRole {
    /// Signs it.
    Signer,
    /// Gets a copy of it.
    Cc,
    /// Looks at it before others sign.
    Viewer,
}

/// Somebody who gets a contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContractRecipient {
    /// Its id.
    pub id: RecipientId,
    /// What the person is called.
    pub name: Personal<Name>,
    /// Where it is sent.
    pub email: Personal<Email>,
    /// What the person does with it.
    pub role: RecipientRole,
    /// Whose turn it is: everybody with 1 first, then everybody with 2.
    pub order: u16,
}

/// Which side a party is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum PartyRole {
    /// The client's.
    Client,
    /// The firm's.
    Firm,
    /// Another: a guarantor, a partner.
    Other,
}

/// Somebody who is bound by a contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Party {
    /// On which side.
    pub role: PartyRole,
    /// What it is called.
    pub name: Personal<Name>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Personal<PostalAddress>>,
}

/// Everything that happens to a contract; those who get it are parts of it.
#[event("agreements.contract")]
pub enum ContractEvent {
    /// A contract was begun as a draft.
    Created {
        /// With whom.
        client_id: ClientId,
        /// The accepted proposal that it comes from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proposal_id: Option<ProposalId>,
        /// The deal that it comes from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deal_id: Option<DealId>,
        /// The engagement that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engagement_id: Option<EngagementId>,
        /// The template it was made from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        template: Option<TemplateVersion>,
        /// What it is called.
        title: Name,
        /// What it says, in Markdown.
        body: Personal<Markdown>,
        /// Who is bound by it.
        parties: Vec<Party>,
        /// Who gets it.
        recipients: Vec<ContractRecipient>,
        /// What was agreed line by line, if it comes from a proposal.
        lines: Vec<OfferedLine>,
        /// What the lines come to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        totals: Option<Totals>,
        /// The last day on which it can be signed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sign_by: Option<Date>,
    },
    /// The draft says something else.
    Changed {
        /// What it is called now.
        title: Name,
        /// What it says now, in Markdown.
        body: Personal<Markdown>,
        /// Who is bound by it now.
        parties: Vec<Party>,
        /// Who gets it now.
        recipients: Vec<ContractRecipient>,
        /// Who got it before and does not now.
        dropped: Vec<RecipientId>,
        /// The last day on which it can be signed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sign_by: Option<Date>,
    },
    /// The contract is to be signed: whoever has it signed sends it to its recipients.
    SentForSignature {
        /// With whom it is.
        client_id: ClientId,
        /// What it is called.
        title: Name,
        /// What it says, in Markdown.
        body: Personal<Markdown>,
        /// Who gets it.
        recipients: Vec<ContractRecipient>,
        /// When the time to sign is over for the firm, if it ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// A provider has the contract and collects the signatures.
    EnvelopeSent {
        /// Through which connection.
        connection_id: ConnectionId,
        /// What the provider calls it.
        envelope_id: Name,
    },
    /// The contract is on its way to somebody.
    #[name("recipient.sent")]
    RecipientSent {
        /// To whom.
        recipient_id: RecipientId,
    },
    /// Somebody looked at the contract.
    #[name("recipient.delivered")]
    RecipientDelivered {
        /// Who.
        recipient_id: RecipientId,
    },
    /// Somebody signed the contract.
    #[name("recipient.signed")]
    RecipientSigned {
        /// Who.
        recipient_id: RecipientId,
        /// When, as the provider says.
        signed_at: Timestamp,
    },
    /// Somebody does not want to sign the contract.
    #[name("recipient.declined")]
    RecipientDeclined {
        /// Who.
        recipient_id: RecipientId,
    },
    /// The contract did not reach somebody.
    #[name("recipient.bounced")]
    RecipientBounced {
        /// Whom.
        recipient_id: RecipientId,
        /// Why, as the provider says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Personal<Text>>,
    },
    /// Those whose signatures are missing were reminded.
    Reminded {
        /// Of whom they are missing.
        missing: Vec<RecipientId>,
        /// The day on which they were.
        on: Date,
    },
    /// Everybody signed the contract.
    Signed {
        /// With whom it is.
        client_id: ClientId,
        /// The proposal that it comes from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proposal_id: Option<ProposalId>,
        /// The deal that it comes from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deal_id: Option<DealId>,
        /// The engagement that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engagement_id: Option<EngagementId>,
        /// What it is called.
        title: Name,
        /// What the lines come to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        totals: Option<Totals>,
        /// When the last one signed.
        signed_at: Timestamp,
    },
    /// The signed document is among the files.
    #[name("signed_document.stored")]
    DocumentStored {
        /// The file.
        file_id: FileId,
        /// What its bytes hash to.
        sha256: Sha256,
    },
    /// Somebody who was to sign the contract does not want to.
    Declined {
        /// Who, if that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<RecipientId>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Personal<Text>>,
    },
    /// The firm took the contract back before it was signed.
    Voided {
        /// Why.
        reason: Text,
    },
    /// The contract was not signed in time.
    Expired {},
    /// The contract is in force.
    Activated {},
    /// The contract has ended.
    Terminated {
        /// Why.
        reason: Text,
    },
}
