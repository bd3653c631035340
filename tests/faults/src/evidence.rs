//! The evidence folder: everything that happened, written down as it happens, for a checker that shares no code with us.

use anyhow::{Context, Result};
use parking_lot::Mutex;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A file of JSON objects, one a line.
#[derive(Debug)]
pub struct Lines(Mutex<BufWriter<File>>);

impl Lines {
    fn create(file: &Path) -> Result<Self> {
        let opened = File::create(file).with_context(|| format!("making {}", file.display()))?;
        Ok(Self(Mutex::new(BufWriter::with_capacity(1 << 16, opened))))
    }

    /// Adds a line. A folder that cannot be written to ends the run: evidence with holes would accuse the innocent.
    pub fn add(&self, line: &Value) {
        if let Err(error) = writeln!(self.0.lock(), "{line}") {
            eprintln!("the evidence cannot be written: {error}");
            std::process::exit(2);
        }
    }

    fn flush(&self) -> Result<()> {
        Ok(self.0.lock().flush()?)
    }
}

/// The folder, and the clock that all of its times come from.
#[derive(Debug)]
pub struct Evidence {
    /// The folder.
    pub folder: PathBuf,
    /// One line per request.
    pub history: Lines,
    /// One line per fault.
    pub faults: Lines,
    /// One line per message that a consumer outside of the product received.
    pub subscriber: Lines,
    started: Instant,
}

impl Evidence {
    /// An empty folder; the clock starts now.
    pub fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self {
            folder: folder.canonicalize()?,
            history: Lines::create(&folder.join("history.jsonl"))?,
            faults: Lines::create(&folder.join("faults.jsonl"))?,
            subscriber: Lines::create(&folder.join("subscriber.jsonl"))?,
            started: Instant::now(),
        })
    }

    /// Seconds since the start.
    pub fn now(&self) -> f64 {
        self.at(Instant::now())
    }

    /// The same for a moment that is over.
    pub fn at(&self, moment: Instant) -> f64 {
        rounded(moment.saturating_duration_since(self.started).as_secs_f64())
    }

    /// The moment at which this many seconds had passed.
    pub fn moment(&self, seconds: f64) -> Instant {
        self.started + std::time::Duration::from_secs_f64(seconds)
    }

    /// Writes `run.json`.
    pub fn write_run(&self, run: &Value) -> Result<()> {
        Ok(fs::write(self.folder.join("run.json"), serde_json::to_vec_pretty(run)?)?)
    }

    /// Puts everything on the disk.
    pub fn flush(&self) -> Result<()> {
        for lines in [&self.history, &self.faults, &self.subscriber] {
            lines.flush()?;
        }
        Ok(())
    }
}

/// Microseconds are enough.
pub fn rounded(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}
