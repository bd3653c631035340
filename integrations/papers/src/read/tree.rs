//! XML as a tree of elements, of bytes that nobody trusts.

use crate::read::{Unreadable, XML_MAX};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Elements in one another; an invoice has a dozen.
const DEPTH_MAX: usize = 64;
/// Elements and attributes of one document.
const PARTS_MAX: usize = 300_000;
/// Characters of a text that anybody looks at; the attachments that an invoice may carry are longer, and not looked at.
const TEXT_MAX: usize = 20_000;

/// An element, by its name without a prefix: who writes an invoice chooses the prefixes.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The first of the elements inside that has one of these names.
    pub fn child(&self, names: &[&str]) -> Option<&Element> {
        self.children.iter().find(|child| names.contains(&child.name.as_str()))
    }

    /// All of them.
    pub fn all<'a>(&'a self, names: &'a [&'a str]) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(|child| names.contains(&child.name.as_str()))
    }

    /// The first element at the end of a path.
    pub fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |at, name| at.child(&[name]))
    }

    /// The text there, if there is one.
    pub fn text_at(&self, path: &[&str]) -> Option<String> {
        self.at(path).and_then(Element::text)
    }

    /// Its text in one line, if it has one.
    pub fn text(&self) -> Option<String> {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    pub fn has(&self, name: &str) -> bool {
        self.child(&[name]).is_some()
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Does it begin as XML does, in whatever encoding?
pub(super) fn looks_like_xml(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(200)];
    // Only XML names an encoding, known or not.
    let Ok(text) = decoded(head, false) else { return true };
    text.trim_start_matches('\u{feff}').trim_start().starts_with('<')
}

/// The root, with all that is in it.
pub(super) fn read(bytes: &[u8]) -> Result<Element, Unreadable> {
    if bytes.len() > XML_MAX {
        return Err(Unreadable::TooLarge(XML_MAX));
    }
    let text = decoded(bytes, true)?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut open: Vec<Element> = vec![];
    let (mut root, mut parts) = (None, 0);
    loop {
        match reader.read_event().map_err(damaged)? {
            Event::Start(start) => {
                let element = begun(&start, &mut parts)?;
                if open.len() >= DEPTH_MAX {
                    return Err(Unreadable::Damaged(format!("more than {DEPTH_MAX} elements are in one another")));
                }
                if open.is_empty() && root.is_some() {
                    return Err(Unreadable::Damaged("it has two roots".to_owned()));
                }
                open.push(element);
            }
            Event::Empty(start) => {
                let element = begun(&start, &mut parts)?;
                close(element, &mut open, &mut root)?;
            }
            Event::End(_) => {
                let element = open.pop().ok_or_else(|| Unreadable::Damaged("an element ends twice".to_owned()))?;
                close(element, &mut open, &mut root)?;
            }
            Event::Text(text) => say(&mut open, &text.decode().map_err(damaged)?),
            Event::CData(text) => say(&mut open, &text.decode().map_err(damaged)?),
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(damaged)?;
                let known = quick_xml::escape::resolve_predefined_entity(&name);
                match (reference.resolve_char_ref().map_err(damaged)?, known) {
                    (Some(character), _) => say(&mut open, character.encode_utf8(&mut [0; 4])),
                    (None, Some(known)) => say(&mut open, known),
                    // Without a document type there are no others.
                    (None, None) => {
                        return Err(Unreadable::Damaged("it has an entity that XML does not know".to_owned()));
                    }
                }
            }
            Event::DocType(_) => return Err(Unreadable::Doctype),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof if open.is_empty() => break,
            Event::Eof => return Err(Unreadable::Damaged("it ends in the middle".to_owned())),
        }
    }
    root.ok_or_else(|| Unreadable::Damaged("there is no element".to_owned()))
}

fn begun(start: &BytesStart<'_>, parts: &mut usize) -> Result<Element, Unreadable> {
    let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
    let mut attributes = vec![];
    for attribute in start.attributes() {
        let attribute = attribute.map_err(damaged)?;
        *parts += 1;
        let key = String::from_utf8_lossy(attribute.key.local_name().as_ref()).into_owned();
        // One that cannot be read says nothing that anybody needs.
        let value = String::from_utf8_lossy(&attribute.value).trim().to_owned();
        attributes.push((key, value));
    }
    *parts += 1;
    if *parts > PARTS_MAX {
        return Err(Unreadable::Damaged(format!("it has more than {PARTS_MAX} elements")));
    }
    Ok(Element { name, attributes, ..Element::default() })
}

fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), Unreadable> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return Err(Unreadable::Damaged("it has two roots".to_owned())),
    }
    Ok(())
}

fn say(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut()
        && element.text.len() < TEXT_MAX
    {
        element.text.extend(text.chars().take(TEXT_MAX));
    }
}

fn damaged(error: impl std::fmt::Display) -> Unreadable {
    Unreadable::Damaged(error.to_string().chars().take(200).collect())
}

/// The text of bytes, in the encoding that they begin with or name. `whole` says that no character may be cut off.
fn decoded(bytes: &[u8], whole: bool) -> Result<String, Unreadable> {
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None if bytes.starts_with(b"<\0") => UTF_16LE,
        None if bytes.starts_with(b"\0<") => UTF_16BE,
        None => named(bytes)?,
    };
    let (text, _, is_wrong) = encoding.decode(bytes);
    if is_wrong && whole {
        return Err(Unreadable::Damaged(format!("it is not written in {}", encoding.name())));
    }
    Ok(text.into_owned())
}

/// The encoding that the declaration names; UTF-8 if it names none.
fn named(bytes: &[u8]) -> Result<&'static Encoding, Unreadable> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    let declaration = head.trim_start().strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    let Some((_, rest)) = declaration.and_then(|(declaration, _)| declaration.split_once("encoding")) else {
        return Ok(UTF_8);
    };
    let rest = rest.trim_start().strip_prefix('=').unwrap_or_default().trim_start();
    let name = rest.trim_start_matches(['"', '\'']).split(['"', '\'']).next().unwrap_or_default();
    // It says so in single bytes, so it is not written in these.
    match Encoding::for_label(name.as_bytes()) {
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => Ok(UTF_8),
        Some(encoding) => Ok(encoding),
        None => Err(Unreadable::Damaged(format!(
            "nobody knows the encoding {:?}",
            name.chars().take(40).collect::<String>()
        ))),
    }
}
