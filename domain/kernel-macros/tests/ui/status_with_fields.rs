use kernel_macros::status;

/// Where a kettle stands.
#[status]
pub enum KettleStatus {
    /// Nobody has pressed the button.
    #[default]
    Cold,
    /// It is this hot.
    Hot(u16),
}

fn main() {}
