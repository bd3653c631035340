use kernel_macros::event;

#[event("crm.client")]
pub enum ClientEvent {
    /// A client was added.
    #[version(0)]
    Created { name: String },
}

fn main() {}
