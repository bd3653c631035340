//! Names of the write-ahead log's files, and how far an archive of them reaches without a hole.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A place in the write-ahead log: `0/3000028`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lsn(pub u64);

impl Lsn {
    pub fn parse(text: &str) -> Result<Self> {
        let (high, low) = text.trim().split_once('/').with_context(|| format!("{text:?} is no place in the WAL"))?;
        Ok(Self(u64::from_str_radix(high, 16)? << 32 | u64::from_str_radix(low, 16)?))
    }
}

/// What an archive holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Archive {
    segment_bytes: u64,
    segments: BTreeSet<(u32, u64)>,
    /// For each timeline, where those before it ended.
    parents: BTreeMap<u32, Vec<(u32, Lsn)>>,
}

/// How far an archive reaches from some place on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The last file before the first one that is missing; none if the first is.
    pub last: Option<String>,
    /// A file that is missing although later ones are there.
    pub hole: Option<String>,
}

impl Archive {
    /// Reads the names in a folder.
    pub fn read(folder: &Path, segment_bytes: u64) -> Result<Self> {
        let mut archive = Self { segment_bytes, ..Self::default() };
        let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(timeline) = name.strip_suffix(".history") {
                let Ok(timeline) = u32::from_str_radix(timeline, 16) else { continue };
                archive.parents.insert(timeline, parse_history(&fs::read_to_string(entry.path())?));
            } else if let Some(segment) = archive.parse(&name)
                // A file that is being copied elsewhere than by the recommended command may be short yet.
                && entry.metadata()?.len() == segment_bytes
            {
                archive.segments.insert(segment);
            }
        }
        Ok(archive)
    }

    fn per_log(&self) -> u64 {
        (1 << 32) / self.segment_bytes
    }

    fn parse(&self, name: &str) -> Option<(u32, u64)> {
        if name.len() != 24 || !name.is_ascii() {
            return None;
        }
        let part = |from: usize| u64::from_str_radix(&name[from..from + 8], 16).ok();
        Some((u32::try_from(part(0)?).ok()?, part(8)? * self.per_log() + part(16)?))
    }

    fn name(&self, (timeline, number): (u32, u64)) -> String {
        format!("{timeline:08X}{:08X}{:08X}", number / self.per_log(), number % self.per_log())
    }

    /// The file that holds a place.
    pub fn file(&self, timeline: u32, lsn: Lsn) -> String {
        self.name((timeline, lsn.0 / self.segment_bytes))
    }

    /// The newest timeline.
    pub fn newest_timeline(&self, at_least: u32) -> u32 {
        let newest = self.segments.iter().map(|(timeline, _)| *timeline).chain(self.parents.keys().copied()).max();
        newest.unwrap_or(at_least).max(at_least)
    }

    /// Timelines that lead to `timeline`, each with where it begins.
    fn chain(&self, timeline: u32) -> Vec<(u32, Lsn)> {
        let mut begins = Lsn(0);
        let mut chain = vec![];
        for (parent, ended) in self.parents.get(&timeline).into_iter().flatten() {
            chain.push((*parent, begins));
            begins = *ended;
        }
        chain.push((timeline, begins));
        chain
    }

    /// Whether what was on `timeline` at `lsn` is in the past of `of`.
    pub fn leads_to(&self, timeline: u32, lsn: Lsn, of: u32) -> bool {
        let chain = self.chain(of);
        let Some(place) = chain.iter().position(|(id, _)| *id == timeline) else { return false };
        chain.get(place + 1).is_none_or(|(_, ends)| lsn <= *ends)
    }

    /// How far the files go from a place on towards `timeline`.
    pub fn reach(&self, from: Lsn, timeline: u32) -> Reach {
        let chain = self.chain(timeline);
        let needed = |number: u64| {
            let begun = chain.iter().rev().find(|(_, begins)| begins.0 / self.segment_bytes <= number);
            begun.map_or(timeline, |(id, _)| *id)
        };
        let newest =
            self.segments.iter().filter(|(id, number)| needed(*number) == *id).map(|(_, number)| *number).max();
        let mut last = None;
        for number in from.0 / self.segment_bytes..=newest.unwrap_or(0) {
            let segment = (needed(number), number);
            if !self.segments.contains(&segment) {
                return Reach { last, hole: Some(self.name(segment)) };
            }
            last = Some(self.name(segment));
        }
        Reach { last, hole: None }
    }
}

/// Lines of a timeline's history: which timeline ended where.
fn parse_history(text: &str) -> Vec<(u32, Lsn)> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse().ok()?, Lsn::parse(words.next()?).ok()?))
    };
    text.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 16 << 20;

    fn archive(names: &[&str], histories: &[(u32, &str)]) -> Archive {
        let mut archive = Archive { segment_bytes: SIZE, ..Archive::default() };
        archive.segments = names.iter().map(|name| archive.parse(name).unwrap()).collect();
        archive.parents = histories.iter().map(|(id, text)| (*id, parse_history(text))).collect();
        archive
    }

    #[test]
    fn names_are_read_and_written() {
        let archive = archive(&[], &[]);
        for name in ["000000010000000000000001", "0000000A00000002000000FF"] {
            assert_eq!(archive.name(archive.parse(name).unwrap()), name);
        }
        assert_eq!(archive.parse("000000010000000000000001.partial"), None);
        assert_eq!(archive.file(1, Lsn::parse("1/2000028").unwrap()), "000000010000000100000002");
    }

    #[test]
    fn a_hole_is_named() {
        let archive =
            archive(&["000000010000000000000002", "000000010000000000000003", "000000010000000000000005"], &[]);
        let reach = archive.reach(Lsn(2 * SIZE + 40), 1);
        assert_eq!(reach.last.as_deref(), Some("000000010000000000000003"));
        assert_eq!(reach.hole.as_deref(), Some("000000010000000000000004"));
        assert_eq!(archive.reach(Lsn(5 * SIZE), 1).hole, None);
        assert_eq!(archive.reach(Lsn(6 * SIZE), 1), Reach { last: None, hole: None });
    }

    #[test]
    fn a_timeline_goes_on_where_the_one_before_ended() {
        let names = [
            "000000010000000000000002",
            "000000010000000000000003",
            "000000010000000000000004",
            "000000020000000000000003",
        ];
        let archive = archive(&names, &[(2, "1\t0/3000100\tbefore 2026-11-23\n")]);
        assert_eq!(archive.newest_timeline(1), 2);
        assert_eq!(archive.reach(Lsn(2 * SIZE), 2).last.as_deref(), Some("000000020000000000000003"));
        assert_eq!(archive.reach(Lsn(2 * SIZE), 1).last.as_deref(), Some("000000010000000000000004"));
        assert!(archive.leads_to(1, Lsn(2 * SIZE), 2));
        assert!(!archive.leads_to(1, Lsn(4 * SIZE), 2), "what came after the fork is not in its past");
        assert!(!archive.leads_to(2, Lsn(4 * SIZE), 1));
    }
}
