//! The fuzz targets on the stable toolchain: the saved corpus, and mutations of it that are the same in every run.

#[path = "../../../fuzz/targets.rs"]
mod targets;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::fs;
use std::path::Path;

/// Mutations of each saved input.
const MUTATIONS: usize = 60;

/// Changes bytes, takes some out, puts some in, or crosses with another input.
fn mutated(random: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "\0",
        "\"",
        "'",
        "\\",
        "{{",
        "}}",
        "[",
        "(",
        ".",
        ",",
        "\n",
        "!",
        "*",
        "\u{2028}",
        "9223372036854775808",
        "-1e400",
    ];
    let mut bytes = input.to_vec();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..5) {
            0 if at < bytes.len() => bytes[at] = random.random(),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => drop(bytes.splice(at..at, WORDS[random.random_range(0..WORDS.len())].bytes())),
            3 if !other.is_empty() => {
                let from = random.random_range(0..other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let piece = bytes[at..].to_vec();
                bytes.extend(piece);
                bytes.truncate(8_192);
            }
        }
    }
    bytes
}

#[test]
fn nothing_that_was_ever_found_breaks_a_parser_again() {
    for (name, target) in targets::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
        let mut files: Vec<_> = fs::read_dir(&folder).expect(name).map(|file| file.expect("a file").path()).collect();
        files.sort();
        assert!(files.len() >= 5, "{name} has a corpus");
        let inputs: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).expect("readable")).collect();
        let mut random = StdRng::seed_from_u64(1);
        for (file, input) in files.iter().zip(&inputs) {
            let tried = |input: &[u8]| {
                let outcome = std::panic::catch_unwind(|| target(input));
                assert!(
                    outcome.is_ok(),
                    "{name} breaks at {:?}, from {}",
                    String::from_utf8_lossy(input),
                    file.display()
                );
            };
            tried(input);
            for _ in 0..MUTATIONS {
                let other = &inputs[random.random_range(0..inputs.len())];
                tried(&mutated(&mut random, input, other));
            }
        }
    }
}
