//! E-mail addresses: RFC 5321 with the internationalised local parts of RFC 6531 and domains of IDNA.

use crate::visible::{is_ignorable, nfc};
use crate::{FieldCode, InvalidValue};

/// Bytes of an address (RFC 5321 §4.5.3.1.3, without its brackets).
const LENGTH_MAX: usize = 254;

/// The one spelling of an address.
pub(crate) fn address(text: &str) -> Result<String, InvalidValue> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidValue::too_short(1));
    }
    if text.chars().count() > LENGTH_MAX {
        return Err(InvalidValue::too_long(LENGTH_MAX));
    }
    let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
    let address = format!("{}@{}", local_part(local)?, domain_name(domain)?);
    if address.len() > LENGTH_MAX { Err(InvalidValue::too_long(LENGTH_MAX)) } else { Ok(address) }
}

/// A dot-atom. Quoted local parts are legal, and nobody has one.
fn local_part(text: &str) -> Result<String, InvalidValue> {
    // NFC makes ASCII of a few letters, such as the Kelvin sign: another's mailbox in disguise.
    if text.chars().any(|c| !c.is_ascii() && nfc(c.encode_utf8(&mut [0; 4])).is_ascii()) {
        return Err(wrong());
    }
    // Only ASCII is folded: Unicode's lower case makes one mailbox of two.
    let text = nfc(text).to_ascii_lowercase();
    let atext = |c: char| match c {
        c if c.is_ascii() => c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c),
        c => !c.is_whitespace() && !c.is_control() && !is_ignorable(c),
    };
    let valid = text.len() <= 64 && text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext));
    if valid { Ok(text) } else { Err(wrong()) }
}

/// Two labels or more, in A-labels, as DNS and every mail server have them.
fn domain_name(text: &str) -> Result<String, InvalidValue> {
    // IDNA takes out what nobody sees; who writes it means something else.
    if text.chars().any(is_ignorable) {
        return Err(wrong());
    }
    let domain = idna::domain_to_ascii_strict(text).map_err(|_| wrong())?;
    // A last label of digits is an IP address, which is written in brackets and not taken.
    let last = domain.rsplit('.').next().unwrap_or("");
    if domain.contains('.') && !last.is_empty() && !last.bytes().all(|b| b.is_ascii_digit()) {
        Ok(domain)
    } else {
        Err(wrong())
    }
}

fn wrong() -> InvalidValue {
    InvalidValue::new(FieldCode::NotAnEmail, "expected an e-mail address such as ada@example.com")
}

#[cfg(test)]
mod tests {
    use crate::{Email, FieldCode};

    #[test]
    fn an_address_that_no_server_takes_is_refused() {
        for wrong in [
            "a..b@example.com",
            ".a@example.com",
            "a.@example.com",
            "a:@example.com",
            "h@-example.com",
            "h@example-.com",
            "a\u{200b}@example.com",
            "a@exa\u{200b}mple.com",
            "a@exa\u{ad}mple.com",
            "a@example..com",
            "a@example.com.",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "\"a b\"@example.com",
            "a\\b@example.com",
            "a@exa_mple.com",
            "a@xn--a.example",
            "a@example",
            "a,b@example.com",
            "<a@example.com>",
        ] {
            assert_eq!(wrong.parse::<Email>().unwrap_err().code, FieldCode::NotAnEmail, "{wrong:?}");
        }
        assert!(format!("{}@example.com", "a".repeat(65)).parse::<Email>().is_err());
        assert!(format!("a@{}.com", "a".repeat(64)).parse::<Email>().is_err());
    }

    #[test]
    fn an_address_of_nothing_is_too_short() {
        assert_eq!(" ".parse::<Email>().unwrap_err().code, FieldCode::TooShort);
    }

    #[test]
    fn spellings_of_one_mailbox_are_one_address() {
        let one = |text: &str| text.parse::<Email>().unwrap().to_string();
        assert_eq!(one("Zoe\u{308}@BÜCHER.example"), "zoë@xn--bcher-kva.example");
        assert_eq!(one("zoë@xn--bcher-kva.example"), one("zoë@bu\u{308}cher.example"));
    }

    #[test]
    fn a_letter_that_only_looks_like_another_is_not_folded_into_it() {
        assert!("\u{212a}im@example.com".parse::<Email>().is_err(), "the Kelvin sign");
        assert_ne!("\u{130}da@example.com".parse::<Email>().unwrap().as_str(), "ida@example.com");
        assert_ne!("Ä@example.com".parse::<Email>().unwrap(), "ä@example.com".parse::<Email>().unwrap());
    }
}
