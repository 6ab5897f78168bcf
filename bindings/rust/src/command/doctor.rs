//! `devopser doctor`: what is missing, and how to get it.

use std::path::Path;

use devopser::{Embedded, Result};
use serde::Serialize;

use super::args::Arguments;
use super::output::Output;
use super::{DONE, FAILED, open, options};

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// What it is.
    name: String,
    /// Whether it is as it should be.
    ok: bool,
    /// Whether nothing works without it.
    required: bool,
    /// What was found.
    found: String,
    /// How to get it.
    remedy: Option<String>,
}

/// Looks at everything that a deployment needs. Exit code 1 when something required is missing.
pub(crate) async fn doctor(arguments: &Arguments, output: &Output) -> Result<u8> {
    let mut findings = vec![
        state(arguments).await,
        git(&options(arguments)?.search_path),
    ];
    #[cfg(feature = "docker")]
    for check in devopser::providers::docker::check(&devopser::providers::docker::DockerConfig {
        socket: options(arguments)?.docker_socket,
        ..Default::default()
    })
    .await
    {
        findings.push(Finding {
            name: check.name,
            ok: check.ok,
            required: false,
            found: check.detail,
            remedy: check.remedy,
        });
    }
    let healthy = findings
        .iter()
        .all(|finding| finding.ok || !finding.required);
    output.result(&findings, || {
        let lines: Vec<String> = findings
            .iter()
            .map(|finding| line(finding, output))
            .collect();
        lines.join("\n")
    });
    Ok(if healthy { DONE } else { FAILED })
}

fn line(finding: &Finding, output: &Output) -> String {
    let mark = if finding.ok {
        output.colour("32", "✓")
    } else {
        output.colour("31", "✗")
    };
    let remedy = finding
        .remedy
        .as_ref()
        .filter(|_| !finding.ok)
        .map(|remedy| format!("\n    {remedy}"));
    format!(
        "{mark} {:<16} {}{}",
        finding.name,
        finding.found,
        remedy.unwrap_or_default()
    )
}

async fn state(arguments: &Arguments) -> Finding {
    let opened = async {
        let embedded: Embedded = open(arguments).await?;
        let worker = if embedded.has_worker()? {
            "a worker runs"
        } else {
            "no worker runs"
        };
        Ok::<_, devopser::Error>(format!(
            "{} ({worker})",
            super::state_folder(arguments)?.display()
        ))
    };
    let (ok, found, remedy) = match opened.await {
        Ok(found) => (true, found, None),
        Err(error) => (
            false,
            error.to_string(),
            Some("Name a folder that can be written with --state.".to_owned()),
        ),
    };
    Finding {
        name: "state folder".into(),
        ok,
        required: true,
        found,
        remedy,
    }
}

fn git(search_path: &str) -> Finding {
    let found = search_path
        .split(':')
        .map(|folder| Path::new(folder).join("git"))
        .find(|program| program.is_file());
    Finding {
        name: "git".into(),
        ok: found.is_some(),
        required: false,
        found: found.map_or_else(
            || "not found; only git sources need it".into(),
            |path| path.display().to_string(),
        ),
        remedy: Some("Install the package git (`apt-get install git`, `brew install git`).".into()),
    }
}
