//! Where somebody is led who comes back from another site.

/// Bytes of where somebody wants to be led afterwards.
const REDIRECT_BYTES_MAX: usize = 2_000;

/// A path of the app itself, and never another site's address.
pub fn within(path: &str) -> String {
    let own = path.starts_with('/')
        && path.len() <= REDIRECT_BYTES_MAX
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && !path.to_ascii_lowercase().starts_with("/%2f")
        && !path.to_ascii_lowercase().starts_with("/%5c");
    if own { path.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for own in ["/", "/clients", "/clients?sort=name#top"] {
            assert_eq!(within(own), own);
        }
        for other in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/%2f%2fevil.example",
            "/%2F/evil.example",
            "/%5cevil.example",
            "javascript:alert(1)",
            "/a\r\nset-cookie: x=y",
            "/\tevil",
            "evil@example.com",
            "/ü",
        ] {
            assert_eq!(within(other), "/", "{other:?}");
        }
    }
}
