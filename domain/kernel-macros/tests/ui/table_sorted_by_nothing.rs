use kernel_macros::read_model;

/// Firms and persons that are served.
#[read_model("crm.clients", read = "crm.client.read")]
pub struct Client {
    /// Who of the firm is responsible.
    #[column(filter, sort)]
    pub owner_id: Option<u128>,
}

fn main() {}
