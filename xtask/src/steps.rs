//! Says what is being done, and how long it took.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// Does something that takes a moment behind a spinner, and leaves one line with its duration.
pub fn step<T>(what: &str, work: impl FnOnce(&ProgressBar) -> Result<T>) -> Result<T> {
    crate::command::stop_if_interrupted()?;
    let begun = Instant::now();
    // Hidden by itself where the output is no terminal; the line at the end is printed in any case.
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} {elapsed}") {
        spinner.set_style(style);
    }
    spinner.set_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    let result = work(&spinner);
    let what = spinner.message();
    spinner.finish_and_clear();
    let mark = if result.is_ok() { "✓" } else { "✗" };
    println!("  {mark} {what} ({})", seconds(begun.elapsed()));
    result
}

/// `0.4 s`
pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// A heading before something that shows its own progress.
pub fn heading(what: &str) {
    println!("\n── {what}");
}
