//! Small values that are checked once, at the edge, and trusted inside.

use crate::length::line;
use crate::permission::Rule;
use crate::{FieldCode, InvalidValue};
use crate::{email, phone, postal_address, visible, web_address};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

macro_rules! first {
    ($first:expr $(, $rest:expr)*) => {
        $first
    };
}

/// A checked text type: parsing, serde, schema and display from one rule, or reading JSON by another.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $check:expr, $schema:tt $(, read by $read:expr)?);* $(;)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl FromStr for $name {
            type Err = InvalidValue;
            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                let check: fn(&str) -> Result<String, InvalidValue> = $check;
                check(text).map(Self)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str { &self.0 }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                let read: fn(&str) -> Result<String, InvalidValue> = first!($($read,)? $check);
                read(&text).map(Self).map_err(serde::de::Error::custom)
            }
        }
        crate::input_texts!($name);
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> { stringify!($name).into() }
            fn json_schema(_: &mut SchemaGenerator) -> Schema { json_schema!($schema) }
        }
    )*};
}

texts! {
    /// What something or someone is called: 1 to 200 characters, trimmed, one line, in NFC and without what nobody sees.
    Name = |text| visible::name(text, 200), { "type": "string", "minLength": 1, "maxLength": 200 };
    /// What a folder is called: a name that is one step of a path, so without `/` and `\\`, and neither `.` nor `..`.
    FolderName = folder_name, { "type": "string", "format": "folder-name", "minLength": 1, "maxLength": 200 };
    /// What a file is called: a name that is one step of a path, as that of a folder, of at most 255 bytes, as file systems have it.
    FileName = file_name, { "type": "string", "format": "file-name", "minLength": 1, "maxLength": 255 };
    /// What kind of thing a file is, without parameters and in lower case: `application/pdf`.
    MediaType = media_type, { "type": "string", "maxLength": 127,
        "pattern": "^[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}$",
        "examples": ["application/pdf", "image/png", "text/plain"] };
    /// The SHA-256 of a file's bytes in lower-case hexadecimal.
    Checksum = secret_hash, { "type": "string", "pattern": "^[0-9a-f]{64}$",
        "examples": ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"] };
    /// Free text of up to 5,000 characters in NFC; may have lines, and nothing that turns its direction around.
    Text = |text| visible::text(text, 5_000), { "type": "string", "maxLength": 5000 };
    /// What a paper says, in Markdown: up to 50,000 characters in NFC; nothing that turns its direction around.
    Markdown = |text| visible::text(text, 50_000), { "type": "string", "maxLength": 50000 };
    /// An e-mail address of RFC 5321, trimmed, in NFC, its domain in A-labels (IDNA) and its ASCII letters lower-cased, so
    /// that one mailbox has one spelling.
    Email = email::address, { "type": "string", "format": "idn-email", "maxLength": 254 };
    /// A telephone number in E.164, one that its country's plan has: `+4930123456`.
    Phone = phone::number, { "type": "string", "format": "phone", "pattern": "^\\+[1-9][0-9]{6,14}$",
        "examples": ["+4930123456", "+442079460958"] }, read by phone::of_the_log;
    /// A key that people and definitions write: `onboarding_project`.
    Slug = slug, { "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,62}$" };
    /// What a role grants, or with a `!` denies: `crm.contact.rename`, `crm.*`, `*.read`, or short `clients:read`; with
    /// `:own` at the end only for what is the caller's own.
    Pattern = pattern, { "type": "string", "examples": ["crm.*", "*.read", "!crm.client.block", "clients:read"] };
    /// Which events somebody may read: all of a context, `projects.>`, all of one kind of record, `crm.client.>`, or one kind of
    /// event, `crm.client.created`.
    EventScope = event_scope, { "type": "string", "maxLength": 200, "pattern": "^[a-z][a-z0-9_]*\\.(>|[a-z][a-z0-9_]*\\.(>|[a-z][a-z0-9_]*))$",
        "examples": ["projects.>", "crm.client.>", "crm.client.created"] };
    /// The SHA-256 of a secret in lower-case hexadecimal. Fields of this type are taken out of what leaves (`x-secret`), so
    /// in events they are `#[serde(default, skip_serializing_if = "SecretHash::is_withheld")]`.
    SecretHash = secret_hash, { "type": "string", "pattern": "^[0-9a-f]{64}$", "x-secret": true };
    /// A provider's name for itself, `https://login.example.com` (OpenID Connect Core 1.0 §2, `iss`).
    Issuer = issuer, { "type": "string", "maxLength": 255, "examples": ["https://login.example.com"] };
    /// A provider's name for a person (OpenID Connect Core 1.0 §2, `sub`).
    Subject = |text| line(text, 255), { "type": "string", "minLength": 1, "maxLength": 255 };
    /// An IANA time zone name: `Europe/Berlin`.
    TimeZone = time_zone, { "type": "string", "examples": ["Europe/Berlin", "America/New_York"] };
    /// A country of ISO 3166-1 in two letters: `DE`.
    Country = postal_address::country, { "type": "string", "format": "country", "pattern": "^[A-Z]{2}$", "examples": ["DE", "US"] };
    /// A postal code in upper case, without spaces around it: `10115`, `SW1A 1AA`.
    PostalCode = postal_address::postal_code, { "type": "string", "pattern": "^[0-9A-Z][0-9A-Z -]{0,14}[0-9A-Z]$",
        "examples": ["10115", "SW1A 1AA"] };
    /// An address of the web, `http` or `https`, of a named host, as the URL standard writes it: `https://engines.example/`.
    WebAddress = web_address::address, { "type": "string", "format": "uri", "maxLength": 2000,
        "examples": ["https://engines.example/"] };
}

impl Name {
    /// What it is compared by: names that look the same are one name.
    pub fn folded(&self) -> String {
        visible::folded(&self.0)
    }
}

impl FolderName {
    /// What it is compared by: names that look the same are one name.
    pub fn folded(&self) -> String {
        visible::folded(&self.0)
    }
}

impl FileName {
    /// What is behind its last dot, in lower case: `pdf`. None if there is none, or nothing before it.
    pub fn extension(&self) -> Option<String> {
        let (stem, extension) = self.0.rsplit_once('.')?;
        (!stem.is_empty() && !extension.is_empty()).then(|| extension.to_lowercase())
    }
}

impl Checksum {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Pattern {
    /// Does it give, without a `!` in front or `:own` behind?
    pub fn only_gives(&self) -> bool {
        Rule::parse(&self.0).is_some_and(|rule| rule.only_gives())
    }
}

impl EventScope {
    /// Is every event of `other` one of this?
    pub fn covers(&self, other: &Self) -> bool {
        self == other || self.0.strip_suffix('>').is_some_and(|prefix| other.0.starts_with(prefix))
    }
}

impl SecretHash {
    /// Of this secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Was it taken out of an event? Then no secret is this one's.
    pub fn is_withheld(&self) -> bool {
        self.0.is_empty()
    }
}

/// What stands in an event that was shown without it.
impl Default for SecretHash {
    fn default() -> Self {
        Self(String::new())
    }
}

/// UTC, until somebody says which.
impl Default for TimeZone {
    fn default() -> Self {
        Self(chrono_tz::UTC.name().to_owned())
    }
}

impl TimeZone {
    /// The zone's rules.
    pub fn rules(&self) -> chrono_tz::Tz {
        self.0.parse().unwrap_or(chrono_tz::UTC)
    }
}

/// Bytes of a file's name, as most file systems bound it.
const FILE_NAME_MAX: usize = 255;

fn folder_name(text: &str) -> Result<String, InvalidValue> {
    step_of_a_path(visible::name(text, 200)?)
}

fn file_name(text: &str) -> Result<String, InvalidValue> {
    let name = step_of_a_path(visible::name(text, FILE_NAME_MAX)?)?;
    if name.len() > FILE_NAME_MAX {
        let wrong = InvalidValue::new(FieldCode::TooLong, "expected at most 255 bytes in UTF-8");
        return Err(wrong.with("max", FILE_NAME_MAX));
    }
    Ok(name)
}

fn media_type(text: &str) -> Result<String, InvalidValue> {
    let text = text.trim().to_ascii_lowercase();
    let is_word = |word: &str| {
        (1..=63).contains(&word.len())
            && word.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "!#$&^_.+-".contains(c))
    };
    match text.split_once('/') {
        Some((kind, of)) if is_word(kind) && is_word(of) => Ok(text),
        _ => {
            let expected = "expected a media type without parameters, such as application/pdf";
            Err(InvalidValue::new(FieldCode::NotAllowed, expected))
        }
    }
}

fn step_of_a_path(name: String) -> Result<String, InvalidValue> {
    // Full-width letters and the like are other letters; only what a path is made of would lead elsewhere.
    if name.contains(['/', '\\']) || name == "." || name == ".." {
        let expected = r"expected a name without / and \, and neither . nor ..";
        return Err(InvalidValue::new(FieldCode::NotAllowed, expected));
    }
    Ok(name)
}

fn slug(text: &str) -> Result<String, InvalidValue> {
    let valid = text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'));
    if valid {
        Ok(text.to_owned())
    } else {
        Err(InvalidValue::new(FieldCode::NotAKey, "expected a key such as onboarding_project"))
    }
}

fn event_scope(text: &str) -> Result<String, InvalidValue> {
    let is_word = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let words: Vec<&str> = text.split('.').collect();
    let (last, before) = words.split_last().unwrap_or((&"", &[]));
    let is_whole = before.iter().all(is_word)
        && ((before.len() == 2 && is_word(last)) || (matches!(before.len(), 1 | 2) && *last == ">"));
    if is_whole && text.len() <= 200 {
        Ok(text.to_owned())
    } else {
        let expected = "expected events such as projects.>, crm.client.> or crm.client.created";
        Err(InvalidValue::new(FieldCode::NotAPattern, expected))
    }
}

fn pattern(text: &str) -> Result<String, InvalidValue> {
    match Rule::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(InvalidValue::new(
            FieldCode::NotAPattern,
            "expected a pattern such as crm.*, *.read, !crm.client.block or clients:read",
        )),
    }
}

fn secret_hash(text: &str) -> Result<String, InvalidValue> {
    let valid = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if valid {
        Ok(text.to_owned())
    } else {
        Err(InvalidValue::new(FieldCode::NotAHash, "expected 64 hexadecimal digits in lower case"))
    }
}

fn issuer(text: &str) -> Result<String, InvalidValue> {
    let text = line(text, 255)?;
    // A provider on this machine needs no TLS.
    let hosts = ["https://", "http://127.0.0.1", "http://localhost"];
    let valid = hosts.iter().any(|start| text.len() > start.len() && text.starts_with(start))
        && !text.contains(['?', '#', ' ', '@', '\\']);
    if valid {
        Ok(text)
    } else {
        Err(InvalidValue::new(FieldCode::NotAUrl, "expected an issuer such as https://login.example.com"))
    }
}

fn time_zone(text: &str) -> Result<String, InvalidValue> {
    match text.parse::<chrono_tz::Tz>() {
        Ok(zone) => Ok(zone.name().to_owned()),
        Err(_) => Err(InvalidValue::new(FieldCode::NotATimeZone, "expected an IANA time zone such as Europe/Berlin")),
    }
}

/// A personal field of an event: the value, or nothing once the person it is about was erased.
///
/// In JSON it is the value itself, and `null` when erased. The log keeps it sealed with the key of its stream, and erasure
/// destroys that key (docs/adr/0021). `Debug` never prints the value, so that it cannot reach a log by accident.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Personal<T>(Option<T>);

impl<T> Personal<T> {
    /// A value that is known.
    pub fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// What is left of an erased person.
    pub fn erased() -> Self {
        Self(None)
    }

    /// The value itself, none if it was erased; reading it is a choice.
    pub fn expose(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl<T: AsRef<str>> Personal<T> {
    /// The text, empty if it was erased.
    pub fn text(&self) -> &str {
        self.expose().map_or("", AsRef::as_ref)
    }
}

impl<T> Default for Personal<T> {
    fn default() -> Self {
        Self::erased()
    }
}

impl<T> From<T> for Personal<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: FromStr> FromStr for Personal<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        text.parse().map(Self::new)
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Personal(…)" } else { "Personal(erased)" })
    }
}

impl<T: JsonSchema> JsonSchema for Personal<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Personal{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Option::<T>::json_schema(generator);
        schema.insert("x-personal".to_owned(), true.into());
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_of_events_names_a_context_a_record_or_an_event() {
        let scope = |text: &str| text.parse::<EventScope>();
        for good in ["projects.>", "crm.client.>", "crm.client.created", "scheduling.event_type.published"] {
            assert!(scope(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            ">",
            "*",
            "crm",
            "crm.",
            "crm.*",
            "crm.client",
            "crm.>.created",
            "a.b.c.d",
            "Crm.>",
            "crm.client.>.x",
            "crm .>",
        ] {
            assert!(scope(wrong).is_err(), "{wrong}");
        }
        let crm = scope("crm.>").unwrap();
        assert!(crm.covers(&scope("crm.client.created").unwrap()) && !crm.covers(&scope("crmx.>").unwrap()));
        assert!(!scope("crm.client.>").unwrap().covers(&crm));
    }

    #[test]
    fn one_mailbox_has_one_spelling() {
        let email: Email = " Ada@Example.COM ".parse().unwrap();
        assert_eq!(email.as_str(), "ada@example.com");
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for wrong in
            ["", "ada", "ada@", "@example.com", "ada@example", "a da@example.com", "ada@exa mple.com", "a@b@c.de"]
        {
            assert!(wrong.parse::<Email>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_name_is_one_visible_line() {
        assert!("\u{0}".parse::<Name>().is_err());
        assert!("two\nlines".parse::<Name>().is_err());
        assert!("   ".parse::<Name>().is_err());
        assert!("x".repeat(201).parse::<Name>().is_err());
        assert_eq!("  Ada Lovelace ".parse::<Name>().unwrap().as_str(), "Ada Lovelace");
    }

    #[test]
    fn a_folder_is_called_what_leads_nowhere_else() {
        for wrong in ["a/b", "/", "a\\b", "..", ".", " .. ", "../secret"] {
            assert_eq!(wrong.parse::<FolderName>().unwrap_err().code, FieldCode::NotAllowed, "{wrong:?}");
        }
        assert_eq!("\u{200b}".parse::<FolderName>().unwrap_err().code, FieldCode::NotVisible);
        for right in ["...", ".config", "a.b", "2026 – Q1", "A∕B"] {
            assert_eq!(right.parse::<FolderName>().unwrap().as_str(), right);
        }
    }

    #[test]
    fn a_file_is_called_what_file_systems_take() {
        let emoji = "🐘".repeat(63) + "abc";
        assert_eq!(emoji.len(), 255);
        for right in ["1 ©.jpg", "a  b.pdf", "qwe!w.png", "o'neill (1).pdf", "\"q\".txt", emoji.as_str()] {
            assert_eq!(right.parse::<FileName>().unwrap().as_str(), right);
        }
        assert_eq!((emoji + "d").parse::<FileName>().unwrap_err().code, FieldCode::TooLong);
        for wrong in ["../x", "a/b.pdf", "a\\b", ".."] {
            assert_eq!(wrong.parse::<FileName>().unwrap_err().code, FieldCode::NotAllowed, "{wrong:?}");
        }
        assert!("gnp\u{202e}fdp.exe".parse::<FileName>().is_err());
        let extension = |name: &str| name.parse::<FileName>().unwrap().extension();
        assert_eq!(extension("Plan.PDF"), Some("pdf".to_owned()));
        assert_eq!((extension(".config"), extension("README")), (None, None));
    }

    #[test]
    fn a_media_type_has_two_words_and_no_parameters() {
        assert_eq!(" Application/PDF ".parse::<MediaType>().unwrap().as_str(), "application/pdf");
        let word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        assert_eq!(word.parse::<MediaType>().map(|_| ()).map_err(|e| e.code), Ok(()));
        for wrong in
            ["", "pdf", "text/", "/plain", "text/plain; charset=utf-8", "a/b/c", "text/pl ain", "text/\r\nx: y"]
        {
            assert!(wrong.parse::<MediaType>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_personal_value_does_not_print() {
        assert_eq!(format!("{:?}", Personal::new("Ada".to_owned())), "Personal(…)");
        assert_eq!(serde_json::to_string(&Personal::new("Ada")).unwrap(), "\"Ada\"");
    }

    #[test]
    fn an_erased_value_is_null() {
        assert_eq!(serde_json::to_string(&Personal::<Email>::erased()).unwrap(), "null");
        assert_eq!(serde_json::from_str::<Personal<Email>>("null").unwrap(), Personal::erased());
        assert!(serde_json::from_str::<Personal<Email>>("\"nobody\"").is_err());
    }

    #[test]
    fn a_missing_value_is_not_an_erased_one() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only whether it is read is looked at")]
        struct Payload {
            name: Personal<Name>,
        }
        assert!(crate::read_fields::<Payload>(r#"{"name":null}"#).is_ok());
        assert!(crate::read_fields::<Payload>("{}").is_err());
    }

    #[test]
    fn a_personal_field_is_marked_in_the_schema() {
        let schema = crate::schema_of::<Personal<Email>>();
        assert_eq!(schema.get("x-personal"), Some(&true.into()));
        assert_eq!(schema.get("format"), Some(&"idn-email".into()));
        assert_eq!(schema.get("type"), Some(&serde_json::json!(["string", "null"])));
    }
}
