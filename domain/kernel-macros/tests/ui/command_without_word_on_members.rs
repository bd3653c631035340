use kernel_macros::command;

/// A new context that nobody has thought through: may every member do this?
#[command("agreements.contract")]
pub enum ContractCommand {
    /// Drafts a contract.
    #[creates]
    Draft {},
}

fn main() {}
