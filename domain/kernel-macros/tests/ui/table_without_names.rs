use kernel_macros::read_model;

/// Firms and persons that are served.
#[read_model("crm.clients", read = "crm.client.read")]
pub struct Client(String);

fn main() {}
