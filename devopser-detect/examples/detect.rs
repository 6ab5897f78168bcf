//! Prints what `detect --json` prints for each folder named. `--bench` prints how long all of them took together,
//! `--bench-warm` the same after it has seen them all once.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example program talks to its terminal"
)]

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let mut folders: Vec<String> = std::env::args().skip(1).collect();
    let mode = folders
        .first()
        .filter(|first| first.starts_with("--"))
        .cloned();
    if mode.is_some() {
        folders.remove(0);
    }
    if mode.as_deref() == Some("--bench-warm") {
        for folder in &folders {
            // What fails here fails below too, where it is told.
            let _ = devopser_detect::detect_folder(Path::new(folder));
        }
    }
    let start = Instant::now();
    for folder in &folders {
        let report = match devopser_detect::detect_folder(Path::new(folder)) {
            Ok(report) => report,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::from(2);
            }
        };
        match mode.as_deref() {
            Some("--explain") => println!("{}", devopser_detect::explain(&report)),
            Some("--report") => println!(
                "{}",
                serde_json::to_string_pretty(&report).unwrap_or_default()
            ),
            Some("--generate") => match devopser_detect::generate(
                &report,
                &devopser_detect::GenerateOptions::default(),
            ) {
                Ok(files) => println!(
                    "{}\n--- .dockerignore\n{}\n--- compose.yaml\n{}",
                    files.dockerfile, files.dockerignore, files.compose
                ),
                Err(error) => eprintln!("{error}"),
            },
            Some("--bench" | "--bench-warm") => {}
            _ => println!(
                "{}",
                serde_json::to_string(&devopser_detect::summary(&report)).unwrap_or_default()
            ),
        }
    }
    if matches!(mode.as_deref(), Some("--bench" | "--bench-warm")) {
        println!(
            "{{\"n\":{},\"ms\":{}}}",
            folders.len(),
            start.elapsed().as_secs_f64() * 1000.0
        );
    }
    ExitCode::SUCCESS
}
