//! Expressions: CEL, which is pure and always ends, kept short and cheap besides.
//!
//! An expression sees the values it is given and nothing else: no clock, no host, no other tenant. What is bounded: its
//! length, the depth of its loops, the number of steps its loops may take over the values at hand, their size, and the size of
//! everything that it makes.

use crate::meter::{counted, within};
use crate::scope::Scope;
use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Program, Value as Cel};
use quick_cache::sync::Cache;
use serde_json::{Map, Number, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// Characters of one expression.
pub const EXPRESSION_CHARS_MAX: usize = 1_000;
/// Parts inside parts, so that neither evaluating nor dropping an expression needs much of a stack.
const DEPTH_MAX: usize = 64;
/// The stack on which an expression is parsed: enough for the worst that fits into its length.
const PARSER_STACK: usize = 64 << 20;
/// What the interpreter takes of the stack for one part inside another, at most and without optimisation.
const STACK_PER_PART: usize = 64 << 10;
/// The stack on which an expression is evaluated that is too deep for what is left of the caller's.
const EVALUATION_STACK: usize = 16 << 20;
/// Loops inside loops.
const LOOPS_MAX: u32 = 2;
/// Steps that all loops of one evaluation may take.
const LOOP_STEPS_MAX: usize = 20_000;
/// Loop steps times the size of the values they may copy, in bytes.
const WORK_MAX: usize = 256 << 20;
/// Compiled expressions that are kept.
const COMPILED_MAX: usize = 4_096;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
}

impl ExpressionError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Compiled {
    program: Program,
    /// The same, counting what it makes.
    counted: IdedExpr,
    counted_depth: usize,
    /// The variables that it names, and what its loops call their own.
    names: Vec<String>,
    loops: u32,
    longest_literal: usize,
}

impl Compiled {
    pub fn tree(&self) -> &IdedExpr {
        self.program.expression()
    }
}

/// Compiles, or finds what was compiled before.
pub(crate) fn compile(source: &str) -> Result<Arc<Compiled>, ExpressionError> {
    // What is used often stays, however many expressions of another firm are used once.
    static COMPILED: LazyLock<Cache<String, Arc<Compiled>>> = LazyLock::new(|| Cache::new(COMPILED_MAX));
    if let Some(found) = COMPILED.get(source) {
        return Ok(found);
    }
    if source.chars().count() > EXPRESSION_CHARS_MAX {
        let message = format!("an expression has at most {EXPRESSION_CHARS_MAX} characters");
        return Err(ExpressionError::new("expression_too_long", message));
    }
    let compiled = Arc::new(parse(source)?);
    COMPILED.insert(source.to_owned(), compiled.clone());
    Ok(compiled)
}

/// Parses on a stack of its own: the parser is recursive, and a stack overflow would end the process.
fn parse(source: &str) -> Result<Compiled, ExpressionError> {
    let source = source.to_owned();
    let parser = std::thread::Builder::new().stack_size(PARSER_STACK).spawn(move || {
        let program = Program::compile(&source).map_err(|errors| {
            let message = errors.to_string();
            let first = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("not an expression");
            ExpressionError::new("expression_invalid", short(first.trim_start_matches("ERROR: ")))
        })?;
        let measured = measure(program.expression());
        if measured.depth > DEPTH_MAX {
            let message = format!("at most {DEPTH_MAX} parts inside each other");
            return Err(ExpressionError::new("expression_too_deep", message));
        }
        if measured.loops > LOOPS_MAX {
            let message = format!("at most {LOOPS_MAX} loops (map, filter, exists, all) inside each other");
            return Err(ExpressionError::new("expression_too_costly", message));
        }
        let counted = counted(program.expression());
        let (counted_depth, Measured { loops, longest_literal, .. }) = (measure(&counted).depth, measured);
        let names = names(program.expression());
        Ok(Compiled { program, counted, counted_depth, names, loops, longest_literal })
    });
    let parsed = parser.map_err(|error| ExpressionError::new("expression_failed", error.to_string()))?.join();
    // The parser is not ours, and a panic of its must not become ours.
    parsed.unwrap_or_else(|_| Err(ExpressionError::new("expression_invalid", "not an expression")))
}

/// Evaluates over `scope`.
pub(crate) fn evaluate(source: &str, scope: &Scope) -> Result<Value, ExpressionError> {
    let compiled = compile(source)?;
    let (value, left) = scope.with(&compiled.names, |context, size| {
        let steps = size.longest_list.max(compiled.longest_literal).saturating_pow(compiled.loops);
        if compiled.loops > 0 && (steps > LOOP_STEPS_MAX || steps.saturating_mul(size.bytes) > WORK_MAX) {
            return Err(ExpressionError::new("expression_too_costly", "its loops would run over too many values"));
        }
        let stack = compiled.counted_depth * STACK_PER_PART;
        let evaluate = || stacker::maybe_grow(stack, EVALUATION_STACK, || resolve(&compiled.counted, context));
        Ok(within(scope.left(), evaluate))
    })?;
    // A loop may have passed the failure over.
    let Some(left) = left else {
        return Err(ExpressionError::new("expression_too_costly", "what it makes is too large"));
    };
    scope.leave(left);
    to_json(&value?)
}

/// Evaluates a part of an expression; none if it has no value. For paths only, which cost nothing.
pub(crate) fn evaluate_tree(tree: &IdedExpr, scope: &Scope) -> Option<Value> {
    to_json(&scope.with(&names(tree), |context, _| resolve(tree, context)).ok()?).ok()
}

fn resolve(tree: &IdedExpr, context: &cel::Context<'static, 'static>) -> Result<Cel, ExpressionError> {
    let failed = |message: &str| ExpressionError::new("expression_failed", short(message));
    // The interpreter is not ours, and a panic of its must not end the intake. It has no state to leave broken.
    let resolved = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| context.resolve(tree)));
    resolved.map_err(|_| failed("the expression cannot be evaluated"))?.map_err(|error| failed(&error.to_string()))
}

/// Evaluates a condition: true or false, nothing else.
pub(crate) fn holds(source: &str, scope: &Scope) -> Result<bool, ExpressionError> {
    match evaluate(source, scope)? {
        Value::Bool(holds) => Ok(holds),
        other => {
            let message = format!("a condition is true or false, not {}", kind(&other));
            Err(ExpressionError::new("condition_not_boolean", message))
        }
    }
}

/// What a JSON value is, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Messages may quote values; personal data does not belong into an incident at length.
fn short(message: &str) -> String {
    message.chars().take(200).collect()
}

/// How large an expression is.
#[derive(Default)]
struct Measured {
    depth: usize,
    loops: u32,
    longest_literal: usize,
}

fn measure(tree: &IdedExpr) -> Measured {
    let mut measured = Measured::default();
    children(tree, &mut |child| {
        let inner = measure(child);
        measured.depth = measured.depth.max(inner.depth);
        measured.loops = measured.loops.max(inner.loops);
        measured.longest_literal = measured.longest_literal.max(inner.longest_literal);
    });
    measured.depth += 1;
    match &tree.expr {
        Expr::Comprehension(_) => measured.loops += 1,
        Expr::List(list) => measured.longest_literal = measured.longest_literal.max(list.elements.len()),
        Expr::Map(map) => measured.longest_literal = measured.longest_literal.max(map.entries.len()),
        _ => {}
    }
    measured
}

/// Every name in an expression, once.
fn names(tree: &IdedExpr) -> Vec<String> {
    fn collect(tree: &IdedExpr, found: &mut BTreeSet<String>) {
        if let Expr::Ident(name) = &tree.expr {
            found.insert(name.clone());
        }
        children(tree, &mut |child| collect(child, found));
    }
    let mut found = BTreeSet::new();
    collect(tree, &mut found);
    found.into_iter().collect()
}

/// Calls `visit` for every direct part of an expression.
pub(crate) fn children<'a>(tree: &'a IdedExpr, visit: &mut impl FnMut(&'a IdedExpr)) {
    match &tree.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(visit),
        Expr::Comprehension(c) => {
            [&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result].into_iter().for_each(visit);
        }
        Expr::List(list) => list.elements.iter().for_each(visit),
        Expr::Select(select) => visit(&select.operand),
        Expr::Map(map) => map.entries.iter().for_each(|entry| entry_parts(&entry.expr, visit)),
        Expr::Struct(fields) => fields.entries.iter().for_each(|entry| entry_parts(&entry.expr, visit)),
    }
}

fn entry_parts<'a>(entry: &'a EntryExpr, visit: &mut impl FnMut(&'a IdedExpr)) {
    match entry {
        EntryExpr::StructField(field) => visit(&field.value),
        EntryExpr::MapEntry(entry) => {
            visit(&entry.key);
            visit(&entry.value);
        }
    }
}

/// CEL as JSON, objects in alphabetical order, so that a repeat gives the same text.
fn to_json(value: &Cel) -> Result<Value, ExpressionError> {
    Ok(match value {
        Cel::Null => Value::Null,
        Cel::Bool(value) => Value::Bool(*value),
        Cel::Int(value) => Value::from(*value),
        Cel::UInt(value) => Value::from(*value),
        Cel::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
        Cel::String(text) => Value::from(text.as_str()),
        Cel::Timestamp(time) => Value::from(time.to_utc().to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
        Cel::Duration(duration) => Value::from(format!("{}s", duration.num_seconds())),
        Cel::List(items) => Value::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        Cel::Map(map) => {
            let fields: Result<BTreeMap<String, Value>, _> =
                map.map.iter().map(|(key, value)| Ok((key.to_string(), to_json(value)?))).collect();
            Value::Object(fields?.into_iter().collect::<Map<_, _>>())
        }
        other => {
            let message = format!("{:?} has no JSON form", other.type_of());
            return Err(ExpressionError::new("expression_failed", message));
        }
    })
}

#[cfg(test)]
mod tests;
