//! Whether bytes are what they are said to be, by how they begin.

use kernel::MediaType;

/// Bytes that are looked at.
pub const HEAD: usize = 8 << 10;

/// Containers that many formats share: what is told of the bytes, and how what is announced begins or ends.
const CONTAINERS: &[(&str, &[&str], &[&str])] = &[
    (
        "application/zip",
        &[
            "application/vnd.openxmlformats-officedocument.",
            "application/vnd.oasis.opendocument.",
            "application/vnd.apple.",
            "application/vnd.ms-",
            "application/x-zip-compressed",
            "application/java-archive",
        ],
        &["+zip"],
    ),
    (
        "application/x-ole-storage",
        &["application/msword", "application/vnd.ms-", "application/vnd.visio", "application/x-msi"],
        &[],
    ),
    ("text/xml", &["application/xml", "image/svg+xml", "application/xhtml+xml"], &["+xml"]),
    ("text/html", &["application/xhtml+xml"], &[]),
    ("application/gzip", &["application/x-gzip", "application/x-gtar", "application/x-compressed-tar"], &["+gzip"]),
    ("image/jpeg", &["image/jpg", "image/pjpeg"], &[]),
    ("image/heif", &["image/heic"], &[]),
    ("audio/mpeg", &["audio/mp3"], &[]),
    ("audio/x-wav", &["audio/wav", "audio/vnd.wave"], &[]),
    ("audio/m4a", &["audio/mp4", "audio/x-m4a"], &[]),
    ("video/x-msvideo", &["video/avi"], &[]),
    ("video/mp4", &["audio/mp4", "video/quicktime", "video/x-m4v"], &[]),
    ("image/vnd.microsoft.icon", &["image/x-icon"], &[]),
    ("application/vnd.rar", &["application/x-rar-compressed"], &[]),
];

/// What the bytes are instead, if they are not what is announced. `head` is how they begin.
pub fn contradiction(announced: &MediaType, head: &[u8]) -> Option<String> {
    let announced = announced.as_str();
    // Nothing is nothing of any kind, and whoever announces any bytes gets any.
    if head.is_empty() || announced == "application/octet-stream" {
        return None;
    }
    match infer::get(head).map(|kind| kind.mime_type()) {
        Some(found) if found == announced || may_be(found, announced) => None,
        Some(found) if is_text(found) && is_text(announced) => None,
        Some(found) => Some(found.to_owned()),
        None if is_text(announced) => looks_binary(head).then(|| "application/octet-stream".to_owned()),
        // What would be known by how it begins, and is not.
        None if infer::is_mime_supported(announced) => Some("something else".to_owned()),
        None => None,
    }
}

fn may_be(found: &str, announced: &str) -> bool {
    CONTAINERS.iter().filter(|(container, ..)| *container == found).any(|(_, begins, ends)| {
        begins.iter().any(|begin| announced.starts_with(begin)) || ends.iter().any(|end| announced.ends_with(end))
    })
}

/// People write it and read it as it is.
fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || matches!(media_type, "application/json" | "application/xml" | "application/javascript" | "application/sql")
        || media_type.ends_with("+json")
        || media_type.ends_with("+xml")
}

/// Text has no NUL, unless it is UTF-16 and says so.
fn looks_binary(head: &[u8]) -> bool {
    let is_utf16 = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    !is_utf16 && head.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(announced: &str, head: &[u8]) -> Option<String> {
        contradiction(&announced.parse().unwrap(), head)
    }

    const PDF: &[u8] = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj";
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const HTML: &[u8] = b"<!DOCTYPE html><html><script>alert(1)</script>";
    const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\x08\0other";

    #[test]
    fn what_is_announced_and_what_comes_agree_or_not() {
        assert_eq!(found("application/pdf", PDF), None);
        assert_eq!(found("image/png", PNG), None);
        assert_eq!(found("application/pdf", HTML).as_deref(), Some("text/html"));
        assert_eq!(found("application/pdf", PNG).as_deref(), Some("image/png"));
        assert_eq!(found("text/plain", PDF).as_deref(), Some("application/pdf"));
        assert!(found("application/pdf", b"just words").is_some());
        assert!(found("image/jpeg", b"just words").is_some());
    }

    #[test]
    fn a_container_may_be_any_of_its_formats() {
        let word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        assert_eq!(found(word, ZIP), None);
        assert_eq!(found("application/epub+zip", ZIP), None);
        assert!(found("image/png", ZIP).is_some());
        assert_eq!(found("image/svg+xml", b"<?xml version=\"1.0\"?><svg/>"), None);
    }

    #[test]
    fn text_is_text_and_any_bytes_are_any_bytes() {
        assert_eq!(found("text/csv", "name;sum\nZoë;1".as_bytes()), None);
        assert_eq!(found("text/plain", HTML), None);
        assert!(found("text/csv", b"a\0b").is_some());
        assert_eq!(found("text/plain", b"\xff\xfea\0b\0"), None);
        assert_eq!(found("application/octet-stream", PNG), None);
        assert_eq!(found("application/x-something", b"\0\x01\x02"), None);
        assert_eq!(found("application/pdf", b""), None);
    }
}
