//! What an expression makes is counted while it is evaluated: not only how many steps it takes, but how much it copies.
//!
//! The interpreter cannot be told to stop, so its input is changed: around everything that is about to be copied into a new value
//! stands a call of a function of ours, which hands on its argument as it is and takes its size from what is left. Nobody can
//! write that name in an expression. When nothing is left, that call and every later one fail.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::common::types::{CelBytes, CelList, CelMap, CelOptional, CelString, DYN_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError};
use std::cell::Cell;
use std::sync::Arc;

/// Bytes that the expressions of one step may make together.
pub(crate) const MADE_MAX: usize = 8 << 20;
/// What any value takes, however little is in it.
const VALUE: usize = 64;
/// What making a regular expression takes, per letter and repetition.
const PATTERN_LETTER: usize = 64;
/// What any regular expression takes, and the most that one is counted for: the library refuses what would be larger.
const PATTERN: std::ops::RangeInclusive<usize> = 4 << 10..=256 << 10;

/// Counts its argument, which is copied next.
const MADE: &str = "@made";
/// Counts its argument, which is looked at from one end to the other next.
const SEEN: &str = "@seen";
/// Bytes that are seen as quickly as one is made.
const SEEN_PER_MADE: usize = 16;
/// Counts a regular expression, which is compiled next.
const COMPILED: &str = "@compiled";

thread_local! {
    /// What is left for the evaluation on this thread.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

/// CEL's own functions and types, and what counts.
pub(crate) fn language() -> Arc<Env> {
    let mut env = Env::stdlib();
    let declared = env
        .add_overload(MADE, MADE, vec![DYN_TYPE], made)
        .and_then(|()| env.add_overload(SEEN, SEEN, vec![DYN_TYPE], seen))
        .and_then(|()| env.add_overload(COMPILED, COMPILED, vec![DYN_TYPE], compiled));
    if let Err(error) = declared {
        // Then every expression that makes something fails, because the function is not there.
        tracing::error!(error = %error, "expressions cannot be counted");
    }
    Arc::new(env)
}

/// Evaluates with so much to be made at most; answers what is left, none if it was not enough.
pub(crate) fn within<R>(left: usize, evaluate: impl FnOnce() -> R) -> (R, Option<usize>) {
    LEFT.set(left);
    let value = evaluate();
    let left = LEFT.replace(0);
    (value, (left > 0).then_some(left))
}

fn take(size: usize) -> Result<(), ExecutionError> {
    let left = LEFT.get().saturating_sub(size);
    LEFT.set(left);
    if left > 0 { Ok(()) } else { Err(ExecutionError::function_error(MADE, "too much is made")) }
}

fn made<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let argument = only(args)?;
    take(size(argument.as_ref(), LEFT.get()))?;
    Ok(argument)
}

fn seen<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let argument = only(args)?;
    let most = LEFT.get().saturating_mul(SEEN_PER_MADE);
    take(size(argument.as_ref(), most).div_ceil(SEEN_PER_MADE))?;
    Ok(argument)
}

fn compiled<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let argument = only(args)?;
    if let Some(pattern) = argument.downcast_ref::<CelString>() {
        take(size_of_pattern(pattern.inner()))?;
    }
    Ok(argument)
}

fn only<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    args.into_iter().next().ok_or_else(|| ExecutionError::function_error(MADE, "nothing to count"))
}

/// The size of a value with everything in it. Beyond `most` it is not looked at further, so that counting is no work either.
fn size(value: &dyn Val, most: usize) -> usize {
    let mut size_so_far = VALUE;
    let mut add = |value: &dyn Val| {
        if size_so_far < most {
            size_so_far += size(value, most - size_so_far);
        }
    };
    if let Some(list) = value.downcast_ref::<CelList>() {
        list.inner().iter().for_each(|item| add(item.as_ref()));
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        map.inner().iter().for_each(|(key, value)| {
            add(key.inner());
            add(value.as_ref());
        });
    } else if let Some(inner) = value.downcast_ref::<CelOptional>().and_then(CelOptional::inner) {
        add(inner);
    } else if let Some(text) = value.downcast_ref::<CelString>() {
        size_so_far += text.inner().len();
    } else if let Some(bytes) = value.downcast_ref::<CelBytes>() {
        size_so_far += bytes.inner().len();
    }
    size_so_far
}

/// Repetitions inside each other multiply: `(a{50}){50}`.
fn size_of_pattern(pattern: &str) -> usize {
    let counts = pattern.split('{').skip(1).filter_map(|rest| {
        let bounds = rest.split('}').next()?.split(',');
        bounds.filter_map(|bound| bound.trim().parse::<usize>().ok()).max()
    });
    let times = counts.fold(1, |times: usize, count| times.saturating_mul(count.max(1)));
    let size = pattern.len().saturating_mul(times).saturating_mul(PATTERN_LETTER);
    size.clamp(*PATTERN.start(), *PATTERN.end())
}

/// The same expression, counted.
pub(crate) fn counted(tree: &IdedExpr) -> IdedExpr {
    let mut tree = tree.clone();
    // The value itself leaves the interpreter as a copy.
    count(&mut tree);
    tree
}

/// Counts a part and the part's value.
fn count(tree: &mut IdedExpr) {
    inside(tree);
    call(MADE, tree);
}

/// Calls `function` with the part, unless that is a number or the like.
fn call(function: &str, tree: &mut IdedExpr) {
    let small = matches!(
        &tree.expr,
        Expr::Literal(literal) if !matches!(literal, LiteralValue::String(_) | LiteralValue::Bytes(_))
    );
    if small {
        return;
    }
    let argument = std::mem::take(tree);
    let call = CallExpr { func_name: function.to_owned(), target: None, args: vec![argument] };
    *tree = IdedExpr { id: 0, expr: Expr::Call(call) };
}

/// Counts what the parts of a part are copied into. A name, or a field of one, is only looked at.
fn inside(tree: &mut IdedExpr) {
    match &mut tree.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Select(select) => inside(&mut select.operand),
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| inside(target));
            call.args.iter_mut().for_each(inside);
            match what_becomes_of_arguments(&call.func_name) {
                Arguments::Chosen => {}
                Arguments::Seen => {
                    call.target.iter_mut().map(AsMut::as_mut).chain(&mut call.args).for_each(|a| self::call(SEEN, a));
                }
                // A target may be the first part of a function's name, and no function copies one that is not.
                Arguments::Copied => call.args.iter_mut().for_each(|argument| self::call(MADE, argument)),
            }
            if call.func_name == "matches"
                && let Some(pattern) = call.args.last_mut()
            {
                self::call(COMPILED, pattern);
            }
        }
        Expr::List(list) => list.elements.iter_mut().for_each(count),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| count_entry(&mut entry.expr)),
        Expr::Struct(fields) => fields.entries.iter_mut().for_each(|entry| count_entry(&mut entry.expr)),
        Expr::Comprehension(loops) => inside_loop(loops),
    }
}

fn count_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => count(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            count(&mut entry.key);
            count(&mut entry.value);
        }
    }
}

/// A loop copies what it runs over, item by item. What it gathers is counted when it comes in.
fn inside_loop(loops: &mut ComprehensionExpr) {
    count(&mut loops.iter_range);
    inside(&mut loops.accu_init);
    inside(&mut loops.loop_cond);
    inside_step(&mut loops.loop_step, &loops.accu_var);
    inside(&mut loops.result);
}

/// `gathered + [item]`, perhaps under a condition, stays what it is: the interpreter knows that form and copies nothing but the
/// item.
fn inside_step(step: &mut IdedExpr, gathered: &str) {
    let is_gathered = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if name == gathered);
    match &mut step.expr {
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
            call.args.iter_mut().for_each(|part| inside_step(part, gathered));
        }
        Expr::Call(call) if call.func_name == operators::ADD && call.args.first().is_some_and(is_gathered) => {
            call.args.iter_mut().for_each(inside);
        }
        _ => inside(step),
    }
}

enum Arguments {
    /// One of them is handed on, or a part of one.
    Chosen,
    /// They are looked at, and nothing of them is kept.
    Seen,
    Copied,
}

fn what_becomes_of_arguments(function: &str) -> Arguments {
    use operators as o;
    match function {
        o::CONDITIONAL | o::LOGICAL_AND | o::LOGICAL_OR | o::LOGICAL_NOT | o::NOT_STRICTLY_FALSE | o::INDEX => {
            Arguments::Chosen
        }
        o::EQUALS | o::NOT_EQUALS | o::GREATER | o::GREATER_EQUALS | o::LESS | o::LESS_EQUALS | o::IN => {
            Arguments::Seen
        }
        "size" | "contains" | "startsWith" | "endsWith" | "matches" => Arguments::Seen,
        _ => Arguments::Copied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_counts_with_its_repetitions() {
        assert_eq!(size_of_pattern("^a+$"), 4 << 10);
        assert_eq!(size_of_pattern("^[A-Z]{2}[0-9]{3,20}$"), 21 * 40 * 64);
        assert_eq!(size_of_pattern("(((a{99}){99}){99}){99}"), 256 << 10);
        assert_eq!(size_of_pattern("a{99999999999999999999}"), 4 << 10, "which is none");
        assert_eq!(size_of_pattern("{{{}}}"), 4 << 10);
    }
}
