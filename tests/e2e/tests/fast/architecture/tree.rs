//! The repository as it lies there: whatever is guarded is found here and not on a list, so that nothing is forgotten.

use cargo_metadata::{MetadataCommand, Package};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The workspace's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace's root")
}

/// Every crate of ours.
pub fn packages() -> Vec<Package> {
    let manifest = root().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata").packages
}

/// Where a crate lives, from the root.
pub fn folder(package: &Package) -> String {
    let folder = package.manifest_path.parent().expect("a manifest lives in a folder");
    relative(folder.as_std_path())
}

/// A path from the root.
pub fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/")
}

/// A file's text.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every file below a folder whose name ends so, what is built or installed aside.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    for child in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = child.path();
        let name = child.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The names of the folders in a folder.
pub fn folders(folder: &str) -> BTreeSet<String> {
    let children = fs::read_dir(root().join(folder)).into_iter().flatten().flatten();
    let names = children.filter(|child| child.path().is_dir()).map(|child| child.file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|n| !n.starts_with('.') && n != "target").collect()
}

/// The domains: whoever publishes events, and whoever has read models.
pub fn domains() -> BTreeSet<String> {
    let events = folders("event-schemas");
    let contexts = events.iter().filter_map(|name| name.strip_suffix("-events")).map(str::to_owned);
    contexts.chain(folders("projections/src")).collect()
}

/// A source text as tokens, without documentation and without what only tests see.
pub fn code(source: &str) -> TokenStream {
    let tokens: TokenStream = source.parse().unwrap_or_else(|e| panic!("not Rust: {e}"));
    without_tests(tokens)
}

fn without_tests(tokens: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let (mut kept, mut index) = (vec![], 0);
    while let Some(token) = tokens.get(index) {
        index += 1;
        match token {
            TokenTree::Punct(hash) if hash.as_char() == '#' => {
                let attribute = tokens.get(index).map(|a| a.to_string().replace(' ', "")).unwrap_or_default();
                if attribute.starts_with("[doc") {
                    index += 1;
                } else if attribute == "[cfg(test)]" {
                    // The item ends with its body or a semicolon.
                    let ends = |t: &TokenTree| match t {
                        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                        TokenTree::Punct(punct) => punct.as_char() == ';',
                        _ => false,
                    };
                    index += tokens[index..].iter().position(ends).map_or(tokens.len(), |end| end + 1);
                } else {
                    kept.push(token.clone());
                }
            }
            TokenTree::Group(group) => {
                kept.push(Group::new(group.delimiter(), without_tests(group.stream())).into());
            }
            other => kept.push(other.clone()),
        }
    }
    kept.into_iter().collect()
}
