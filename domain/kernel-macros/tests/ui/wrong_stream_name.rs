use kernel_macros::{command, event, rejection};

#[event("client")]
pub enum OnePart {
    /// The client is called differently now.
    Renamed { name: String },
}

#[command("crm.client.rename")]
pub enum ThreeParts {
    /// Gives the client another name.
    Rename { name: String },
}

#[rejection("crm.Client")]
pub enum UpperCase {
    /// The client is blocked.
    Blocked,
}

#[event("crm.")]
pub enum Empty {
    /// The client is called differently now.
    Renamed { name: String },
}

fn main() {}
