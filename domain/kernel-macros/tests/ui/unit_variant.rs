use kernel_macros::{command, event};

#[event("crm.client")]
pub enum ClientEvent {
    /// The client was taken out of every list.
    Archived,
}

#[command("crm.client", member)]
pub enum ClientCommand {
    /// Takes the client out of every list.
    Archive,
}

fn main() {}
