use kernel_macros::read_model;

#[read_model("crm.clients", read = "crm.client.read")]
pub struct Client {
    /// What the client is called.
    pub name: String,
}

/// Persons at clients.
#[read_model("crm.contacts", read = "crm.contact.read")]
pub struct Contact {
    pub name: String,
}

fn main() {}
