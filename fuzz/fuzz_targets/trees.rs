//! File trees out of arbitrary bytes, through everything that reads them: detection, summary, explanation, generation,
//! and the policies of Dockerfiles and compose files. Before it begins it writes the fixtures as its corpus.

#![no_main]

use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use libfuzzer_sys::fuzz_target;

#[path = "../../devopser-detect/tests/support/trees.rs"]
mod trees;

fuzz_target!(
    init: if let Err(error) = prepare(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        eprintln!("warning: there is no corpus to begin with: {error}");
    },
    |input: &[u8]| trees::check(input)
);

/// Writes the seeds and the dictionary where cargo-fuzz and `run.sh` look for them.
fn prepare(here: &Path) -> io::Result<()> {
    let corpus = here.join("corpus/trees");
    fs::create_dir_all(&corpus)?;
    for (name, input) in trees::seeds(&here.join("../devopser-detect/fixtures"))? {
        fs::write(corpus.join(name), input)?;
    }
    let mut dictionary = String::new();
    for word in trees::words() {
        let bytes = word.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "\\x{byte:02x}");
            text
        });
        let _ = writeln!(dictionary, "\"{bytes}\"");
    }
    fs::write(here.join("corpus/trees.dict"), dictionary)
}
