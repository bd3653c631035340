//! Filling a template in: Markdown in which `{{client.name}}` stands for a field that the template declares.
//!
//! There is nothing else in it: no condition, no loop, no function, no file. So a template that somebody wrote cannot run anything,
//! and what it will say is known when it is written.

use crate::fields::{FieldKey, MergeField, MergeValue};
use kernel::{Faults, FieldCode, Input, InvalidValue, Markdown, nearest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Fields of one template at most.
const FIELDS_MAX: usize = 100;
/// What begins a field in the body, and what ends it.
const MARKS: (&str, &str) = ("{{", "}}");

/// What is made from a template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, kernel::Input)]
#[serde(rename_all = "snake_case")]
pub enum TemplateKind {
    /// Proposals.
    #[default]
    Proposal,
    /// Contracts.
    Contract,
}

/// A template's body with the fields in it. Each that the body names is declared, and each that is declared is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
// No generated example would name in the body what it declares.
#[schemars(extend("examples" = [{
    "body": "Dear {{client.name}},\n\nas agreed.",
    "fields": [{ "key": "client.name", "kind": "text", "label": "Client", "required": true }]
}]))]
pub struct TemplateContent {
    /// Markdown; `{{client.name}}` stands for a field. Two braces themselves are written `\{\{`.
    pub body: Markdown,
    /// The fields.
    #[serde(default)]
    pub fields: Vec<MergeField>,
}

/// Why a template cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeFault {
    /// A field that must be filled in is not.
    #[error("{0} is missing")]
    Missing(FieldKey),
    /// The template has no such field.
    #[error("there is no field {0}")]
    Unknown(FieldKey),
    /// A field is filled in twice.
    #[error("{0} is there twice")]
    Twice(FieldKey),
    /// A field is filled in with another kind of value.
    #[error("{0} is of another kind")]
    WrongKind(FieldKey),
    /// What comes of it is longer than a paper may be.
    #[error("what comes of it is too long")]
    TooLong,
}

/// A part of a body.
enum Piece<'b> {
    Said(&'b str),
    Field(&'b str, usize),
}

impl TemplateContent {
    /// What the template says with these values.
    ///
    /// # Errors
    /// Everything that is wrong with the values, in the order of the fields.
    pub fn filled(&self, values: &[MergeValue]) -> Result<Markdown, Vec<MergeFault>> {
        let declared: BTreeMap<&str, &MergeField> = self.fields.iter().map(|f| (f.key.as_str(), f)).collect();
        let mut given: BTreeMap<&str, &MergeValue> = BTreeMap::new();
        let mut faults = vec![];
        for value in values {
            match declared.get(value.key.as_str()) {
                None => faults.push(MergeFault::Unknown(value.key.clone())),
                Some(field) if field.kind != value.value.kind() => {
                    faults.push(MergeFault::WrongKind(value.key.clone()));
                }
                Some(_) => {}
            }
            if given.insert(value.key.as_str(), value).is_some() {
                faults.push(MergeFault::Twice(value.key.clone()));
            }
        }
        let missing = self.fields.iter().filter(|field| field.required && !given.contains_key(field.key.as_str()));
        faults.extend(missing.map(|field| MergeFault::Missing(field.key.clone())));
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut filled = String::with_capacity(self.body.as_str().len());
        // What the events hold was read once, so a body that cannot be taken apart is one that nobody wrote.
        for piece in pieces(self.body.as_str()).unwrap_or_default() {
            match piece {
                Piece::Said(text) => filled.push_str(text),
                Piece::Field(key, _) => {
                    filled.push_str(&given.get(key).map(|value| value.value.written()).unwrap_or_default());
                }
            }
        }
        filled.parse().map_err(|_| vec![MergeFault::TooLong])
    }

    /// How body and fields contradict each other, and where.
    fn wrong(&self) -> Vec<InvalidValue> {
        let keys: Vec<&str> = self.fields.iter().map(|field| field.key.as_str()).collect();
        let mut wrong = vec![];
        if keys.len() > FIELDS_MAX {
            let message = format!("expected at most {FIELDS_MAX} fields");
            wrong.push(InvalidValue::new(FieldCode::TooMany, message).with("max", FIELDS_MAX));
        }
        let mut seen = BTreeSet::new();
        for key in keys.iter().filter(|key| !seen.insert(**key)) {
            wrong.push(InvalidValue::new(FieldCode::Duplicate, format!("fields: `{key}` is declared twice")));
        }
        let body = self.body.as_str();
        let pieces = match pieces(body) {
            Ok(pieces) => pieces,
            Err(at) => {
                let message = format!("body, {}: `{}` without `{}`", place(body, at), MARKS.0, MARKS.1);
                wrong.push(InvalidValue::new(FieldCode::NotAllowed, message));
                return wrong;
            }
        };
        let mut named = BTreeSet::new();
        for piece in &pieces {
            let Piece::Field(key, at) = piece else { continue };
            named.insert(*key);
            if !seen.contains(key) {
                let shown: String = key.chars().take(70).collect();
                let message = format!("body, {}: `{shown}` is not declared", place(body, *at));
                let unknown = InvalidValue::new(FieldCode::NotOneOf, message).with("options", keys.clone());
                wrong.push(match nearest(key, keys.iter().copied()) {
                    Some(near) => unknown.with("nearest", near),
                    None => unknown,
                });
            }
        }
        for key in seen.into_iter().filter(|key| !named.contains(key)) {
            let message = format!("fields: the body does not name `{key}`");
            wrong.push(InvalidValue::new(FieldCode::NotAllowed, message));
        }
        wrong
    }
}

impl Input for TemplateContent {
    fn read(value: serde_json::Value, faults: &mut Faults) -> Option<Self> {
        let mut object = faults.object(value, &["body", "fields"])?;
        let body = faults.field(&mut object, "body");
        let fields = faults.field_or(&mut object, "fields", Vec::new);
        let content = Self { body: body?, fields: fields? };
        let wrong = content.wrong();
        if wrong.is_empty() {
            return Some(content);
        }
        // Either of the two may be the one that is wrong.
        wrong.into_iter().for_each(|wrong| faults.note(wrong));
        None
    }
}

/// Takes a body apart; where it cannot be, the place of the mark that nothing ends.
fn pieces(body: &str) -> Result<Vec<Piece<'_>>, usize> {
    let (mut pieces, mut at) = (vec![], 0);
    while let Some(found) = body[at..].find(MARKS.0) {
        let (begins, inner) = (at + found, at + found + MARKS.0.len());
        let ends = inner + body[inner..].find(MARKS.1).ok_or(begins)?;
        pieces.push(Piece::Said(&body[at..begins]));
        pieces.push(Piece::Field(body[inner..ends].trim(), begins));
        at = ends + MARKS.1.len();
    }
    pieces.push(Piece::Said(&body[at..]));
    Ok(pieces)
}

/// Line and column, both from 1.
fn place(body: &str, at: usize) -> String {
    let before = &body[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::read_input;

    fn content(body: &str, keys: &[(&str, &str, bool)]) -> String {
        let fields: Vec<_> = keys
            .iter()
            .map(|(key, kind, required)| {
                format!(r#"{{"key":"{key}","kind":"{kind}","label":"L","required":{required}}}"#)
            })
            .collect();
        format!(r#"{{"body":{},"fields":[{}]}}"#, serde_json::to_string(body).unwrap(), fields.join(","))
    }

    fn read(body: &str, keys: &[(&str, &str, bool)]) -> TemplateContent {
        read_input(&content(body, keys)).unwrap()
    }

    fn value(key: &str, json: &str) -> MergeValue {
        read_input(&format!(r#"{{"key":"{key}","value":{json}}}"#)).unwrap()
    }

    #[test]
    fn a_template_says_what_its_fields_are_filled_in_with() {
        let letter = read(
            "Dear {{client.name}},\n\nfrom {{ starts_on }} for {{fee}}{{note}} \\{\\{so\\}\\} {{client.name}}.",
            &[
                ("client.name", "text", true),
                ("starts_on", "date", true),
                ("fee", "money", true),
                ("note", "text", false),
            ],
        );
        let values = [
            value("client.name", r#"{"kind":"text","text":"Ada *& {{fee}}*"}"#),
            value("fee", r#"{"kind":"money","money":{"minor":-5,"currency":"EUR"}}"#),
            value("starts_on", r#"{"kind":"date","date":"2026-12-01"}"#),
        ];
        let name = r"Ada \*\& \{\{fee\}\}\*";
        let expected = format!("Dear {name},\n\nfrom 2026-12-01 for -0.05 EUR \\{{\\{{so\\}}\\}} {name}.");
        assert_eq!(letter.filled(&values).unwrap().as_str(), expected);
    }

    #[test]
    fn everything_that_is_wrong_with_values_is_told() {
        let letter = read("{{a}} {{b}} {{c}}", &[("a", "text", true), ("b", "number", true), ("c", "date", false)]);
        let values = [
            value("b", r#"{"kind":"boolean","boolean":true}"#),
            value("d", r#"{"kind":"boolean","boolean":true}"#),
            value("b", r#"{"kind":"number","number":"1"}"#),
        ];
        let key = |text: &str| text.parse::<FieldKey>().unwrap();
        let expected = vec![
            MergeFault::WrongKind(key("b")),
            MergeFault::Unknown(key("d")),
            MergeFault::Twice(key("b")),
            MergeFault::Missing(key("a")),
        ];
        assert_eq!(letter.filled(&values), Err(expected));
    }

    #[test]
    fn what_is_not_declared_or_not_used_is_refused_with_its_place() {
        let refused = |body: &str, keys: &[(&str, &str, bool)]| {
            let errors = read_input::<TemplateContent>(&content(body, keys)).unwrap_err().into_vec();
            errors.into_iter().map(|e| (e.pointer, e.code.as_str(), e.message)).collect::<Vec<_>>()
        };
        let declared = [("client.name", "text", true), ("unused", "text", false)];
        assert_eq!(
            refused("Dear\n  {{client.nmae}} and {{client.name}}", &declared),
            [
                (String::new(), "not_one_of", "body, line 2, column 3: `client.nmae` is not declared".to_owned()),
                (String::new(), "not_allowed", "fields: the body does not name `unused`".to_owned()),
            ]
        );
        assert_eq!(refused("a {{b", &[])[0].2, "body, line 1, column 3: `{{` without `}}`");
        assert_eq!(refused("{{ a }}", &[("a", "text", true), ("a", "date", true)])[0].1, "duplicate");
        assert_eq!(refused("{{ range(9) }}", &[])[0].1, "not_one_of");
        let errors = read_input::<TemplateContent>(r#"{"fields":[{"key":"A","kind":"x"}]}"#).unwrap_err().into_vec();
        let pointers: Vec<_> = errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(pointers, ["/body", "/fields/0/key", "/fields/0/kind", "/fields/0/label"]);
    }

    #[test]
    fn what_comes_of_a_template_is_no_longer_than_a_paper_may_be() {
        let letter = read(&"{{a}}".repeat(9_000), &[("a", "text", true)]);
        let long = value("a", r#"{"kind":"text","text":"123456"}"#);
        assert_eq!(letter.filled(&[long]), Err(vec![MergeFault::TooLong]));
    }
}
