use kernel_macros::{command, event, rejection};

#[event("crm.client")]
pub enum ClientEvent {
    /// The client is called differently now.
    Renamed { name: String },
    Archived {},
}

#[command("crm.client", member)]
pub enum ClientCommand {
    Rename { name: String },
}

#[rejection("crm.client")]
pub enum ClientRejection {
    Blocked,
}

fn main() {}
