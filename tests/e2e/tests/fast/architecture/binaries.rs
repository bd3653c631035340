//! What is linked before a test can run. A program of tests links everything below it, so one too many costs more than what it tests.

use super::tree::{files, packages, read, relative};
use cargo_metadata::{Package, Target};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::path::PathBuf;

const ONE: &str = "A crate's tests are one program, `tests/it`.";
const NONE: &str = "What cargo is told not to test has no test.";

/// Programs that a crate has beside its one: crate, program, and why its tests cannot share a process with the others.
const BESIDE: &[(&str, &str, &str)] = &[
    ("e2e", "allocations", "its allocator counts for the whole process"),
    ("e2e", "counters", "it counts the statements of the whole process"),
    ("e2e", "app", "whoever looks up a rule in `fast` links no service"),
    ("e2e", "effects", "it has the machine to itself, and is run with other numbers by `cargo xtask effects`"),
    ("e2e", "world", "each of its tests has the machine to itself"),
];

/// The programs of which a crate may have only one, if it has several.
fn too_many<'n>(package: &str, programs: &[&'n str]) -> Vec<&'n str> {
    let is_beside = |program: &str| BESIDE.iter().any(|(of, beside, _)| (*of, *beside) == (package, program));
    let one: Vec<&str> = programs.iter().copied().filter(|program| !is_beside(program)).collect();
    if one.len() > 1 { one } else { vec![] }
}

fn programs(package: &Package) -> Vec<&str> {
    package.targets.iter().filter(|target| target.is_test()).map(|target| target.name.as_str()).collect()
}

/// The attributes of a source text, without their blanks: `cfg(test)`, `tokio::test`.
fn attributes(tokens: TokenStream) -> Vec<String> {
    let (mut found, mut after_hash) = (vec![], false);
    for token in tokens {
        match token {
            // `#![…]` is one too.
            TokenTree::Punct(punct) => after_hash = punct.as_char() == '#' || after_hash && punct.as_char() == '!',
            TokenTree::Group(group) => {
                if after_hash && group.delimiter() == Delimiter::Bracket {
                    found.push(group.stream().to_string().replace(' ', ""));
                }
                found.extend(attributes(group.stream()));
                after_hash = false;
            }
            _ => after_hash = false,
        }
    }
    found
}

/// Does a source text have anything that only tests see?
fn has_tests(source: &str) -> bool {
    let tokens: TokenStream = source.parse().unwrap_or_else(|e| panic!("not Rust: {e}"));
    attributes(tokens).iter().any(|attribute| {
        let (path, arguments) = attribute.split_once('(').unwrap_or((attribute.as_str(), ""));
        let is_of_tests = arguments.split(['(', ')', ',']).any(|word| word == "test");
        path.rsplit("::").next() == Some("test") || path.starts_with("cfg") && is_of_tests
    })
}

/// Does a source text have an example in its documentation that rustdoc would compile?
fn has_examples(source: &str) -> bool {
    // What rustdoc takes for Rust: nothing but these words after the backquotes.
    const RUST: &[&str] = &["rust", "should_panic", "no_run", "compile_fail", "test_harness", "standalone_crate"];
    let (mut in_fence, mut after_blank) = (false, true);
    source.lines().any(|line| {
        let line = line.trim_start();
        let Some(text) = line.strip_prefix("///").or(line.strip_prefix("//!")) else {
            (in_fence, after_blank) = (false, true);
            return line.starts_with('#') && line.contains("include_str!");
        };
        let Some(info) = text.trim_start().strip_prefix("```") else {
            // A paragraph that is indented is Rust too.
            let is_code = !in_fence && after_blank && text.starts_with("     ");
            after_blank = text.trim().is_empty();
            return is_code;
        };
        in_fence = !in_fence;
        let mut words = info.split([' ', ',']).filter(|word| !word.is_empty());
        in_fence && words.all(|word| RUST.contains(&word) || word.starts_with("edition"))
    })
}

/// What a program or a library is made of. A program beside a library is its one file.
fn sources(package: &Package, target: &Target) -> Vec<PathBuf> {
    let root = target.src_path.as_std_path();
    if target.is_bin() && package.targets.iter().any(|other| other.is_lib() || other.is_proc_macro()) {
        return vec![root.to_owned()];
    }
    files(root.parent().expect("a source file lives in a folder"), ".rs")
}

#[test]
fn a_crate_has_one_program_of_tests() {
    let mut found = vec![];
    for package in packages() {
        let more = too_many(package.name.as_str(), &programs(&package));
        if !more.is_empty() {
            found.push(format!("{} has {}, but: {ONE}", package.name, more.join(", ")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_second_program_of_tests_is_found() {
    assert_eq!(too_many("crm", &[]), [""; 0]);
    assert_eq!(too_many("crm", &["it"]), [""; 0]);
    assert_eq!(too_many("crm", &["it", "clients"]), ["it", "clients"]);
    for (package, beside, _) in BESIDE {
        assert_eq!(too_many(package, &["it", beside]), [""; 0]);
        assert_eq!(too_many(package, &["it", beside, "more"]), ["it", "more"]);
        assert_eq!(too_many("crm", &["it", beside]), ["it", beside]);
    }
}

#[test]
fn a_program_that_may_stand_beside_is_there() {
    let packages = packages();
    for (name, beside, _) in BESIDE {
        let package = packages.iter().find(|package| package.name.as_str() == *name);
        assert!(package.is_some_and(|p| programs(p).contains(beside)), "{name} has no program of tests {beside}");
    }
}

#[test]
fn what_is_not_tested_has_no_test() {
    let mut found = vec![];
    for package in &packages() {
        let ours = |target: &&Target| target.is_lib() || target.is_proc_macro() || target.is_bin();
        for target in package.targets.iter().filter(ours) {
            let texts: Vec<(PathBuf, String)> =
                sources(package, target).into_iter().map(|file| (file.clone(), read(file))).collect();
            let mut say = |what: &str, is_found: fn(&str) -> bool| {
                let files = texts.iter().filter(|(_, text)| is_found(text));
                let files = files.map(|(file, _)| relative(file));
                found
                    .extend(files.map(|file| format!("{} says {what}, and {file} has one, but: {NONE}", package.name)));
            };
            if !target.test {
                say("test = false", has_tests);
            }
            if !target.doctest && !target.is_bin() {
                say("doctest = false", has_examples);
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_test_that_would_never_run_is_found() {
    for source in [
        "#[test] fn a() {}",
        "mod a { #[tokio::test(flavor = \"multi_thread\")] async fn a() {} }",
        "#[cfg(test)] mod tests;",
        "#[cfg(any(test, feature = \"a\"))] fn a() {}",
        "proptest! { #[test] fn a(b in 0..1) {} }",
        "#![cfg_attr(test, allow(dead_code))]",
    ] {
        assert!(has_tests(source), "{source}");
    }
    for source in ["// #[test]", "#[derive(Debug)] struct Test;", "fn test() {}", "#[cfg(feature = \"test\")] mod a;"] {
        assert!(!has_tests(source), "{source}");
    }
}

#[test]
fn an_example_that_would_never_run_is_found() {
    for source in [
        "/// ```\n/// a();\n/// ```",
        "//! ```rust,no_run\n//! a();\n//! ```",
        "    /// ```compile_fail\n    /// a();\n    /// ```",
        "/// ```text\n/// a\n/// ```\n/// ```\n/// a();\n/// ```",
        "/// As here:\n///\n///     a();",
        "#![doc = include_str!(\"../README.md\")]",
    ] {
        assert!(has_examples(source), "{source}");
    }
    for source in [
        "/// ```text\n/// a ──► b\n///\n///       c\n/// ```",
        "/// ```ignore\n/// a();\n/// ```",
        "/// - one\n///   two",
        "// ```\nconst A: &str = include_str!(\"a.txt\");",
    ] {
        assert!(!has_examples(source), "{source}");
    }
}
