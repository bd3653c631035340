use kernel_macros::read_model;

/// Firms and persons that are served.
#[read_model("crm.clients")]
pub struct Client {
    /// What the client is called.
    pub name: String,
}

fn main() {}
