//! Groups: one domain's read tables, with one checkpoint, one transaction per batch, one unit of replay.

use crate::model::ReadModel;
use crate::table::{Folding, Of, Table};
use std::fmt;

/// One domain's read tables.
pub struct Group {
    /// Its name and the schema of its tables: `crm`.
    pub name: &'static str,
    /// Raised when a fold changes, so that operators are told to replay.
    pub version: i32,
    /// One sentence for the APIs' documentation.
    pub about: &'static str,
    /// Its tables.
    pub tables: Vec<Box<dyn Table>>,
}

impl Group {
    /// A group without tables.
    pub(crate) fn new(name: &'static str, version: i32, about: &'static str) -> Self {
        Self { name, version, about, tables: vec![] }
    }

    /// The same with one table more.
    pub(crate) fn with<R: ReadModel>(mut self) -> Self {
        self.tables.push(Box::new(Of::<R>::new()));
        self
    }

    /// Does any of its tables want the events of this kind of stream?
    pub fn wants(&self, aggregate_type: &str) -> bool {
        self.tables.iter().any(|table| table.wants(aggregate_type))
    }

    /// The kinds of streams it reads; none for all.
    pub(crate) fn streams(&self) -> Option<Vec<String>> {
        if self.tables.iter().any(|table| table.streams().is_empty()) {
            return None;
        }
        let mut streams: Vec<String> = self.tables.iter().flat_map(|t| t.streams()).map(|s| (*s).to_owned()).collect();
        streams.sort();
        streams.dedup();
        Some(streams)
    }

    pub(crate) fn folds(&self) -> Vec<Box<dyn Folding>> {
        self.tables.iter().map(|table| table.fold()).collect()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}

/// Which of a group's tables: the ones that are read, the ones being rebuilt, the ones that were replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Read by everybody.
    Live,
    /// Being rebuilt, in schema `<group>_next`.
    Next,
    /// Replaced, kept for a rollback, in schema `<group>_previous`.
    Previous,
}

impl Slot {
    /// As the database writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Next => "next",
            Self::Previous => "previous",
        }
    }

    /// The schema of a group's tables in this slot.
    pub(crate) fn schema(self, group: &Group) -> String {
        match self {
            Self::Live => group.name.to_owned(),
            Self::Next | Self::Previous => format!("{}_{}", group.name, self.name()),
        }
    }
}
