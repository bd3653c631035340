//! What the documents point at is there.

use super::tree::{files, folders, read, relative, root};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

#[test]
fn what_the_documents_point_at_exists() {
    let root = root();
    let mut dead = vec![];
    let mut documents: Vec<PathBuf> = files(&root.join("docs"), ".md");
    documents.extend(["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root.join(name)));
    for document in documents {
        let text = read(&document);
        let folder = document.parent().expect("a document lives in a folder");
        let name = relative(&document);
        for target in links(&text) {
            if !folder.join(target).exists() {
                dead.push(format!("{name} links to {target}"));
            }
        }
        for path in paths(&text) {
            if !root.join(path).exists() {
                dead.push(format!("{name} mentions {path}"));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

/// Targets of Markdown links into the repository.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|t| !t.is_empty() && !t.contains("://") && !t.starts_with("mailto:")).collect()
}

/// Words in backticks that are paths of this repository, placeholders aside.
fn paths(text: &str) -> Vec<&str> {
    static FOLDERS: LazyLock<BTreeSet<String>> = LazyLock::new(|| folders("."));
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(|word| word.split_once('/').is_some_and(|(folder, _)| FOLDERS.contains(folder)))
        .filter(|word| !word.contains(['<', '*', '{', ' ', '…', '\n', '(']))
        .map(|word| word.split(':').next().unwrap_or(word))
        .collect()
}

#[test]
fn a_dead_link_is_found() {
    assert_eq!(links("see [a](docs/a.md#b) and [b](https://example.com)"), ["docs/a.md"]);
    assert_eq!(
        paths("`domain/crm/src/client.rs` but not `domain/<context>` or `crm/clients`"),
        ["domain/crm/src/client.rs"]
    );
}
