use kernel_macros::{command, event, rejection};

#[event("crm.client")]
pub enum ClientEvent {
    /// A client was added.
    #[creates]
    Created { name: String },
}

#[command("crm.client", member)]
pub enum ClientCommand {
    /// Gives the client another name.
    #[version(2)]
    Rename { name: String },
}

#[rejection("crm.client")]
pub enum ClientRejection {
    /// The client is blocked.
    #[retired]
    Blocked,
}

fn main() {}
