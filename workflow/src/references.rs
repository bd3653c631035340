//! What an expression may refer to, found out before it ever runs.

use crate::expression::{Compiled, children};
use crate::scope::EVENT_FIELDS;
use cel::common::ast::{Expr, IdedExpr, LiteralValue};
use serde_json::Value;

/// What is in sight of an expression.
pub(crate) struct Sight<'a> {
    /// Schema of `event.payload`.
    pub event: Option<&'a Value>,
    /// Schema of `trigger.payload`; none if there is no run yet.
    pub trigger: Option<&'a Value>,
    /// Ids of the steps before this one; none if there is no run yet.
    pub steps: Option<&'a [String]>,
}

/// Everything the expression refers to that is not there: stable code and sentence.
pub(crate) fn unknown(compiled: &Compiled, sight: &Sight<'_>) -> Vec<(&'static str, String)> {
    let mut found = vec![];
    walk(compiled.tree(), sight, &mut vec![], &mut found);
    found
}

/// One part of a path such as `steps.contact.result` or `step[0]`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Field(String),
    Index(i64),
    /// Known only when it runs.
    Computed,
}

/// What `event.aggregate_id` must equal for the expression to hold, if one of its conjuncts says so.
pub(crate) fn equal_to_aggregate(tree: &IdedExpr) -> Option<&IdedExpr> {
    use cel::common::ast::operators::{EQUALS, LOGICAL_AND};
    let Expr::Call(call) = &tree.expr else { return None };
    match (&call.func_name, &call.args[..]) {
        (name, parts) if name == LOGICAL_AND => parts.iter().find_map(equal_to_aggregate),
        (name, [left, right]) if name == EQUALS => {
            let asked = |side: &IdedExpr| {
                path(side)
                    .is_some_and(|(root, path)| root == "event" && path == [Segment::Field("aggregate_id".to_owned())])
            };
            let (asked, given) = if asked(left) { (true, right) } else { (asked(right), left) };
            // The other side must be known without the event.
            let known = path(given).is_some_and(|(root, _)| root != "event");
            (asked && known).then_some(given)
        }
        _ => None,
    }
}

/// Whether an expression refers to what steps gave: to any step, or to this one, by its id and its place.
pub(crate) fn mentions(tree: &IdedExpr, step: Option<(&str, usize)>) -> bool {
    let is_step = |path: &[Segment], named: bool| match (path.first(), step) {
        (_, None) | (None | Some(Segment::Computed), _) => true,
        (Some(Segment::Field(id)), Some((asked, _))) => !named || id == asked,
        (Some(Segment::Index(index)), Some((_, asked))) => named || usize::try_from(*index) == Ok(asked),
    };
    if let Some((root, path)) = path(tree) {
        let mut inside = false;
        indexes(tree, &mut |index| inside |= mentions(index, step));
        // A loop's variable may hide them: then it is asked once too often.
        return inside || root == "steps" && is_step(&path, true) || root == "step" && is_step(&path, false);
    }
    let mut found = false;
    children(tree, &mut |child| found |= mentions(child, step));
    found
}

fn walk<'a>(tree: &'a IdedExpr, sight: &Sight<'_>, bound: &mut Vec<&'a str>, found: &mut Vec<(&'static str, String)>) {
    if let Some((root, path)) = path(tree) {
        if !bound.contains(&root) && !root.starts_with('@') {
            found.extend(problem(root, &path, sight));
        }
        indexes(tree, &mut |index| walk(index, sight, bound, found));
        return;
    }
    let before = bound.len();
    if let Expr::Comprehension(loops) = &tree.expr {
        bound.push(&loops.iter_var);
        bound.extend(loops.iter_var2.as_deref());
        bound.push(&loops.accu_var);
    }
    let mut parts = vec![];
    children(tree, &mut |child| parts.push(child));
    for part in parts {
        walk(part, sight, bound, found);
    }
    bound.truncate(before);
}

/// `a.b[0].c` as its root and the path from there.
fn path(tree: &IdedExpr) -> Option<(&str, Vec<Segment>)> {
    match &tree.expr {
        Expr::Ident(name) => Some((name, vec![])),
        Expr::Select(select) => {
            let (root, mut segments) = path(&select.operand)?;
            segments.push(Segment::Field(select.field.clone()));
            Some((root, segments))
        }
        Expr::Call(call) if call.func_name == cel::common::ast::operators::INDEX => {
            let [operand, index] = &call.args[..] else { return None };
            let (root, mut segments) = path(operand)?;
            segments.push(match &index.expr {
                Expr::Literal(LiteralValue::Int(index)) => Segment::Index(*index.inner()),
                Expr::Literal(LiteralValue::String(name)) => Segment::Field(name.inner().to_owned()),
                _ => Segment::Computed,
            });
            Some((root, segments))
        }
        _ => None,
    }
}

/// The index expressions along a path, which have references of their own.
fn indexes<'a>(tree: &'a IdedExpr, visit: &mut impl FnMut(&'a IdedExpr)) {
    match &tree.expr {
        Expr::Select(select) => indexes(&select.operand, visit),
        Expr::Call(call) => {
            if let [operand, index] = &call.args[..] {
                indexes(operand, visit);
                visit(index);
            }
        }
        _ => {}
    }
}

fn problem(root: &str, path: &[Segment], sight: &Sight<'_>) -> Option<(&'static str, String)> {
    match (root, sight.trigger, sight.steps) {
        ("event", _, _) => in_event("event", path, sight.event),
        ("trigger", Some(schema), _) => in_event("trigger", path, Some(schema)),
        ("steps", _, Some(steps)) => match path {
            [] | [Segment::Computed, ..] => None,
            [Segment::Field(id), rest @ ..] if steps.contains(id) => in_step(rest),
            _ => Some(("unknown_step", format!("no step before this one is called {}", last(path)))),
        },
        ("step", _, Some(steps)) => match path {
            [] | [Segment::Computed, ..] => None,
            [Segment::Index(index), rest @ ..] if usize::try_from(*index).is_ok_and(|i| i < steps.len()) => {
                in_step(rest)
            }
            _ => Some(("unknown_step", format!("only {} steps come before this one", steps.len()))),
        },
        ("run", Some(_), _) => match path {
            [] | [Segment::Computed, ..] => None,
            [Segment::Field(field)] if ["id", "definition", "version"].contains(&field.as_str()) => None,
            _ => Some(("unknown_field", "a run has id, definition and version".to_owned())),
        },
        _ if is_type_name(root) => None,
        _ => Some(("unknown_variable", format!("there is no variable {root:?} here"))),
    }
}

/// CEL spells types as variables: `type(x) == string`.
fn is_type_name(name: &str) -> bool {
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"].contains(&name)
}

fn in_step(path: &[Segment]) -> Option<(&'static str, String)> {
    match path {
        [] | [Segment::Computed, ..] => None,
        [Segment::Field(field), ..] if ["id", "status", "result"].contains(&field.as_str()) => None,
        _ => Some(("unknown_field", "a step has id, status and result".to_owned())),
    }
}

fn in_event(root: &str, path: &[Segment], schema: Option<&Value>) -> Option<(&'static str, String)> {
    match path {
        [Segment::Field(field), rest @ ..] if field == "payload" => in_schema(rest, schema?, "the payload"),
        [Segment::Field(field), ..] if !EVENT_FIELDS.contains(&field.as_str()) => {
            Some(("unknown_field", format!("{root} has {}", EVENT_FIELDS.join(", "))))
        }
        _ => None,
    }
}

fn in_schema(path: &[Segment], schema: &Value, place: &str) -> Option<(&'static str, String)> {
    let (first, rest) = path.split_first()?;
    if let Some(branches) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        // One branch that knows the path is enough; a branch that is null knows none.
        let mut problems = branches.iter().filter(|b| b["type"] != "null").map(|b| in_schema(path, b, place));
        return match problems.next() {
            Some(None) | None => None,
            Some(problem) => problems.all(|other| other.is_some()).then_some(problem).flatten(),
        };
    }
    match first {
        Segment::Field(name) => {
            let known = schema["properties"].as_object()?;
            match known.get(name) {
                Some(inner) => in_schema(rest, inner, &format!("{place}'s {name}")),
                None if schema["additionalProperties"].is_object() => None,
                None => {
                    let names: Vec<&str> = known.keys().map(String::as_str).collect();
                    Some(("unknown_payload_field", format!("{place} has no {name:?}; it has {}", names.join(", "))))
                }
            }
        }
        Segment::Index(_) | Segment::Computed => schema.get("items").and_then(|items| in_schema(rest, items, place)),
    }
}

fn last(path: &[Segment]) -> String {
    match path.first() {
        Some(Segment::Field(name)) => format!("{name:?}"),
        Some(Segment::Index(index)) => index.to_string(),
        _ => "so".to_owned(),
    }
}
