//! Addresses of the web: what a browser is sent to, so nothing that is not what it looks like.

use crate::visible::is_ignorable;
use crate::{FieldCode, InvalidValue};
use url::{Host, Url};

/// Characters of an address; browsers and servers take no more everywhere.
const LENGTH_MAX: usize = 2_000;

/// The one spelling of an address: the host in A-labels, everything else percent-encoded.
pub(crate) fn address(text: &str) -> Result<String, InvalidValue> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidValue::too_short(1));
    }
    if text.chars().count() > LENGTH_MAX {
        return Err(InvalidValue::too_long(LENGTH_MAX));
    }
    // The URL standard takes tabs and line breaks out; whoever writes them means something else.
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || is_ignorable(c)) {
        return Err(wrong());
    }
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_web = matches!(url.scheme(), "http" | "https");
    // What stands before an `@` is a login, or a host in disguise.
    let has_login = !url.username().is_empty() || url.password().is_some();
    let is_named = matches!(url.host(), Some(Host::Domain(name)) if is_host(name));
    if !is_web || has_login || !is_named {
        return Err(wrong());
    }
    let address = String::from(url);
    if address.len() > LENGTH_MAX { Err(InvalidValue::too_long(LENGTH_MAX)) } else { Ok(address) }
}

/// Two labels or more, as the names of hosts on the web have.
fn is_host(name: &str) -> bool {
    let labels: Vec<&str> = name.split('.').collect();
    labels.len() > 1 && name.len() <= 253 && labels.iter().all(|label| (1..=63).contains(&label.len()))
}

fn wrong() -> InvalidValue {
    InvalidValue::new(FieldCode::NotAUrl, "expected an address of the web such as https://engines.example/about")
}

#[cfg(test)]
mod tests {
    use crate::{FieldCode, WebAddress};
    use proptest::prelude::*;

    #[test]
    fn an_address_has_one_spelling() {
        for (written, read) in [
            (" https://Engines.Example ", "https://engines.example/"),
            ("http://www.bücher.example:8080/a", "http://www.xn--bcher-kva.example:8080/a"),
            ("https://engines.example:443/über#us", "https://engines.example/%C3%BCber#us"),
        ] {
            assert_eq!(written.parse::<WebAddress>().unwrap().as_str(), read);
        }
    }

    #[test]
    fn what_leads_elsewhere_or_nowhere_is_refused() {
        for wrong in [
            "engines.example",
            "www.engines.example/about",
            "ftp://engines.example/",
            "javascript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "file:///etc/passwd",
            "https://",
            "https://localhost/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://[::1]/",
            "https://ada:secret@engines.example/",
            "https://engines.example@evil.example/",
            "https://engines.exa\tmple/",
            "https://engines\u{200b}.example/",
            "https://engines..example/",
            "https://engines.example./",
        ] {
            assert_eq!(wrong.parse::<WebAddress>().unwrap_err().code, FieldCode::NotAUrl, "{wrong}");
        }
        assert_eq!("".parse::<WebAddress>().unwrap_err().code, FieldCode::TooShort);
        let long = format!("https://engines.example/{}", "a".repeat(2_000));
        assert_eq!(long.parse::<WebAddress>().unwrap_err().code, FieldCode::TooLong);
        // Each letter is six characters as it is kept.
        let grows = format!("https://engines.example/{}", "ü".repeat(500));
        assert_eq!(grows.parse::<WebAddress>().unwrap_err().code, FieldCode::TooLong);
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_its_own_spelling(rest in "[a-zA-Z0-9./?#:@%üé -]{0,40}|\\PC{0,20}") {
            if let Ok(address) = format!("https://{rest}").parse::<WebAddress>() {
                prop_assert_eq!(&address.as_str().parse::<WebAddress>().unwrap(), &address);
            }
        }
    }
}
