use kernel_macros::read_model;

/// Firms and persons that are served.
#[read_model("crm.clients", read = "crm.client.read", away(state = "former"))]
pub struct Client {
    /// Where it stands.
    pub state: String,
}

fn main() {}
