//! Prints what `detect --json` prints for each folder named. `--bench` prints how long all of them took together,
//! `--bench-warm PASSES` the mean over the folders of each one's fastest pass, after one that does not count.

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
        return bench_warm(&folders);
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
            Some("--bench") => {}
            _ => println!(
                "{}",
                serde_json::to_string(&devopser_detect::summary(&report)).unwrap_or_default()
            ),
        }
    }
    if mode.as_deref() == Some("--bench") {
        println!(
            "{{\"n\":{},\"ms\":{}}}",
            folders.len(),
            start.elapsed().as_secs_f64() * 1000.0
        );
    }
    ExitCode::SUCCESS
}

/// A folder's fastest pass is the one that other programs have disturbed least.
fn bench_warm(arguments: &[String]) -> ExitCode {
    let Some((passes, folders)) = arguments.split_first() else {
        eprintln!("--bench-warm needs the number of passes, then folders");
        return ExitCode::from(2);
    };
    let Ok(passes) = passes.parse::<usize>() else {
        eprintln!("--bench-warm: '{passes}' is no number of passes");
        return ExitCode::from(2);
    };
    let mut fastest = vec![f64::INFINITY; folders.len()];
    for pass in 0..=passes {
        for (folder, fastest) in folders.iter().zip(&mut fastest) {
            let start = Instant::now();
            if let Err(error) = devopser_detect::detect_folder(Path::new(folder)) {
                eprintln!("{error}");
                return ExitCode::from(2);
            }
            if pass > 0 {
                *fastest = fastest.min(start.elapsed().as_secs_f64() * 1000.0);
            }
        }
    }
    let mean_ms = fastest.iter().sum::<f64>() / fastest.len() as f64;
    println!("{{\"n\":{},\"mean_ms\":{mean_ms}}}", folders.len());
    ExitCode::SUCCESS
}
