//! What a download is called where it is saved (RFC 6266).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What RFC 8187 lets stand as it is: letters, digits and these.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// `attachment; filename="1 _.jpg"; filename*=UTF-8''1%20%C2%A9.jpg`: nothing is shown in the browser, and every program finds a name
/// that it can read. The first is in ASCII without what ends or escapes a quoted string, because programs differ in how they read
/// that; nor has it a `%`, which some decode.
pub fn attachment(name: &str) -> String {
    let ascii: String = name
        .chars()
        .map(|c| if c.is_ascii() && !c.is_ascii_control() && !matches!(c, '"' | '\\' | '%' | '/') { c } else { '_' })
        .collect();
    let exact = percent_encode(name.as_bytes(), PLAIN);
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{exact}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_said_in_ascii_and_as_it_is() {
        assert_eq!(attachment("1 ©.jpg"), "attachment; filename=\"1 _.jpg\"; filename*=UTF-8''1%20%C2%A9.jpg");
        assert_eq!(attachment("a  b.pdf"), "attachment; filename=\"a  b.pdf\"; filename*=UTF-8''a%20%20b.pdf");
        assert_eq!(
            attachment("o'neill (1).pdf"),
            "attachment; filename=\"o'neill (1).pdf\"; filename*=UTF-8''o%27neill%20%281%29.pdf"
        );
    }

    #[test]
    fn nothing_in_a_name_ends_the_header_or_its_string() {
        let hostile = attachment("a\"; filename=b.exe\r\nx: y\\%41");
        assert!(!hostile.contains(['\r', '\n', '\\']));
        assert_eq!(hostile.matches('"').count(), 2, "{hostile}");
        assert_eq!(attachment("🐘"), "attachment; filename=\"_\"; filename*=UTF-8''%F0%9F%90%98");
    }
}
