use kernel_macros::read_model;

/// Firms and persons that are served.
#[read_model("crm.clients", read = "crm.client.read", ties(customer(id)))]
pub struct Client {
    /// Who of the firm is responsible.
    pub owner_id: u128,
}

/// Persons at clients.
#[read_model("crm.contacts", read = "crm.contact.read", ties(client_of(client_id)))]
pub struct Contact {
    /// The client.
    pub client_id: u128,
}

/// What the person was asked.
#[read_model("crm.questions", read = "crm.question.read", part_of(contact_id))]
pub struct Question {
    /// The person.
    pub contact_id: u128,
}

fn main() {}
