use kernel_macros::read_model;

/// Firms and persons that are served.
#[read_model("crm.clients", read = "crm.client.read", ties(client(id), user(owner)))]
pub struct Client {
    /// Who of the firm is responsible.
    pub owner_id: u128,
}

/// Persons at clients.
#[read_model("crm.contacts", read = "crm.contact.read", away(archived))]
pub struct Contact {
    /// What the person is called.
    pub name: String,
}

fn main() {}
