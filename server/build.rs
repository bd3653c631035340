//! Notes which commit is built: from `UBOS_COMMIT` where there is no repository, as in an image, else from git.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=UBOS_COMMIT");
    let given = std::env::var("UBOS_COMMIT").ok().filter(|commit| !commit.trim().is_empty());
    // Grows with every commit, checkout and rebase of this checkout, so that the note is never an older one's.
    if let Some(moves) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={moves}");
    }
    let commit = given.or_else(|| git(&["rev-parse", "--short=12", "HEAD"])).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=UBOS_COMMIT={}", commit.trim());
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let line = String::from_utf8(output.stdout).ok()?;
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}
