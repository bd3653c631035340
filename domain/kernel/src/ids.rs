//! Kinds of ids, one type each. All are UUIDs; fresh ones are version 7, so that they sort by time.

/// Declares kinds of ids, each with a sentence. One that several contexts name, or whoever decides about rights, is here; every other
/// stands beside the events of its context.
#[macro_export]
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, ::serde::Serialize, ::serde::Deserialize,
            ::schemars::JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub ::uuid::Uuid);

        impl From<::uuid::Uuid> for $name {
            fn from(id: ::uuid::Uuid) -> Self { Self(id) }
        }
        impl From<$name> for ::uuid::Uuid {
            fn from(id: $name) -> Self { id.0 }
        }
        impl $crate::Input for $name {
            fn read(value: $crate::__json::Value, faults: &mut $crate::Faults) -> Option<Self> {
                <::uuid::Uuid as $crate::Input>::read(value, faults).map(Self)
            }
        }
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result { self.0.fmt(f) }
        }
        impl ::std::str::FromStr for $name {
            type Err = ::uuid::Error;
            fn from_str(text: &str) -> Result<Self, ::uuid::Error> { text.parse().map(Self) }
        }
    )*};
}

ids! {
    /// A key with which a program comes in.
    ApiKeyId,
    /// A firm or person that is served.
    ClientId,
    /// A link to a provider outside.
    ConnectionId,
    /// A person at a client.
    ContactId,
    /// A contract with a client.
    ContractId,
    /// A deal that may be won.
    DealId,
    /// A workflow definition, all its versions.
    DefinitionId,
    /// What a client has engaged the firm for.
    EngagementId,
    /// A file, all its versions.
    FileId,
    /// A program of somebody else's that reads the firm's events.
    SubscriberId,
    /// One invitation, into the firm or to its portal.
    InvitationId,
    /// An invoice to a client.
    InvoiceId,
    /// A person with access to the client portal.
    PortalUserId,
    /// A project.
    ProjectId,
    /// An offer to a client.
    ProposalId,
    /// A role that a firm made itself.
    RoleId,
    /// One run of a workflow.
    RunId,
    /// A program that acts in the firm's name.
    ServiceAccountId,
    /// The time between a person's login and its end.
    SessionId,
    /// A team of the firm's staff.
    TeamId,
    /// A template of proposals and contracts.
    TemplateId,
    /// A firm that uses UBOS; the boundary that no row, subject or key crosses.
    TenantId,
    /// A conversation.
    ThreadId,
    /// A member of the firm's staff.
    UserId,
}
