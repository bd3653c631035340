//! Entity tags, and what requests ask by them (RFC 9110 §8.8.3, §13.1).
//!
//! A record's tag carries the version that commands check and a digest of what is shown, `"3-5f0c2a9e41d7b683"`: it changes
//! whenever the answer does, and `If-Match` understands it. A command knows the version alone and answers `"3"`.

use crate::problem::{Problem, code};
use actix_web::http::header::{HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use sha2::{Digest, Sha256};

/// Bytes of the digest that stand in a tag: enough to tell the answers of one record apart.
const DIGEST_BYTES: usize = 8;

/// The tag of a record's answer, with its quotes.
pub fn entity_tag(version: i64, body: &[u8]) -> String {
    format!("\"{version}-{}\"", hex::encode(&Sha256::digest(body)[..DIGEST_BYTES]))
}

/// Which versions `If-Match` takes; `None` if it takes any, or is not there. No version at all is what a tag means that is
/// weak or not ours.
///
/// # Errors
/// If it is no list of entity tags.
pub fn expected_versions(headers: &HeaderMap) -> Result<Option<Vec<i64>>, Problem> {
    let Some(tags) = read(headers, &IF_MATCH)? else { return Ok(None) };
    Ok(match tags {
        // Any existing record, which every command but a creation wants anyway.
        Tags::Any => None,
        // If-Match compares strongly.
        Tags::Of(tags) => Some(tags.iter().filter(|tag| !tag.weak).filter_map(|tag| version(&tag.opaque)).collect()),
    })
}

/// Does the caller hold the answer with this tag already? Weak and strong tags compare alike.
///
/// # Errors
/// If `If-None-Match` is no list of entity tags.
pub fn is_known(headers: &HeaderMap, etag: &str) -> Result<bool, Problem> {
    Ok(match read(headers, &IF_NONE_MATCH)? {
        None => false,
        Some(Tags::Any) => true,
        Some(Tags::Of(tags)) => tags.iter().any(|tag| etag.trim_matches('"') == tag.opaque),
    })
}

/// The version in a tag of ours: `3` or `3-5f0c2a9e41d7b683`.
fn version(opaque: &str) -> Option<i64> {
    let (version, digest) = opaque.split_once('-').map_or((opaque, None), |(version, digest)| (version, Some(digest)));
    let is_digest =
        |text: &str| text.len() == 2 * DIGEST_BYTES && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_ours = version.bytes().all(|b| b.is_ascii_digit()) && digest.is_none_or(is_digest);
    version.parse().ok().filter(|version| *version > 0 && is_ours)
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    Any,
    Of(Vec<Tag>),
}

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    weak: bool,
    opaque: String,
}

/// The tags of all header lines of this name, which together are one list.
fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let unreadable = || {
        let detail = format!("{name}: expected entity tags such as \"3\", separated by commas, or one *");
        Problem::new(&code::INVALID_HEADER, detail)
    };
    let lines: Vec<&[u8]> = headers.get_all(name).map(|value| value.as_bytes()).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    if let [only] = lines.as_slice()
        && only.trim_ascii() == b"*"
    {
        return Ok(Some(Tags::Any));
    }
    let mut tags = vec![];
    for line in lines {
        tags.extend(list(line).ok_or_else(unreadable)?);
    }
    if tags.is_empty() { Err(unreadable()) } else { Ok(Some(Tags::Of(tags))) }
}

/// `#entity-tag`: a comma may stand inside of a tag, and elements may be empty (RFC 9110 §5.6.1.2).
fn list(mut rest: &[u8]) -> Option<Vec<Tag>> {
    let mut tags = vec![];
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(tags);
        }
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after;
            continue;
        }
        let (weak, quoted) = rest.strip_prefix(b"W/").map_or((false, rest), |after| (true, after));
        let inside = quoted.strip_prefix(b"\"")?;
        let end = inside.iter().position(|byte| *byte == b'"')?;
        let (opaque, after) = (&inside[..end], inside[end + 1..].trim_ascii_start());
        if !opaque.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)) {
            return None;
        }
        tags.push(Tag { weak, opaque: String::from_utf8_lossy(opaque).into_owned() });
        if !after.is_empty() && !after.starts_with(b",") {
            return None;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(name: HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        lines.iter().for_each(|line| headers.append(name.clone(), HeaderValue::from_str(line).unwrap()));
        headers
    }

    #[test]
    fn if_match_takes_what_a_read_and_what_a_command_gave() {
        let of =
            |lines: &[&str]| expected_versions(&headers(IF_MATCH, lines)).map_err(|problem| problem.code().to_owned());
        let read = entity_tag(3, b"{}");
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["*"]), Ok(None));
        assert_eq!(of(&[&read]), Ok(Some(vec![3])));
        assert_eq!(of(&["\"3\""]), Ok(Some(vec![3])));
        assert_eq!(of(&["\"2\", \"3\"", ",\"5\" ,"]), Ok(Some(vec![2, 3, 5])));
        assert_eq!(of(&["\"a,b\",\"4\""]), Ok(Some(vec![4])), "a comma inside of a tag");
        for never in ["W/\"2\"", "\"x\"", "\"\"", "\"-1\"", "\"0\"", "\"+1\"", "\"3-zz\"", "\"99999999999999999999\""] {
            assert_eq!(of(&[never]), Ok(Some(vec![])), "{never}");
        }
        for wrong in ["3", "", "\"3", "w/\"3\"", "*, \"3\"", "\"3\" \"4\"", "\"a b\"", "W/ \"3\""] {
            assert_eq!(of(&[wrong]), Err("invalid-header".to_owned()), "{wrong:?}");
        }
        assert_eq!(of(&["*", "*"]), Err("invalid-header".to_owned()));
    }

    #[test]
    fn if_none_match_compares_weakly_and_with_the_whole_tag() {
        let etag = entity_tag(3, b"{\"name\":\"Ada\"}");
        let known =
            |line: &str| is_known(&headers(IF_NONE_MATCH, &[line]), &etag).map_err(|problem| problem.code().to_owned());
        assert_eq!(known(&etag), Ok(true));
        assert_eq!(known(&format!("\"1\", W/{etag}")), Ok(true));
        assert_eq!(known("*"), Ok(true));
        assert_eq!(known("\"3\""), Ok(false), "the version alone does not say what is shown");
        assert_eq!(known(&entity_tag(3, b"{\"name\":null}")), Ok(false), "the same version, shown differently");
        assert_eq!(known("3"), Err("invalid-header".to_owned()));
    }
}
