use kernel_macros::read_model;

/// Firms and persons that are served.
#[read_model("clients", read = "crm.client.read")]
pub struct Client {
    /// What the client is called.
    pub name: String,
}

/// Persons at clients.
#[read_model("crm.contacts", read = "crm.contact.read", part_of(client_id, "clients"))]
pub struct Contact {
    /// The client.
    pub client_id: u128,
}

fn main() {}
