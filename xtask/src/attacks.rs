//! The attack list of `docs/security.md`: every row names tests, and every test that it names is there.

use crate::command::Workspace;
use anyhow::{Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Fails with every test that the document names and nobody wrote.
pub fn check(workspace: &Workspace) -> Result<()> {
    let document = fs::read_to_string(workspace.root.join("docs/security.md"))?;
    let tests = tests(&workspace.root)?;
    let (mut rows, mut wrong) = (0, vec![]);
    for row in attack_rows(&document) {
        rows += 1;
        if row.tests.is_empty() {
            wrong.push(format!("{} names no test", row.name));
        }
        let missing = row.tests.iter().filter(|test| !tests.contains(**test));
        wrong.extend(missing.map(|test| format!("{} names {test}, which does not exist", row.name)));
    }
    if rows < 50 {
        bail!("docs/security.md: only {rows} rows of the attack list were found");
    }
    if !wrong.is_empty() {
        bail!("docs/security.md:\n  {}", wrong.join("\n  "));
    }
    println!("{rows} rows of the attack list, each with tests that exist");
    Ok(())
}

struct Row<'d> {
    name: &'d str,
    tests: Vec<&'d str>,
}

/// Rows such as ``| A-01 | what somebody tries | `a_test`, `another` |``.
fn attack_rows(document: &str) -> Vec<Row<'_>> {
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim().strip_prefix('|')?.strip_suffix('|')?.split(" | ").map(str::trim).collect();
        let [name, _, tests] = cells.as_slice() else { return None };
        let (letter, number) = name.split_once('-')?;
        let is_row =
            letter.len() == 1 && letter.starts_with(|c: char| c.is_ascii_uppercase()) && number.parse::<u8>().is_ok();
        is_row.then(|| Row { name, tests: tests.split('`').skip(1).step_by(2).collect() })
    });
    rows.collect()
}

/// The names of all test functions, and of Rust files' tests in other languages none.
fn tests(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            found.extend(tests(&path)?);
        } else if name.ends_with(".rs") {
            found.extend(test_functions(&fs::read_to_string(&path)?));
        }
    }
    Ok(found)
}

/// Functions that a test attribute stands before.
fn test_functions(source: &str) -> Vec<String> {
    let mut found = vec![];
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.contains("test]") || line.contains("test(");
        } else if let Some(rest) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
            if is_test {
                found.extend(rest.split('(').next().map(str::to_owned));
            }
            is_test = false;
        } else if !line.starts_with("//") {
            is_test = false;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_their_tests_are_found() {
        let document =
            "| row | attack | test |\n| --- | --- | --- |\n| A-01 | `alg: none` | `a_01_none`, `other` |\nA-02 |";
        let rows = attack_rows(document);
        assert_eq!(
            (rows.len(), rows[0].name, rows[0].tests.as_slice()),
            (1, "A-01", ["a_01_none", "other"].as_slice())
        );
    }

    #[test]
    fn only_what_a_test_attribute_stands_before_is_a_test() {
        let source = "#[test]\nfn a() {}\n#[tokio::test]\n// Why.\nasync fn b() {}\nfn c() {}\n#[cfg(test)]\nmod tests {\n fn d() {}\n}";
        assert_eq!(test_functions(source), ["a", "b"]);
    }
}
