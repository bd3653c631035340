//! Texts with `{{ expressions }}`, evaluated once: what an expression gives is never looked into again.

use crate::expression::{ExpressionError, evaluate, kind};
use crate::scope::Scope;
use serde_json::Value;

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    Text(&'a str),
    Expression(&'a str),
}

/// Takes a text apart. A `}}` inside a quoted text of the expression does not end it.
pub(crate) fn parts(text: &str) -> Result<Vec<Part<'_>>, ExpressionError> {
    let mut parts = vec![];
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        if start > 0 {
            parts.push(Part::Text(&rest[..start]));
        }
        let inside = &rest[start + 2..];
        let end = end_of(inside).ok_or_else(|| ExpressionError::new("template_unclosed", "`{{` without `}}`"))?;
        let expression = inside[..end].trim();
        if expression.is_empty() {
            return Err(ExpressionError::new("template_empty", "`{{ }}` holds no expression"));
        }
        parts.push(Part::Expression(expression));
        rest = &inside[end + 2..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

fn end_of(inside: &str) -> Option<usize> {
    let mut quote = None;
    let mut braces = 0;
    let mut letters = inside.char_indices().peekable();
    while let Some((index, letter)) = letters.next() {
        match (quote, letter) {
            (Some(_), '\\') => drop(letters.next()),
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '{') => braces += 1,
            (None, '}') if braces > 0 => braces -= 1,
            (None, '}') if inside[index..].starts_with("}}") => return Some(index),
            _ => {}
        }
    }
    None
}

/// Every expression of a value's texts, with its JSON Pointer below `at`.
pub(crate) fn expressions<'a>(value: &'a Value, at: &str, found: &mut Vec<(String, Result<&'a str, ExpressionError>)>) {
    match value {
        Value::String(text) => match parts(text) {
            Ok(parts) => found.extend(parts.into_iter().filter_map(|part| match part {
                Part::Expression(source) => Some((at.to_owned(), Ok(source))),
                Part::Text(_) => None,
            })),
            Err(error) => found.push((at.to_owned(), Err(error))),
        },
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| expressions(item, &format!("{at}/{index}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| expressions(value, &format!("{at}/{}", escaped(name)), found));
        }
        _ => {}
    }
}

/// A field's name within a JSON Pointer.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A value whose texts hold `{{ expressions }}`, filled in as a step of a run that was started by `event` would be: for trying
/// a definition out before there is a run.
///
/// # Errors
/// What a run would be parked with.
pub fn fill_in(value: &Value, event: &Value) -> Result<Value, ExpressionError> {
    render(value, &Scope::of([("event", event.clone()), ("trigger", event.clone())]))
}

/// Fills in every text of `value`. A text that is one expression and nothing else keeps the expression's type.
pub(crate) fn render(value: &Value, scope: &Scope) -> Result<Value, ExpressionError> {
    Ok(match value {
        Value::String(text) => render_text(text, scope)?,
        Value::Array(items) => Value::Array(items.iter().map(|item| render(item, scope)).collect::<Result<_, _>>()?),
        Value::Object(fields) => {
            let rendered: Result<_, ExpressionError> =
                fields.iter().map(|(name, value)| Ok((name.clone(), render(value, scope)?))).collect();
            Value::Object(rendered?)
        }
        other => other.clone(),
    })
}

fn render_text(text: &str, scope: &Scope) -> Result<Value, ExpressionError> {
    let parts = parts(text)?;
    if let [Part::Expression(source)] = parts[..] {
        return evaluate(source, scope);
    }
    let mut filled = String::new();
    for part in parts {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Expression(source) => match evaluate(source, scope)? {
                Value::String(text) => filled.push_str(&text),
                Value::Number(number) => filled.push_str(&number.to_string()),
                Value::Bool(value) => filled.push_str(&value.to_string()),
                other => {
                    let message = format!("`{source}` is {} and cannot stand in a text", kind(&other));
                    return Err(ExpressionError::new("template_not_text", message));
                }
            },
        }
    }
    Ok(Value::String(filled))
}

/// Fills in a text that must become a text.
pub(crate) fn render_string(text: &str, scope: &Scope) -> Result<String, ExpressionError> {
    match render_text(text, scope)? {
        Value::String(text) => Ok(text),
        other => Err(ExpressionError::new("template_not_text", format!("expected a text, not {}", kind(&other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope() -> Scope<'static> {
        let event = json!({ "payload": { "client_name": "Ada", "count": 3, "evil": "{{ event.payload.count }}" } });
        Scope::of([("event", event), ("step", json!([{ "result": { "id": "c1" } }]))])
    }

    #[test]
    fn the_founding_document_s_spelling_works() {
        assert_eq!(render(&json!("{{ event.payload.client_name }}"), &scope()), Ok(json!("Ada")));
        assert_eq!(
            render(&json!({ "client_id": "{{ step[0].result.id }}" }), &scope()),
            Ok(json!({ "client_id": "c1" }))
        );
    }

    #[test]
    fn a_text_that_is_one_expression_keeps_its_type() {
        assert_eq!(render(&json!("{{ event.payload.count }}"), &scope()), Ok(json!(3)));
        assert_eq!(render(&json!("{{ event.payload.count + 1 }} of them"), &scope()), Ok(json!("4 of them")));
    }

    #[test]
    fn x_04_what_a_user_wrote_is_never_evaluated() {
        let once = render(&json!("{{ event.payload.evil }}"), &scope()).unwrap();
        assert_eq!(once, json!("{{ event.payload.count }}"));
        let inside = render(&json!("Dear {{ event.payload.evil }}"), &scope()).unwrap();
        assert_eq!(inside, json!("Dear {{ event.payload.count }}"));
    }

    #[test]
    fn braces_inside_quotes_do_not_end_an_expression() {
        assert_eq!(render(&json!("{{ 'a}}b' }}"), &scope()), Ok(json!("a}}b")));
        assert_eq!(render(&json!("{{ {'k': {'v': 1}} }}"), &scope()), Ok(json!({ "k": { "v": 1 } })));
    }

    #[test]
    fn what_is_not_closed_or_empty_is_an_error() {
        assert_eq!(parts("{{ a").unwrap_err().code, "template_unclosed");
        assert_eq!(parts("{{ 'a }}").unwrap_err().code, "template_unclosed");
        assert_eq!(parts("{{ }}").unwrap_err().code, "template_empty");
    }

    #[test]
    fn x_01_all_the_texts_of_a_step_share_what_may_be_made() {
        let scope = Scope::of([("event", json!({ "text": "x".repeat(100_000) }))]);
        let copies = |count: usize| Value::from(vec!["{{ event.text }}"; count]);
        assert!(render(&copies(50), &scope).is_ok());
        assert_eq!(render(&copies(50), &scope).unwrap_err().code, "expression_too_costly", "the same step");
        let scope = Scope::of([("event", json!({ "text": "x".repeat(100_000) }))]);
        let long = Value::from("{{ event.text }} ".repeat(100));
        assert_eq!(render(&long, &scope).unwrap_err().code, "expression_too_costly");
    }

    #[test]
    fn a_list_does_not_become_a_text_by_accident() {
        assert_eq!(render(&json!("x{{ step }}"), &scope()).unwrap_err().code, "template_not_text");
    }
}
