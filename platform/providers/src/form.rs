//! Forms with files (`multipart/form-data`, RFC 7578), as some providers want them and some send them.

use bytes::Bytes;

/// Parts of one form at most.
const PARTS_MAX: usize = 200;

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// The file's name and its kind, if it is a file.
    pub file: Option<(String, String)>,
    /// What it holds.
    pub content: Bytes,
}

impl Part {
    /// A field.
    pub fn text(name: impl Into<String>, value: impl Into<String>) -> Self {
        let value: String = value.into();
        Self { name: name.into(), file: None, content: value.into() }
    }

    /// A file.
    pub fn file(name: impl Into<String>, called: &str, kind: &str, content: Bytes) -> Self {
        Self { name: name.into(), file: Some((called.to_owned(), kind.to_owned())), content }
    }
}

/// The form's `Content-Type` and its bytes. What separates parts stands in none of them.
pub fn encode(parts: &[Part]) -> (String, Bytes) {
    let mut boundary = "ubos-form".to_owned();
    let is_in = |boundary: &str| parts.iter().any(|part| find(&part.content, boundary.as_bytes()).is_some());
    while is_in(&boundary) {
        boundary = format!("ubos-{}", uuid::Uuid::now_v7().simple());
    }
    let mut body = vec![];
    for Part { name, file, content } in parts {
        body.extend_from_slice(
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(name)).as_bytes(),
        );
        if let Some((called, kind)) = file {
            body.extend_from_slice(
                format!("; filename=\"{}\"\r\nContent-Type: {}", quoted(called), quoted(kind)).as_bytes(),
            );
        }
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body.into())
}

/// Nothing that ends a header or its value early.
fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// The parts of a form; none if it is no form, or has more parts than anybody needs.
pub fn decode(content_type: &str, body: &[u8]) -> Option<Vec<Part>> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters, "boundary").filter(|one| !one.is_empty())?;
    let (first, between) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    let mut rest = body.get(find(body, first.as_bytes())? + first.len()..)?;
    let mut parts = vec![];
    loop {
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        // Between the line and its end may stand blanks.
        rest = rest.get(find(rest, b"\r\n")? + 2..)?;
        let end = find(rest, between.as_bytes())?;
        if parts.len() == PARTS_MAX {
            return None;
        }
        parts.extend(part(rest.get(..end)?));
        rest = rest.get(end + between.len()..)?;
    }
}

/// A part that says what it is.
fn part(bytes: &[u8]) -> Option<Part> {
    let head = find(bytes, b"\r\n\r\n")?;
    let (mut name, mut called, mut kind) = (None, None, "application/octet-stream".to_owned());
    for line in String::from_utf8_lossy(bytes.get(..head)?).split("\r\n") {
        let Some((header, value)) = line.split_once(':') else { continue };
        if header.trim().eq_ignore_ascii_case("content-disposition") {
            name = parameter(value, "name");
            called = parameter(value, "filename");
        } else if header.trim().eq_ignore_ascii_case("content-type") {
            kind = value.trim().to_owned();
        }
    }
    let content = Bytes::copy_from_slice(bytes.get(head + 4..)?);
    Some(Part { name: name?, file: called.map(|called| (called, kind)), content })
}

/// `name="value"` or `name=value`, of several that are separated by semicolons.
fn parameter(of: &str, name: &str) -> Option<String> {
    of.split(';').find_map(|one| {
        let (key, value) = one.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_it_was_written() {
        let parts = [
            Part::text("signers[0][name]", "Ada \"the first\" Ünder\r\n--ubos-form"),
            Part::file("files[0]", "a;b\".pdf", "application/pdf", Bytes::from_static(b"%PDF-\r\n\r\n--x\0")),
            Part::text("", ""),
        ];
        let (kind, body) = encode(&parts);
        let read = decode(&kind, &body).unwrap();
        assert_eq!(
            read.iter().map(|part| &part.content).collect::<Vec<_>>(),
            parts.iter().map(|part| &part.content).collect::<Vec<_>>()
        );
        assert_eq!((read[0].name.as_str(), &read[0].file), ("signers[0][name]", &None));
        assert_eq!(read[1].file.as_ref().map(|(_, kind)| kind.as_str()), Some("application/pdf"));
    }

    #[test]
    fn what_is_no_form_is_none() {
        let (kind, body) = encode(&[Part::text("json", "{}")]);
        assert_eq!(decode("application/json", &body), None);
        assert_eq!(decode("multipart/form-data", &body), None);
        assert_eq!(decode("multipart/form-data; boundary=other", &body), None);
        assert_eq!(decode(&kind, &body[..body.len() - 6]), None);
        let many: Vec<Part> = (0..=PARTS_MAX).map(|_| Part::text("a", "b")).collect();
        let (kind, body) = encode(&many);
        assert_eq!(decode(&kind, &body), None);
        assert_eq!(
            decode(
                "multipart/form-data; boundary=\"x\"",
                b"--x  \r\nContent-Disposition: form-data; name=json\r\n\r\n{}\r\n--x--"
            )
            .unwrap(),
            [Part::text("json", "{}")]
        );
    }
}
