//! The applications of `tests/apps`: how they are made, what they answer, and what their second version changes.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One row of `expect.tsv`.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    /// The name of the application.
    pub(crate) name: String,
    /// The path that is fetched.
    pub(crate) path: String,
    /// What the first version answers.
    pub(crate) content: String,
    /// The file that the second version changes.
    pub(crate) file: String,
    /// What it replaces there.
    pub(crate) from: String,
    /// What stands there instead.
    pub(crate) to: String,
    /// What the second version answers.
    pub(crate) second_content: String,
}

/// All rows.
pub(crate) fn expectations() -> Vec<Expectation> {
    let path = repository().join("tests/apps/expect.tsv");
    let text = std::fs::read_to_string(&path).expect("tests/apps/expect.tsv can be read");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(row)
        .collect()
}

/// The row of one application.
pub(crate) fn expectation(name: &str) -> Expectation {
    expectations()
        .into_iter()
        .find(|app| app.name == name)
        .expect("the application is in expect.tsv")
}

fn row(line: &str) -> Expectation {
    let fields: Vec<&str> = line.split('\t').collect();
    let [
        name,
        path,
        content,
        _providers,
        file,
        from,
        to,
        second_content,
    ] = fields[..]
    else {
        panic!("eight columns are expected in {line:?}");
    };
    let own = str::to_owned;
    Expectation {
        name: own(name),
        path: own(path),
        content: own(content),
        file: own(file),
        from: own(from),
        to: own(to),
        second_content: own(second_content),
    }
}

/// Whether `DEVOPSER_E2E_APPS` asks for the application; without it all are.
pub(crate) fn is_selected(name: &str) -> bool {
    std::env::var("DEVOPSER_E2E_APPS").map_or(true, |names| {
        names.is_empty() || names.split(',').any(|selected| selected.trim() == name)
    })
}

/// Makes the application with its generator, where that was not done before, and copies it into `folder`.
pub(crate) fn make(name: &str, folder: &Path) {
    // Kept between runs: a generator loads much.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e-apps");
    let made = Command::new(repository().join("tests/apps/make.sh"))
        .arg(&cache)
        .arg(name)
        .status();
    assert!(
        made.expect("make.sh can be started").success(),
        "the generator of {name} failed"
    );
    let copied = Command::new("cp")
        .arg("-a")
        .arg(cache.join(name))
        .arg(folder)
        .status();
    assert!(
        copied.expect("cp can be started").success(),
        "{name} cannot be copied"
    );
}

impl Expectation {
    /// Turns the first version in `folder` into the second.
    pub(crate) fn change(&self, folder: &Path) {
        let path = folder.join(&self.file);
        let text = std::fs::read_to_string(&path).expect("the file of the change can be read");
        assert!(
            text.contains(&self.from),
            "{:?} is not in {}",
            self.from,
            path.display()
        );
        std::fs::write(&path, text.replace(&self.from, &self.to))
            .expect("the file of the change can be written");
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
