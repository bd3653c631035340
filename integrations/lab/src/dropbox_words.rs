//! How Dropbox Sign says no, and what it is called.

use serde_json::{Value, json};

/// Its name in addresses.
pub(crate) const NAME: &str = "dropbox_sign";

/// What it answers if it does not like something.
pub(crate) fn refusal(name: &str, message: &str) -> Value {
    json!({ "error": { "error_name": name, "error_msg": message } })
}

/// What it calls a status.
pub(crate) fn name_of(status: u16) -> &'static str {
    match status {
        401 => "unauthorized",
        402 => "payment_required",
        403 => "forbidden",
        404 => "not_found",
        409 => "conflict",
        410 => "deleted",
        429 => "exceeded_rate",
        500.. => "unavailable",
        _ => "bad_request",
    }
}
