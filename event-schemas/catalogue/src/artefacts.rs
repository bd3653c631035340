//! The committed files under `event-schemas/`: what they should hold, and the refusal to break a published one.

use crate::published::Published;
use crate::{AnyEvent, asyncapi, compatibility, context_of, entries, example, published_schema};
use kernel::EventEntry;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Why the files cannot be generated.
#[derive(Debug, thiserror::Error)]
pub enum ArtefactError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The published contract would break; one sentence each.
    #[error("{}", .0.join("\n"))]
    Contract(Vec<String>),
}

/// Where one version's JSON Schema lives, from the repository's root.
pub fn schema_path(entry: &EventEntry, version: u32) -> PathBuf {
    path("json", entry, version)
}

/// Where one version's golden example lives, from the repository's root.
pub fn golden_path(entry: &EventEntry, version: u32) -> PathBuf {
    path("golden", entry, version)
}

fn path(folder: &str, entry: &EventEntry, version: u32) -> PathBuf {
    let file = format!("{}.v{version}.json", entry.event_type);
    Path::new("event-schemas").join(folder).join(context_of(entry)).join(file)
}

/// Every file that the repository at `root` should hold, with its content.
///
/// Today's schemas and `asyncapi.yaml` come from the Rust types. Older schemas and golden examples are kept as they are;
/// a golden example that is missing is made from its schema, once. A published schema that would break is an error.
pub fn artefacts(root: &Path) -> Result<Vec<(PathBuf, String)>, ArtefactError> {
    let mut problems = vec![];
    let mut files = BTreeMap::new();
    let mut published = vec![];
    for entry in entries() {
        for version in 1..=entry.version {
            let schema_path = schema_path(entry, version);
            let committed = read_json(root, &schema_path)?;
            let schema = match (version == entry.version, committed) {
                (true, committed) => {
                    let schema = published_schema(entry);
                    problems.extend(committed.iter().flat_map(|old| broken(entry, old, &schema)));
                    schema
                }
                (false, Some(committed)) => committed,
                (false, None) => {
                    problems
                        .push(format!("{} is missing: a published version is kept for ever", schema_path.display()));
                    continue;
                }
            };
            let golden_path = golden_path(entry, version);
            let golden = match read_json(root, &golden_path)? {
                Some(golden) => golden,
                None => example(&schema, entry.name),
            };
            if let Err(error) = AnyEvent::read(entry.stream, entry.event_type, version, &golden.to_string()) {
                problems.push(format!("{} does not read ({error}): write it by hand", golden_path.display()));
            }
            files.insert(schema_path, pretty(&schema));
            files.insert(golden_path, pretty(&golden));
            published.push(Published { entry, version, schema, golden });
        }
    }
    problems.extend(orphans(root, &files)?);
    if !problems.is_empty() {
        return Err(ArtefactError::Contract(problems));
    }
    files.insert(PathBuf::from("event-schemas/asyncapi.yaml"), asyncapi::document(&published));
    Ok(files.into_iter().collect())
}

/// Writes what [`artefacts`] answers below `root`; answers the files that changed.
pub fn write(root: &Path) -> Result<Vec<PathBuf>, ArtefactError> {
    let stale = differing(root)?;
    for (path, content) in &stale {
        let path = root.join(path);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, content));
        written.map_err(|source| ArtefactError::Io { path, source })?;
    }
    Ok(stale.into_iter().map(|(path, _)| path).collect())
}

/// The files below `root` that differ from what [`artefacts`] answers.
pub fn stale(root: &Path) -> Result<Vec<PathBuf>, ArtefactError> {
    Ok(differing(root)?.into_iter().map(|(path, _)| path).collect())
}

fn differing(root: &Path) -> Result<Vec<(PathBuf, String)>, ArtefactError> {
    let mut differing = vec![];
    for (path, content) in artefacts(root)? {
        if read(root, &path)?.as_deref() != Some(content.as_str()) {
            differing.push((path, content));
        }
    }
    Ok(differing)
}

fn broken(entry: &EventEntry, old: &Value, new: &Value) -> Vec<String> {
    let (name, version) = (entry.name, entry.version);
    let advice = format!("raise the version to {} and write an upcaster", version + 1);
    let sentences = compatibility(old, new).into_iter();
    sentences.map(|found| format!("{name} version {version} is published, but {found}: {advice}")).collect()
}

/// Schemas and examples of events or versions that no type knows.
fn orphans(root: &Path, known: &BTreeMap<PathBuf, String>) -> Result<Vec<String>, ArtefactError> {
    let mut orphans = BTreeSet::new();
    for folder in ["event-schemas/json", "event-schemas/golden"] {
        for context in children(&root.join(folder))? {
            for file in children(&context)? {
                let path = file.strip_prefix(root).unwrap_or(&file);
                if !known.contains_key(path) {
                    orphans.insert(path.to_owned());
                }
            }
        }
    }
    let sentence = |path: &PathBuf| {
        let advice = "a published event stays readable for ever: keep its variant, marked #[retired]";
        format!("{} belongs to no event: {advice}", path.display())
    };
    Ok(orphans.iter().map(sentence).collect())
}

fn children(folder: &Path) -> Result<Vec<PathBuf>, ArtefactError> {
    let fault = |source| ArtefactError::Io { path: folder.to_owned(), source };
    match fs::read_dir(folder) {
        Ok(children) => children.map(|child| child.map(|child| child.path()).map_err(fault)).collect(),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        Err(source) => Err(fault(source)),
    }
}

fn read(root: &Path, path: &Path) -> Result<Option<String>, ArtefactError> {
    match fs::read_to_string(root.join(path)) {
        Ok(text) => Ok(Some(text)),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ArtefactError::Io { path: path.to_owned(), source }),
    }
}

fn read_json(root: &Path, path: &Path) -> Result<Option<Value>, ArtefactError> {
    let Some(text) = read(root, path)? else { return Ok(None) };
    match serde_json::from_str(&text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(ArtefactError::Io { path: path.to_owned(), source: error.into() }),
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
