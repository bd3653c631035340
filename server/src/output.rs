//! What verbs answer: lines and tables for people, one envelope for programs.

use anyhow::Result;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width, presets};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::{self, Display, Formatter};
use std::io::Write;
use std::process::ExitCode;

/// Columns that every terminal has, and every pager, ticket and letter.
pub const COLUMNS: u16 = 80;
/// Ended well, but something wants to be looked at: neither success nor failure, so that a script can tell.
const ATTENTION: u8 = 3;
/// What shells and our argument parser end with when the command line is at fault.
const USAGE: u8 = 2;

/// Prints a line for people, as `println!` does.
macro_rules! say {
    ($out:expr, $($text:tt)*) => { $out.say(format_args!($($text)*)) };
}
pub(crate) use say;

/// How a verb ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Done,
    /// What was compared differs.
    Differs,
    /// Nothing differs, but streams are parked, or something else wants to be looked at.
    Attention,
}

impl Outcome {
    /// How a comparison ends.
    pub fn of(fine: bool, parked: bool) -> Self {
        match (fine, parked) {
            (false, _) => Self::Differs,
            (true, true) => Self::Attention,
            (true, false) => Self::Done,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Differs => "differs",
            Self::Attention => "attention",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Differs => 1,
            Self::Attention => ATTENTION,
        }
    }
}

/// What a verb came to.
#[derive(Debug)]
pub struct Done {
    data: Value,
    outcome: Outcome,
}

impl Done {
    /// All is well, and this is what programs get.
    pub fn with(data: impl Serialize) -> Result<Self> {
        Self::as_is(Outcome::Done, data)
    }

    /// The same with another end.
    pub fn as_is(outcome: Outcome, data: impl Serialize) -> Result<Self> {
        Ok(Self { data: serde_json::to_value(data)?, outcome })
    }

    /// The exit code of a verb that said everything itself.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.outcome.code())
    }
}

/// Where a verb's answer goes.
#[derive(Debug, Clone)]
pub struct Output {
    verb: String,
    json: bool,
}

impl Output {
    /// `verb` as it was asked for: `relay status`.
    pub fn new(verb: String, json: bool) -> Self {
        Self { verb, json }
    }

    /// A line for people; nothing where a program reads. Whoever has closed the pipe has seen enough.
    pub fn say(&self, line: impl Display) {
        if !self.json {
            drop(writeln!(std::io::stdout().lock(), "{line}"));
        }
    }

    /// Does a program read?
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// A report that shows itself to people and is serialized for programs.
    pub fn report(&self, report: &(impl Display + Serialize)) -> Result<Done> {
        self.say(report.to_string().trim_end());
        Done::with(report)
    }

    /// Ends the process's work: prints the envelope where a program reads, and says which exit code.
    pub fn end(&self, ended: &Result<Done>) -> ExitCode {
        let (envelope, code) = match ended {
            Ok(done) => (envelope(&self.verb, done.outcome.name(), done.outcome.code(), &done.data, None), done.code()),
            Err(error) => {
                // One line for people; a role has logged the same with its context.
                eprintln!("ubos: {error:#}");
                (
                    failure(&self.verb, 1, &format!("{error:#}"), error.chain().map(ToString::to_string)),
                    ExitCode::FAILURE,
                )
            }
        };
        self.print(&envelope);
        code
    }

    /// Ends where the command line itself is at fault.
    pub fn refuse(&self, message: &str) -> ExitCode {
        eprintln!("{message}");
        let first = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
        self.print(&failure(&self.verb, USAGE, first, std::iter::once(message.trim().to_owned())));
        ExitCode::from(USAGE)
    }

    fn print(&self, envelope: &Value) {
        if self.json {
            drop(writeln!(std::io::stdout().lock(), "{envelope:#}"));
        }
    }
}

/// The same five fields of every verb, whatever it is and however it ended.
fn envelope(verb: &str, outcome: &str, code: u8, data: &Value, error: Option<Value>) -> Value {
    json!({ "verb": verb, "outcome": outcome, "exit_code": code, "data": data, "error": error })
}

fn failure(verb: &str, code: u8, message: &str, causes: impl Iterator<Item = String>) -> Value {
    let error = json!({ "message": message, "causes": causes.collect::<Vec<_>>() });
    envelope(verb, "failed", code, &Value::Null, Some(error))
}

/// Rows under headings, at most [`COLUMNS`] wide: what is too long goes on in the next line, and no word is broken that fits
/// at all, because an id in two pieces can be neither found nor copied.
#[derive(Debug)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
    /// What is said instead if there are no rows.
    none: String,
}

impl Table {
    /// `none` is what is said if there are no rows. A heading that begins with `>` is of a column of numbers.
    pub fn new(headings: &[&str], none: &str) -> Self {
        let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
        Self { headings, rows: vec![], none: none.to_owned() }
    }

    /// One more row; a cell may have several lines.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// How wide each column is at least: as its longest word, ids first. Where that is more than there is room for, the
    /// longest of the other words are broken.
    fn widths(&self) -> Vec<u16> {
        let longest = |(index, heading): (usize, &String)| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(String::as_str);
            let words = cells.chain([heading.trim_start_matches('>')]).flat_map(str::split_whitespace);
            let lengths = words.filter_map(|word| u16::try_from(word.chars().count()).ok());
            lengths.filter(|length| *length <= LONGEST_WORD).max().unwrap_or(1)
        };
        let mut widths: Vec<u16> = self.headings.iter().enumerate().map(longest).collect();
        let gaps = GAP * u16::try_from(widths.len().saturating_sub(1)).unwrap_or(0);
        while widths.iter().sum::<u16>() + gaps > COLUMNS {
            let Some(widest) = widths.iter_mut().filter(|width| (2..LONGEST_WORD).contains(*width)).max() else {
                break;
            };
            *widest -= 1;
        }
        widths
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return f.write_str(&self.none);
        }
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(COLUMNS);
        table.set_header(self.headings.iter().map(|heading| heading.trim_start_matches('>')));
        table.add_rows(self.rows.iter().cloned());
        let widths = self.widths();
        for (index, (heading, width)) in self.headings.iter().zip(widths).enumerate() {
            let Some(column) = table.column_mut(index) else { continue };
            column.set_padding((0, if index + 1 == self.headings.len() { 0 } else { GAP }));
            if heading.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
            let width = width + column.padding_width();
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
        }
        f.write_str(table.trim_fmt().trim_end())
    }
}

/// A UUID is kept in one piece; what is longer may be broken.
const LONGEST_WORD: u16 = 36;
/// Between two columns.
const GAP: u16 = 2;

/// A moment for people, to the minute: `2026-11-29 08:46`.
pub fn minute(at: chrono::DateTime<chrono::Utc>) -> String {
    at.format("%F %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_table_fits_80_columns_has_headings_and_keeps_ids_whole() {
        let mut table = Table::new(&["RUN", "WORKFLOW", "STATUS", ">STEPS", "STARTED"], "none");
        let (run, firm) = (Uuid::from_u128(1).to_string(), Uuid::from_u128(2).to_string());
        let why = "crm.email_taken: somebody else has this address already, and nobody may share one with another";
        table.row([
            format!("{run}\n{firm}\n{why}"),
            "Onboarding of a client who has booked a first appointment".to_owned(),
            "succeeded".to_owned(),
            "12345678".to_owned(),
            "2026-11-29 08:46".to_owned(),
        ]);
        let shown = table.to_string();
        assert!(shown.lines().all(|line| line.chars().count() <= usize::from(COLUMNS)), "{shown}");
        for whole in [&*run, &*firm, "RUN", "STARTED", "succeeded", "12345678", "crm.email_taken:"] {
            assert!(shown.contains(whole), "{whole} is in one piece:\n{shown}");
        }
        assert_eq!(Table::new(&["RUN"], "no runs").to_string(), "no runs");
    }

    #[test]
    fn every_end_has_the_same_envelope() {
        let done = Done::with(json!({ "head": 7 })).unwrap();
        let good = envelope("log head", done.outcome.name(), done.outcome.code(), &done.data, None);
        let bad = failure("log head", 1, "a: b", ["a".to_owned(), "b".to_owned()].into_iter());
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&good), keys(&bad));
        assert_eq!(good["data"]["head"], 7);
        assert_eq!((&bad["outcome"], &bad["error"]["causes"][1]), (&json!("failed"), &json!("b")));
    }
}
