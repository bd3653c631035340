use kernel_macros::read_model;

/// Firms and persons that are served.
#[read_model("crm.clients", read = "crm.client.read")]
pub struct Client {
    /// When it was added.
    pub created_at: u64,
}

fn main() {}
