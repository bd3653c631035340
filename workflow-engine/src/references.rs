//! What an expression may refer to, found out before it ever runs.

use crate::expression::{Compiled, children};
use crate::scope::EVENT_FIELDS;
use cel::common::ast::{Expr, IdedExpr, LiteralValue};
use serde_json::Value;

/// What is in sight of an expression.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sight {
    /// Schema of `event.payload`.
    pub event: Option<Value>,
    /// Schema of `trigger.payload`; none if there is no run yet.
    pub trigger: Option<Value>,
    /// There is a run: `trigger`, `steps`, `step` and `run`.
    pub run: bool,
    /// The steps that any way through the definition may have taken before this one, with the schemas of their results.
    pub steps: Vec<(String, Value)>,
    /// Those of them that are in no other, in order.
    pub order: Vec<String>,
    /// It is in a loop: `item` and `index`.
    pub in_loop: bool,
    /// Schema of `result`, for what takes a step back.
    pub result: Option<Value>,
}

impl Sight {
    /// The same for a condition on an event with this payload.
    pub fn of_event(&self, payload: Option<Value>) -> Self {
        Self { event: payload, ..self.clone() }
    }

    fn step(&self, id: &str) -> Option<&Value> {
        self.steps.iter().find(|(known, _)| known == id).map(|(_, result)| result)
    }
}

/// Everything the expression refers to that is not there: stable code and sentence.
pub(crate) fn unknown(compiled: &Compiled, sight: &Sight) -> Vec<(&'static str, String)> {
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

/// Does an expression hold only for events of the aggregate that the trigger is about?
pub(crate) fn is_of_trigger(tree: &IdedExpr) -> bool {
    let asked = Segment::Field("aggregate_id".to_owned());
    let given = equal_to_aggregate(tree).and_then(path);
    given.is_some_and(|(root, path)| root == "trigger" && path == [asked])
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

fn walk<'a>(tree: &'a IdedExpr, sight: &Sight, bound: &mut Vec<&'a str>, found: &mut Vec<(&'static str, String)>) {
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

fn problem(root: &str, path: &[Segment], sight: &Sight) -> Option<(&'static str, String)> {
    match root {
        "event" => in_event("event", path, sight.event.as_ref()),
        "trigger" if sight.run => in_event("trigger", path, sight.trigger.as_ref()),
        "steps" if sight.run => match path {
            [] | [Segment::Computed, ..] => None,
            [Segment::Field(id), rest @ ..] => match sight.step(id) {
                Some(result) => in_step(id, rest, result),
                None => Some(("unknown_step", unknown_step(&last(path), sight))),
            },
            _ => Some(("unknown_step", unknown_step(&last(path), sight))),
        },
        "step" if sight.run => match path {
            [] | [Segment::Computed, ..] => None,
            [Segment::Index(index), rest @ ..] => {
                let id = usize::try_from(*index).ok().and_then(|index| sight.order.get(index));
                match id.and_then(|id| Some((id, sight.step(id)?))) {
                    Some((id, result)) => in_step(id, rest, result),
                    None => Some(("unknown_step", format!("only {} steps come before this one", sight.order.len()))),
                }
            }
            _ => Some(("unknown_step", format!("only {} steps come before this one", sight.order.len()))),
        },
        "run" if sight.run => match path {
            [] | [Segment::Computed, ..] => None,
            [Segment::Field(field)] if ["id", "definition", "version"].contains(&field.as_str()) => None,
            _ => Some(("unknown_field", "a run has id, definition and version".to_owned())),
        },
        "item" | "index" if sight.in_loop => None,
        "result" if sight.result.is_some() => {
            in_schema(path, sight.result.as_ref()?, "the result", "unknown_result_field")
        }
        _ if is_type_name(root) => None,
        _ => Some(("unknown_variable", format!("there is no variable {root:?} here"))),
    }
}

fn unknown_step(name: &str, sight: &Sight) -> String {
    let known: Vec<&str> = sight.steps.iter().map(|(id, _)| id.as_str()).collect();
    match known.is_empty() {
        true => format!("no way to here takes a step called {name}; it is the first one"),
        false => format!("no way to here takes a step called {name}; there are {}", known.join(", ")),
    }
}

/// CEL spells types as variables: `type(x) == string`.
fn is_type_name(name: &str) -> bool {
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"].contains(&name)
}

fn in_step(id: &str, path: &[Segment], result: &Value) -> Option<(&'static str, String)> {
    match path {
        [] | [Segment::Computed, ..] => None,
        [Segment::Field(field), rest @ ..] if field == "result" => {
            in_schema(rest, result, &format!("the result of {id:?}"), "unknown_result_field")
        }
        [Segment::Field(field), ..] if ["id", "status"].contains(&field.as_str()) => None,
        _ => Some(("unknown_field", "a step has id, status and result".to_owned())),
    }
}

fn in_event(root: &str, path: &[Segment], schema: Option<&Value>) -> Option<(&'static str, String)> {
    match path {
        [Segment::Field(field), rest @ ..] if field == "payload" => {
            in_schema(rest, schema?, "the payload", "unknown_payload_field")
        }
        [Segment::Field(field), ..] if !EVENT_FIELDS.contains(&field.as_str()) => {
            Some(("unknown_field", format!("{root} has {}", EVENT_FIELDS.join(", "))))
        }
        _ => None,
    }
}

fn in_schema(path: &[Segment], schema: &Value, place: &str, code: &'static str) -> Option<(&'static str, String)> {
    let (first, rest) = path.split_first()?;
    if let Some(branches) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        // One branch that knows the path is enough; a branch that is null knows none.
        let mut problems = branches.iter().filter(|b| b["type"] != "null").map(|b| in_schema(path, b, place, code));
        return match problems.next() {
            Some(None) | None => None,
            Some(problem) => problems.all(|other| other.is_some()).then_some(problem).flatten(),
        };
    }
    match first {
        Segment::Field(name) => {
            let known = schema["properties"].as_object()?;
            match known.get(name) {
                Some(inner) => in_schema(rest, inner, &format!("{place}'s {name}"), code),
                None if schema["additionalProperties"].is_object() => None,
                None => {
                    let names: Vec<&str> = known.keys().map(String::as_str).collect();
                    Some((code, format!("{place} has no {name:?}; it has {}", names.join(", "))))
                }
            }
        }
        Segment::Index(_) | Segment::Computed => {
            schema.get("items").and_then(|items| in_schema(rest, items, place, code))
        }
    }
}

fn last(path: &[Segment]) -> String {
    match path.first() {
        Some(Segment::Field(name)) => format!("{name:?}"),
        Some(Segment::Index(index)) => index.to_string(),
        _ => "so".to_owned(),
    }
}
