//! Where the next page of a list begins: the order's values of the last row, bound to the list they were taken from.
//!
//! A cursor is not a secret and grants nothing: the tenant always comes from the token. Binding it catches mistakes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The list a cursor belongs to: tenant, path, filters and order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding(String);

impl Binding {
    pub fn new(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(URL_SAFE_NO_PAD.encode(&hash.finalize()[..12]))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    of: String,
    after: Vec<String>,
}

/// The cursor after a row with these values of the order.
pub(crate) fn encode(binding: &Binding, after: Vec<String>) -> String {
    let content = Content { of: binding.0.clone(), after };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&content).unwrap_or_default())
}

/// The values, unless the cursor is of another list.
pub(crate) fn decode(binding: &Binding, cursor: &str) -> Option<Vec<String>> {
    let content: Content = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    (content.of == binding.0).then_some(content.after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_one_list() {
        let here = Binding::new(&["tenant", "crm/clients", "name"]);
        let cursor = encode(&here, vec!["Ada".into(), "1".into()]);
        assert_eq!(decode(&here, &cursor), Some(vec!["Ada".to_owned(), "1".to_owned()]));
        assert_eq!(decode(&Binding::new(&["tenant", "crm/clients", "-name"]), &cursor), None);
        assert_eq!(decode(&Binding::new(&["tenantcrm/clients", "", "name"]), &cursor), None);
        assert_eq!(decode(&here, "garbage!"), None);
    }
}
