//! What is attached to a PDF.

use crate::read::{Unreadable, XML_MAX};
use lopdf::{Dictionary, Document, Error, LoadOptions, Object};

/// How the standards call the invoice: Factur-X and ZUGFeRD 2, ZUGFeRD 1, XRechnung.
const NAMES: &[&str] = &["factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml", "cii.xml", "ubl.xml"];
/// Objects in one another in which an attachment is looked for.
const DEPTH_MAX: usize = 12;
/// Attachments that are looked at.
const ATTACHED_MAX: usize = 20;
/// Bytes that one stream of a PDF may unpack to as it is opened.
const STREAM_MAX: usize = 64 << 20;

/// XML that is attached.
pub(super) struct Attached {
    /// Has it one of the names that the standards give?
    pub is_named: bool,
    pub bytes: Result<Vec<u8>, Unreadable>,
}

/// A PDF may begin with something else.
pub(super) fn is_pdf(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(1_024)].windows(5).any(|window| window == b"%PDF-")
}

/// The XML files that are attached, those with a name of the standards first.
pub(super) fn attached(pdf: &[u8]) -> Result<Vec<Attached>, Unreadable> {
    let options = LoadOptions { max_decompressed_size: Some(STREAM_MAX), ..LoadOptions::default() };
    let document = Document::load_mem_with_options(pdf, options).map_err(unreadable)?;
    let mut found: Vec<(String, Attached)> = vec![];
    for object in document.objects.values() {
        look(&document, object, 0, &mut found);
    }
    if found.is_empty() && document.is_encrypted() {
        return Err(Unreadable::Protected);
    }
    found.sort_by_key(|(name, attached)| (!attached.is_named, name.clone()));
    Ok(found.into_iter().map(|(_, attached)| attached).collect())
}

fn look(document: &Document, object: &Object, depth: usize, found: &mut Vec<(String, Attached)>) {
    if depth > DEPTH_MAX || found.len() >= ATTACHED_MAX {
        return;
    }
    match object {
        Object::Dictionary(dictionary) => {
            if let Some(attached) = attachment(document, dictionary) {
                found.push(attached);
            }
            dictionary.iter().for_each(|(_, inner)| look(document, inner, depth + 1, found));
        }
        Object::Array(array) => array.iter().for_each(|inner| look(document, inner, depth + 1, found)),
        _ => {}
    }
}

/// The XML file that a dictionary specifies, if it does.
fn attachment(document: &Document, specification: &Dictionary) -> Option<(String, Attached)> {
    let files = specification.get_deref(b"EF", document).ok()?.as_dict().ok()?;
    let named = |key: &[u8]| specification.get_deref(key, document).ok().and_then(text);
    let name = named(b"UF").or_else(|| named(b"F"))?.to_lowercase();
    let is_named = NAMES.contains(&name.as_str());
    if !name.ends_with(".xml") {
        return None;
    }
    let stream = [&b"F"[..], b"UF"].iter().find_map(|key| files.get_deref(key, document).ok()?.as_stream().ok())?;
    let bytes = stream.get_plain_content_with_limit(XML_MAX).map_err(unreadable);
    Some((name, Attached { is_named, bytes }))
}

/// A text string: UTF-16 with its mark, or single bytes.
fn text(object: &Object) -> Option<String> {
    let bytes = object.as_str().ok()?;
    Some(match bytes.strip_prefix(&[0xfe, 0xff]) {
        Some(wide) => {
            let units = wide.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            String::from_utf16_lossy(&units.collect::<Vec<_>>())
        }
        None => String::from_utf8_lossy(bytes).into_owned(),
    })
}

fn unreadable(error: Error) -> Unreadable {
    match error {
        Error::InvalidPassword | Error::Decryption(_) | Error::AlreadyEncrypted => Unreadable::Protected,
        Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { limit }) => Unreadable::TooLarge(limit),
        error => Unreadable::Damaged(error.to_string().chars().take(200).collect()),
    }
}
