use kernel_macros::read_model;

/// Firms and persons that are served.
#[read_model("crm.clients", read = "crm.client.read")]
pub struct Client {
    /// What the client is called.
    #[column(search)]
    pub name: String,
}

/// Persons at clients.
#[read_model("crm.contacts", read = "crm.contact.read", updated_at(filtered))]
pub struct Contact {
    /// What the person is called.
    pub name: String,
}

/// What the person was asked.
#[read_model("crm.questions", read = "crm.question.read", sort)]
pub struct Question {
    /// What.
    pub text: String,
}

fn main() {}
