use kernel_macros::event;

#[event("crm.client", upcaster = UPCASTERS)]
pub enum ClientEvent {
    /// The client is called differently now.
    Renamed { name: String },
}

fn main() {}
