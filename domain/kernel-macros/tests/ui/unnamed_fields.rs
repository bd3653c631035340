use kernel_macros::event;

#[event("crm.client")]
pub enum ClientEvent {
    /// The client is called differently now.
    Renamed(String),
}

fn main() {}
