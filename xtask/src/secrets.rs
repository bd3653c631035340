//! Secrets that somebody is about to publish: what is in the repository and looks like a key.

use crate::command::{Workspace, capture};
use anyhow::{Result, bail};
use std::fs;
use std::process::Command;

/// What secrets begin with, how many characters of which alphabet follow, and what they are.
const SHAPES: [Shape; 10] = [
    Shape { begins: "ubk_", least: 75, alphabet: URL_SAFE, what: "an API key of UBOS" },
    Shape { begins: "AKIA", least: 16, alphabet: UPPER, what: "an access key of AWS" },
    Shape { begins: "ASIA", least: 16, alphabet: UPPER, what: "an access key of AWS" },
    Shape { begins: "ghp_", least: 36, alphabet: LETTERS, what: "a token of GitHub" },
    Shape { begins: "github_pat_", least: 40, alphabet: URL_SAFE, what: "a token of GitHub" },
    Shape { begins: "glpat-", least: 20, alphabet: URL_SAFE, what: "a token of GitLab" },
    Shape { begins: "sk_live_", least: 16, alphabet: LETTERS, what: "a key of Stripe" },
    Shape { begins: "xoxb-", least: 20, alphabet: URL_SAFE, what: "a token of Slack" },
    Shape { begins: "SUA", least: 55, alphabet: UPPER, what: "a seed of a NATS user" },
    Shape { begins: "SAA", least: 55, alphabet: UPPER, what: "a seed of a NATS account" },
];

/// A key in PEM begins and ends like this. Two lines, so that this file is none.
const PEM_BEGINS: &str = "-----BEGIN ";
const PEM_ENDS: &str = "PRIVATE KEY-----";

const UPPER: fn(char) -> bool = |c| c.is_ascii_uppercase() || c.is_ascii_digit();
const LETTERS: fn(char) -> bool = |c| c.is_ascii_alphanumeric();
const URL_SAFE: fn(char) -> bool = |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');

struct Shape {
    begins: &'static str,
    least: usize,
    alphabet: fn(char) -> bool,
    what: &'static str,
}

/// Fails with every file and line that holds one.
pub fn check(workspace: &Workspace) -> Result<()> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&workspace.root);
    let files = capture(git)?;
    let (mut looked, mut found) = (0, vec![]);
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let Ok(bytes) = fs::read(workspace.root.join(file)) else { continue };
        looked += 1;
        for (line, what) in secrets(&String::from_utf8_lossy(&bytes)) {
            found.push(format!("{file}:{line} holds {what}"));
        }
    }
    if !found.is_empty() {
        bail!("withdraw each where it is valid, then take it out:\n  {}", found.join("\n  "));
    }
    println!("no secret in {looked} files");
    Ok(())
}

/// Line and kind of each secret.
fn secrets(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = vec![];
    for (number, line) in (1..).zip(text.lines()) {
        if line.contains(PEM_BEGINS) && line.contains(PEM_ENDS) {
            found.push((number, "a private key"));
        }
        for shape in &SHAPES {
            let mut rest = line;
            while let Some(at) = rest.find(shape.begins) {
                let before = rest[..at].chars().next_back();
                rest = &rest[at + shape.begins.len()..];
                let run: String = rest.chars().take_while(|c| (shape.alphabet)(*c)).collect();
                // What is made up is of one letter or counts up; a secret is of chance.
                let letters: std::collections::BTreeSet<char> = run.chars().collect();
                if run.len() >= shape.least && letters.len() > 5 && !before.is_some_and(|c| c.is_ascii_alphanumeric()) {
                    found.push((number, shape.what));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_key_is_found_and_what_is_made_up_is_not() {
        // Put together here, so that this file holds none.
        let key =
            format!("{}{}", "ubk", "_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN");
        assert_eq!(secrets(&format!("x\nkey = \"{key}\"")), [(2, "an API key of UBOS")]);
        assert_eq!(secrets(&format!("{PEM_BEGINS}RSA {PEM_ENDS}")), [(1, "a private key")]);
        assert_eq!(secrets(&format!("ubk_{}", "A".repeat(75))), []);
        assert_eq!(secrets("ubk_[A-Za-z0-9_-]{75}"), []);
        assert_eq!(secrets(&format!("{}{}", "AK", "IAIOSFODNN7EXAMPLE")), [(1, "an access key of AWS")]);
    }
}
