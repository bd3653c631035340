//! What happens to a contact.

use kernel::{ClientId, ContactDetails, Name, Personal, event};

/// Everything that happens to a contact.
#[event("crm.contact")]
pub enum ContactEvent {
    /// A person was added to the golden record.
    Created {
        /// What the person is called.
        name: Personal<Name>,
        /// How the person is reached.
        #[serde(flatten)]
        details: ContactDetails,
        /// What the person's job is called.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<Personal<Name>>,
    },
    /// The person is called differently now.
    Renamed {
        /// The new name.
        name: Personal<Name>,
    },
    /// The person's address or telephone number changed.
    ContactDetailsChanged {
        /// What they are now; what is left out is there no more.
        #[serde(flatten)]
        details: ContactDetails,
    },
    /// The person's job is called differently now.
    TitleChanged {
        /// What it is now; what is left out is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<Personal<Name>>,
    },
    /// The person speaks for a client from now on.
    LinkedToClient {
        /// The client.
        client_id: ClientId,
        /// In which role.
        role: Name,
        /// Is this the first person to ask?
        primary: bool,
    },
    /// The person no longer speaks for a client.
    UnlinkedFromClient {
        /// The client.
        client_id: ClientId,
    },
    /// The person was taken out of every list; the history stays.
    Archived {},
    /// The person is back in the lists.
    Restored {},
}

kernel::archivable!(ContactEvent begins "contact.created");
