use kernel_macros::status;

/// Where a kettle stands.
#[status]
pub enum KettleStatus {
    #[default]
    Cold,
}

fn main() {}
