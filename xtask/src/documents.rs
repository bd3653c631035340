//! Every YAML, TOML and JSON file of the repository is read as strictly as its strictest reader does: a key that is there
//! twice is an error, because most readers take one of the two and do not say which.

use crate::command::{Workspace, capture};
use anyhow::{Context, Result, bail};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Fails with every file that is not well formed.
pub fn check(workspace: &Workspace) -> Result<()> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&workspace.root);
    let files = capture(git)?;
    let (mut looked, mut wrong) = (0, vec![]);
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let path = workspace.root.join(file);
        let Some(read) = reader(Path::new(file)).filter(|_| path.is_file()) else { continue };
        looked += 1;
        let text = fs::read_to_string(&path).with_context(|| format!("reading {file}"))?;
        if let Err(error) = read(&text) {
            wrong.push(format!("{file}: {}", error.to_string().trim_end().replace('\n', "\n    ")));
        }
    }
    if !wrong.is_empty() {
        bail!("not well formed:\n  {}", wrong.join("\n  "));
    }
    println!("{looked} files of YAML, TOML and JSON are well formed");
    Ok(())
}

type Reader = fn(&str) -> Result<()>;

fn reader(file: &Path) -> Option<Reader> {
    match file.extension()?.to_str()? {
        "yaml" | "yml" => Some(|text| Ok(serde_saphyr::from_str::<Strict>(text).map(|_| ())?)),
        "toml" => Some(|text| Ok(text.parse::<toml::Table>().map(|_| ())?)),
        "json" => Some(|text| Ok(serde_json::from_str::<Strict>(text).map(|_| ())?)),
        "jsonl" => Some(|text| text.lines().try_for_each(|line| Ok(serde_json::from_str::<Strict>(line).map(|_| ())?))),
        _ => None,
    }
}

/// Any document in which no map holds a key twice. `serde_json` by itself keeps the last one.
struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

/// Everything that is neither a list nor a map.
macro_rules! scalars {
    ($($visit:ident($value:ty)),* $(,)?) => {$(
        fn $visit<E: Error>(self, _: $value) -> Result<Strict, E> {
            Ok(Strict)
        }
    )*};
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    scalars! {
        visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_i128(i128), visit_u128(u128), visit_f64(f64),
        visit_str(&str), visit_bytes(&[u8]),
    }

    fn visit_unit<E: Error>(self) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_none<E: Error>(self) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Strict, D::Error> {
        Strict::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Strict, D::Error> {
        Strict::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Strict, A::Error> {
        while list.next_element::<Strict>()?.is_some() {}
        Ok(Strict)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if keys.contains(&key) {
                // Whatever it holds, so that the reader stands behind it when it says where.
                map.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom(format!("the key {key} is there twice")));
            }
            keys.insert(key);
            map.next_value::<Strict>()?;
        }
        Ok(Strict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, text: &str) -> Result<()> {
        reader(Path::new(file)).unwrap()(text)
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused_at_any_depth() {
        for (file, text) in [
            ("a.yaml", "a: 1\na: 2\n"),
            ("a.yml", "x:\n  - b:\n      UBOS__NATS__URL: 1\n      UBOS__NATS__URL: 1\n"),
            ("a.yaml", "a: { b: 1, b: 2 }\n"),
            ("a.toml", "a = 1\na = 1\n"),
            ("a.toml", "[t]\na = 1\n[t]\nb = 1\n"),
            ("a.json", r#"{"a": 1, "a": 1}"#),
            ("a.json", r#"[{"x": {"a": 1, "a": null}}]"#),
            ("a.jsonl", "{\"a\": 1}\n{\"a\": 1, \"a\": 2}\n"),
        ] {
            assert!(read(file, text).is_err(), "{file}: {text}");
        }
    }

    #[test]
    fn an_anchor_that_is_merged_and_overridden_is_no_key_twice() {
        let text = "x: &x\n  image: ubos\n  environment: &e { A: 1, B: null }\ns:\n  <<: *x\n  environment:\n    <<: *e\n    A: 2\n";
        read("a.yaml", text).unwrap();
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for (file, text) in [("a.yaml", "a: [1\n"), ("a.toml", "a = \n"), ("a.json", "{\"a\": 1,}"), ("a.json", "")] {
            assert!(read(file, text).is_err(), "{file}: {text}");
        }
    }
}
