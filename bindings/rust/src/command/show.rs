//! `devopser ps`, `status`, `logs` and `events`: reading, without a worker.

use devopser::id::DeploymentId;
use devopser::model::record::{Desired, PageRequest};
use devopser::model::service::ReleasePhase;
use devopser::provider::LogOptions;
use devopser::{AppView, Embedded, Error, ErrorKind, EventKind, Result, StoredEvent};
use futures::StreamExt as _;
use serde_json::json;

use super::DONE;
use super::args::{AppArgument, Arguments, EventsArguments, LogsArguments};
use super::follow::seconds;
use super::output::Output;
use super::up::target;

/// Lists the apps.
pub(crate) async fn ps(embedded: &Embedded, arguments: &Arguments, output: &Output) -> Result<u8> {
    let apps = embedded.engine().apps(&arguments.tenant).await?;
    output.result(&apps.iter().map(row).collect::<Vec<_>>(), || {
        let mut text = format!(
            "{:<24} {:<10} {:<10} {:<24} {}",
            "APP", "PROVIDER", "STATE", "URL", "SOURCE"
        );
        for view in &apps {
            let origin = view
                .release
                .as_ref()
                .map_or("", |release| release.origin.as_str());
            let (name, provider) = (name_of(view), view.app.provider.to_string());
            text.push_str(&format!(
                "\n{name:<24} {provider:<10} {:<10} {:<24} {origin}",
                state(view),
                view.url
            ));
        }
        text
    });
    if !apps.is_empty() && !embedded.has_worker()? {
        output.progress("No worker runs, so no address answers. `devopser serve` starts one.");
    }
    Ok(DONE)
}

fn row(view: &AppView) -> serde_json::Value {
    json!({
        "name": view.app.target.app,
        "environment": view.app.target.environment,
        "provider": view.app.provider,
        "state": state(view),
        "url": view.url,
        "port": view.app.port,
        "release": view.release.as_ref().map(|release| release.number),
        "origin": view.release.as_ref().map(|release| &release.origin),
        "status": view.status,
        "under_way": view.under_way,
    })
}

fn name_of(view: &AppView) -> String {
    let target = &view.app.target;
    if target.environment.as_str() == "production" {
        target.app.to_string()
    } else {
        format!("{}/{}", target.app, target.environment)
    }
}

/// How an app is, in a word.
fn state(view: &AppView) -> &'static str {
    match (view.app.desired, &view.status) {
        (Desired::Stopped, _) => "stopped",
        (Desired::Removed, _) => "removing",
        (_, None) if view.under_way.is_some() => "deploying",
        (_, None) => "unknown",
        (_, Some(status)) => match status.phase {
            ReleasePhase::Starting => "starting",
            ReleasePhase::Running => "running",
            ReleasePhase::Unhealthy => "unhealthy",
            ReleasePhase::Stopped => "stopped",
            ReleasePhase::Exited => "crashed",
            ReleasePhase::Absent => "gone",
            _ => "unknown",
        },
    }
}

/// Shows one app with its releases and what it uses.
pub(crate) async fn status(
    embedded: &Embedded,
    arguments: &Arguments,
    app: &AppArgument,
    output: &Output,
) -> Result<u8> {
    let engine = embedded.engine();
    let target = target(arguments, app);
    let view = engine.app(&target).await?;
    let releases = engine
        .releases(
            &target,
            PageRequest {
                offset: 0,
                limit: 20,
            },
        )
        .await?;
    let stats = engine.stats(&target).await.ok();
    let companions = engine.companions(&target).await.unwrap_or_default();
    let beside: Vec<_> = companions
        .iter()
        .map(|other| json!({ "name": other.name, "phase": other.status.phase, "restarts": other.status.restarts, "exit_code": other.status.exit_code }))
        .collect();
    let all = json!({ "app": row(&view), "stats": stats, "services": beside, "releases": releases.iter().map(|release| json!({
        "id": release.id, "number": release.number, "state": release.state, "origin": release.origin,
        "digest": release.artifact.as_ref().map(|artifact| artifact.digest().clone()), "created_at": release.created_at,
    })).collect::<Vec<_>>() });
    output.result(&all, || {
        let mut text = format!("{}  {}  {}", name_of(&view), state(&view), view.url);
        if let Some(stats) = stats {
            text.push_str(&format!(
                "\n  {:.1} % of a processor, {} MiB, up {}",
                stats.cpu_percent,
                stats.memory_bytes >> 20,
                seconds(stats.uptime_seconds * 1000)
            ));
        }
        for other in &companions {
            let phase = format!("{:?}", other.status.phase).to_lowercase();
            text.push_str(&format!("\n  service {:<16} {phase}", other.name));
        }
        for release in &releases {
            let live = view.app.current_release.as_ref() == Some(&release.id);
            let mark = if live { "*" } else { " " };
            let state = format!("{:?}", release.state).to_lowercase();
            text.push_str(&format!(
                "\n{mark} {:>4}  {state:<8}  {}",
                release.number, release.origin
            ));
        }
        text
    });
    Ok(DONE)
}

/// Shows what an app wrote.
pub(crate) async fn logs(
    embedded: &Embedded,
    arguments: &Arguments,
    given: &LogsArguments,
    output: &Output,
) -> Result<u8> {
    let target = target(arguments, &given.app);
    let options = LogOptions {
        last: Some(given.lines),
        follow: given.follow,
    };
    let engine = embedded.engine();
    let mut lines = match &given.service {
        None => engine.logs(&target, options).await?,
        Some(name) => engine.companion_logs(&target, name, options).await?,
    };
    loop {
        tokio::select! {
            line = lines.next() => match line {
                Some(line) => { let line = line?; output.result(&line, || line.line.clone()); }
                None => return Ok(DONE),
            },
            _ = tokio::signal::ctrl_c() => return Ok(DONE),
        }
    }
}

/// Shows what happened in a deployment; with `--json` a line of JSON an event.
pub(crate) async fn events(
    embedded: &Embedded,
    arguments: &Arguments,
    given: &EventsArguments,
    output: &Output,
) -> Result<u8> {
    let engine = embedded.engine();
    let target = target(arguments, &given.app);
    let id = match &given.deployment {
        Some(id) => DeploymentId::new(id.as_str())?,
        None => newest(embedded, &target).await?,
    };
    engine.deployment(&target.tenant, &id).await?;
    let mut after = given.after;
    loop {
        let events = engine.events(&target.tenant, &id, after, 500).await?;
        if events.is_empty() {
            break;
        }
        for event in &events {
            output.result(event, || text_of(event, output));
            after = event.seq;
        }
    }
    if given.follow {
        let mut following = engine.follow(&target.tenant, &id, after);
        loop {
            let events = tokio::select! {
                events = following.next() => events?,
                _ = tokio::signal::ctrl_c() => break,
            };
            if events.is_empty() {
                break;
            }
            for event in &events {
                output.result(event, || text_of(event, output));
            }
        }
    }
    Ok(DONE)
}

async fn newest(embedded: &Embedded, target: &devopser::id::Target) -> Result<DeploymentId> {
    let newest = embedded
        .engine()
        .deployments(
            target,
            PageRequest {
                offset: 0,
                limit: 1,
            },
        )
        .await?;
    newest
        .into_iter()
        .next()
        .map(|deployment| deployment.id)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("\"{}\" was never deployed", target.app),
            )
        })
}

fn text_of(event: &StoredEvent, output: &Output) -> String {
    let text = match &event.kind {
        EventKind::State { state } => format!("state      {}", state.as_str()),
        EventKind::StepStarted { step } => format!("begin      {step}"),
        EventKind::StepFinished {
            step,
            elapsed_ms,
            detail,
        } => {
            format!(
                "end        {step} ({}) {}",
                seconds(*elapsed_ms),
                detail.as_deref().unwrap_or_default()
            )
        }
        EventKind::StepFailed { step, error } => format!("failed     {step}: {}", error.message),
        EventKind::Log { step, line } => format!("{step:<10} {line}"),
        EventKind::Note { text } => format!("note       {text}"),
        EventKind::Live { url } => format!("live       {url}"),
        EventKind::Failed { error } => format!("error      {}: {}", error.kind, error.message),
        _ => String::new(),
    };
    format!(
        "{} {text}",
        output.colour("2", &format!("{:>5}", event.seq))
    )
}
