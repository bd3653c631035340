//! What happens to a contact.

use kernel::{ClientId, Email, Name, Personal, Phone, event};

/// Everything that happens to a contact.
#[event("crm.contact")]
pub enum ContactEvent {
    /// A person was added to the golden record.
    Created {
        /// What the person is called.
        name: Personal<Name>,
        /// The person's address; no two contacts of a firm share one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email: Option<Personal<Email>>,
        /// The person's telephone number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phone: Option<Personal<Phone>>,
    },
    /// The person is called differently now.
    Renamed {
        /// The new name.
        name: Personal<Name>,
    },
    /// The person's address or telephone number changed.
    ContactDetailsChanged {
        /// The address, none if removed.
        email: Option<Personal<Email>>,
        /// The telephone number, none if removed.
        phone: Option<Personal<Phone>>,
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
