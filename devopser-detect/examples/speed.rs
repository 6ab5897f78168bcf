//! Measures detection; `benches/README.md` has the command and the figures.
//!
//! `speed CORPUS [COMMAND]`: CORPUS holds a folder for each repository; COMMAND is the `devopser` to start as a process.
//! The two big trees are made in a temporary folder.
//!
//! Beside each figure stands that of a bare walk of the same folders: names listed three levels deep, manifests read,
//! nothing done with them. It says how fast the machine is, so that figures of different machines can be compared.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example program talks to its terminal"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// How often each thing is measured.
const ROUNDS: usize = 21;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(corpus) = arguments.next() else {
        eprintln!("usage: speed CORPUS [COMMAND]");
        return ExitCode::from(2);
    };
    match measure(&corpus, arguments.next().as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(corpus: &Path, command: Option<&Path>) -> std::io::Result<()> {
    let mut folders: Vec<PathBuf> = fs::read_dir(corpus)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let count = u32::try_from(folders.len().max(1)).unwrap_or(u32::MAX);
    let all = rounds(|| folders.iter().for_each(|folder| detect(folder)));
    print("in process, mean per repository of the corpus", &all, count);
    let bare = rounds(|| folders.iter().for_each(|folder| walk(folder, WALKED)));
    print("  the bare walk", &bare, count);
    if let Some(command) = command {
        let mut each: Vec<Duration> = Vec::new();
        for folder in folders.iter().chain(&folders) {
            let start = Instant::now();
            let mut child = Command::new(command);
            child.args(["detect", "--json"]).arg(folder);
            child.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            each.push(start.elapsed());
        }
        each.sort();
        print("as a process, over the corpus", &each[folders.len()..], 1);
        print(
            "as a process, over the corpus (best half left out)",
            &each,
            1,
        );
    }
    let scratch = std::env::temp_dir().join(format!("devopser-speed-{}", std::process::id()));
    let made = trees(&scratch);
    let removed = fs::remove_dir_all(&scratch);
    made.and(removed)
}

fn trees(scratch: &Path) -> std::io::Result<()> {
    let monorepo = scratch.join("monorepo");
    make_monorepo(&monorepo)?;
    let times = rounds(|| detect(&monorepo));
    print(
        "in process, monorepo of 57k files with node_modules",
        &times,
        1,
    );
    print("  the bare walk", &rounds(|| walk(&monorepo, WALKED)), 1);
    for (name, make) in [
        (
            "50k sources in 1,000 folders below src",
            flat as fn(&Path) -> _,
        ),
        ("50k sources in 1,000 folders, ten in each of ten", nested),
    ] {
        let folder = scratch.join("sources");
        make(&folder)?;
        let times = rounds(|| detect(&folder));
        print(&format!("in process, {name}"), &times, 1);
        fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

fn detect(folder: &Path) {
    let report = devopser_detect::detect_folder(folder);
    std::hint::black_box(report.is_ok());
}

/// How deep the bare walk goes.
const WALKED: usize = 3;

/// What the bare walk reads.
const MANIFESTS: &[&str] = &[
    "Cargo.toml",
    "Gemfile",
    "Pipfile",
    "Procfile",
    "README.md",
    "build.gradle",
    "build.gradle.kts",
    "composer.json",
    "deno.json",
    "go.mod",
    "index.html",
    "manage.py",
    "mix.exs",
    "package.json",
    "pom.xml",
    "pyproject.toml",
    "requirements.txt",
    "setup.py",
    "tsconfig.json",
];

fn walk(folder: &Path, deeper: usize) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && deeper > 0 && name != "node_modules" && name != ".git" {
            walk(&entry.path(), deeper - 1);
        } else if !is_folder && MANIFESTS.iter().any(|manifest| name == *manifest) {
            std::hint::black_box(fs::read(entry.path()).is_ok());
        }
    }
}

/// The times of the rounds, sorted, after one that warms the caches.
fn rounds(mut work: impl FnMut()) -> Vec<Duration> {
    work();
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    times
}

fn print(what: &str, times: &[Duration], count: u32) {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0 / f64::from(count);
    let (Some(least), Some(median)) = (times.first(), times.get(times.len() / 2)) else {
        return;
    };
    println!(
        "{what}: median {:.3} ms, least {:.3} ms",
        milliseconds(*median),
        milliseconds(*least)
    );
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// 40 workspaces of 50 sources, and 1,100 installed packages of 50 files.
fn make_monorepo(root: &Path) -> std::io::Result<()> {
    let manifest = r#"{"private":true,"packageManager":"pnpm@9.1.0","scripts":{"build":"turbo build"},"devDependencies":{"turbo":"2"}}"#;
    write(&root.join("package.json"), manifest)?;
    write(
        &root.join("pnpm-workspace.yaml"),
        "packages:\n  - apps/*\n  - packages/*\n",
    )?;
    write(&root.join("pnpm-lock.yaml"), "lockfileVersion: '9.0'\n")?;
    for index in 0..40 {
        let (parent, depends) = if index < 8 {
            (
                "apps",
                r#"{"scripts":{"build":"next build","start":"next start"},"dependencies":{"next":"15"}}"#,
            )
        } else {
            ("packages", r#"{"main":"index.js"}"#)
        };
        let folder = root.join(format!("{parent}/p{index}"));
        write(&folder.join("package.json"), depends)?;
        for file in 0..49 {
            write(
                &folder.join(format!("src/{}/f{file}.ts", file % 5)),
                "export {};\n",
            )?;
        }
    }
    for package in 0..1_100 {
        let folder = root.join(format!("node_modules/m{package}"));
        write(&folder.join("package.json"), "{}")?;
        for file in 0..49 {
            write(&folder.join(format!("lib/f{file}.js")), "")?;
        }
    }
    Ok(())
}

fn flat(root: &Path) -> std::io::Result<()> {
    sources(root, |folder| format!("src/m{folder}"))
}

fn nested(root: &Path) -> std::io::Result<()> {
    sources(root, |folder| {
        format!(
            "src/a{}/b{}/c{}",
            folder / 100,
            folder / 10 % 10,
            folder % 10
        )
    })
}

fn sources(root: &Path, place: impl Fn(usize) -> String) -> std::io::Result<()> {
    write(
        &root.join("package.json"),
        r#"{"scripts":{"start":"node src/m1/f1.js"},"dependencies":{"express":"4"}}"#,
    )?;
    for folder in 0..1_000 {
        for file in 0..50 {
            write(
                &root.join(place(folder)).join(format!("f{file}.js")),
                "module.exports = 1;\n",
            )?;
        }
    }
    Ok(())
}
