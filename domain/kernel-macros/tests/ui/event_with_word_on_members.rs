use kernel_macros::event;

/// What happens is nobody's right.
#[event("agreements.contract", member)]
pub enum ContractEvent {
    /// A contract was drafted.
    Drafted {},
}

fn main() {}
