//! `devopser up`, `plan`, and the commands that change an app.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use devopser::id::{DeploymentId, Target};
use devopser::model::record::PageRequest;
use devopser::{Deployment, DeploymentState, Embedded, Error, ErrorKind, Result, Worker};
use serde_json::json;

use super::args::{AppArgument, Arguments, SpecArguments, UpArguments};
use super::follow::{Interrupt, follow};
use super::output::Output;
use super::{BAD_INPUT, DONE, FAILED, code_of, source};

/// How long a worker that was left behind may take to begin.
const WORKER_TIME: Duration = Duration::from_secs(20);

/// Says what `up` would do.
pub(crate) async fn plan(
    embedded: &Embedded,
    arguments: &Arguments,
    given: &SpecArguments,
    output: &Output,
) -> Result<u8> {
    let spec = source::spec(embedded.engine(), arguments, given, output).await?;
    let plan = embedded.engine().plan(&spec).await?;
    output.result(&plan, || {
        let mut text = devopser::detect::explain(&plan.report);
        text.push_str("\nIt would make:\n");
        for line in &plan.makes {
            text.push_str(&format!("  - {line}\n"));
        }
        if let devopser::model::plan::BuildPlan::Image {
            dockerfile,
            own_dockerfile: false,
            ..
        } = &plan.build
        {
            text.push_str(&format!("\nDockerfile:\n{dockerfile}"));
        }
        text
    });
    Ok(DONE)
}

/// Takes a source to a live URL.
pub(crate) async fn up(
    mut embedded: Embedded,
    arguments: &Arguments,
    given: &UpArguments,
    output: &Output,
) -> Result<u8> {
    let mut interrupt = Interrupt::new()?;
    let spec = source::spec(embedded.engine(), arguments, &given.spec, output).await?;
    let target = spec.target.clone();
    let began = Instant::now();
    let worker = begin_work(&mut embedded, arguments, given.detach).await?;
    let id = match embedded.engine().deploy(spec).await {
        Ok(id) => id,
        Err(error) => {
            end_work(&mut embedded, worker).await;
            return Err(error);
        }
    };
    output.progress(&format!(
        "{} {target} ({id})",
        output.colour("1", "devopser up")
    ));
    let result = follow(
        embedded.engine(),
        &target.tenant,
        &id,
        &mut interrupt,
        given.verbose,
        output,
    )
    .await;
    let record = match result {
        Ok(record) => record,
        Err(error) => {
            end_work(&mut embedded, worker).await;
            return Err(error);
        }
    };
    report(&record, began.elapsed(), output);
    let code = code_of_record(&record);
    let Some(worker) = worker else {
        return Ok(code);
    };
    if code == DONE {
        output.progress("It runs until Ctrl-C. `devopser up -d` leaves it running instead.");
        tokio::select! {
            () = interrupt.wait() => stop_app(&embedded, &target, output).await?,
            () = worker.ended() => output.progress("Another worker took over; the app goes on there."),
        }
    }
    end_work(&mut embedded, Some(worker)).await;
    Ok(code)
}

/// What is done to an app that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// `stop`.
    Stop,
    /// `start`.
    Start,
    /// `restart`.
    Restart,
    /// `rollback`, to the release of that number.
    Rollback(Option<u64>),
    /// `rm`.
    Rm,
}

/// Stops, starts, rolls back or removes an app. Where no worker is there, this process is one until it is done.
pub(crate) async fn act(
    mut embedded: Embedded,
    arguments: &Arguments,
    app: &AppArgument,
    act: Act,
    output: &Output,
) -> Result<u8> {
    let mut interrupt = Interrupt::new()?;
    let target = target(arguments, app);
    // An unknown app is told before anything is started.
    let before = embedded.engine().app(&target).await?;
    let detach = !matches!(act, Act::Stop | Act::Rm) && !before.url.is_empty();
    let worker = begin_work(&mut embedded, arguments, detach).await?;
    let began = Instant::now();
    let result = carry_out(&embedded, &target, act, &mut interrupt, output).await;
    end_work(&mut embedded, worker).await;
    let record = result?;
    report(&record, began.elapsed(), output);
    Ok(code_of_record(&record))
}

async fn carry_out(
    embedded: &Embedded,
    target: &Target,
    act: Act,
    interrupt: &mut Interrupt,
    output: &Output,
) -> Result<Deployment> {
    let engine = embedded.engine();
    let id = match act {
        Act::Stop => engine.stop(target).await?,
        Act::Start => engine.start(target).await?,
        Act::Restart => engine.restart(target).await?,
        Act::Rm => engine.destroy(target).await?,
        Act::Rollback(number) => {
            engine
                .rollback(target, release_of(embedded, target, number).await?)
                .await?
        }
    };
    follow(engine, &target.tenant, &id, interrupt, false, output).await
}

async fn release_of(
    embedded: &Embedded,
    target: &Target,
    number: Option<u64>,
) -> Result<Option<devopser::id::ReleaseId>> {
    let Some(number) = number else {
        return Ok(None);
    };
    let all = embedded
        .engine()
        .releases(
            target,
            PageRequest {
                offset: 0,
                limit: 1000,
            },
        )
        .await?;
    let found = all
        .into_iter()
        .find(|release| release.number == number)
        .map(|release| release.id);
    found.map(Some).ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("\"{}\" has no release {number}", target.app),
        )
        .with_remedy("`devopser status` lists the releases.")
    })
}

/// The target that the arguments name.
pub(crate) fn target(arguments: &Arguments, app: &AppArgument) -> Target {
    Target {
        tenant: arguments.tenant.clone(),
        app: app.name.clone(),
        environment: arguments.environment.clone(),
    }
}

/// Makes sure that somebody works: another process, one that is left behind, or this one.
async fn begin_work(
    embedded: &mut Embedded,
    arguments: &Arguments,
    detach: bool,
) -> Result<Option<Worker>> {
    if !detach {
        return embedded.try_work().await;
    }
    if !embedded.has_worker()? {
        leave_worker(arguments)?;
        let deadline = Instant::now() + WORKER_TIME;
        while !embedded.has_worker()? || embedded.engine().worker().await?.is_none() {
            if Instant::now() > deadline {
                return Err(
                    Error::new(ErrorKind::Unavailable, "the worker did not begin")
                        .with_remedy("Its output is in serve.log in the state folder."),
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(None)
}

async fn end_work(embedded: &mut Embedded, worker: Option<Worker>) {
    if let Some(worker) = worker {
        worker.stop().await;
        embedded.release();
    }
}

/// Starts `devopser serve` as a process of its own that outlives this one.
fn leave_worker(arguments: &Arguments) -> Result<()> {
    let failed = |source: std::io::Error| {
        Error::new(ErrorKind::Unavailable, "a worker cannot be started").with_source(source)
    };
    let folder = super::state_folder(arguments)?;
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("serve.log"))
        .map_err(failed)?;
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = std::process::Command::new(program);
    command
        .arg("serve")
        .arg("--until-idle")
        .arg("--state")
        .arg(&folder)
        .current_dir(&folder);
    if let Some(socket) = &arguments.docker_socket {
        command.arg("--docker-socket").arg(socket);
    }
    if let Some(port) = arguments.alias_port {
        command.arg("--alias-port").arg(port.to_string());
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(failed)?)
        .stderr(log)
        .process_group(0);
    command.spawn().map(|_| ()).map_err(failed)
}

/// Stops an app of `up` in the foreground.
async fn stop_app(embedded: &Embedded, target: &Target, output: &Output) -> Result<()> {
    let engine = embedded.engine();
    let id: DeploymentId = engine.stop(target).await?;
    engine
        .wait(&target.tenant, &id, Duration::from_secs(60))
        .await?;
    output.progress(&format!(
        "{} is stopped. `devopser start {}` starts it again, `devopser rm {}` removes it.",
        target.app, target.app, target.app
    ));
    Ok(())
}

fn code_of_record(record: &Deployment) -> u8 {
    match (&record.state, &record.error) {
        (DeploymentState::Succeeded, _) => DONE,
        (_, Some(error)) if code_of(&Error::from(error.clone())) == BAD_INPUT => BAD_INPUT,
        _ => FAILED,
    }
}

/// Prints how a deployment ended.
fn report(record: &Deployment, elapsed: Duration, output: &Output) {
    if output.json() {
        output.result(
            &json!({
                "deployment": record.id,
                "app": record.target.app,
                "action": record.action.name(),
                "state": record.state,
                "url": record.url,
                "release": record.release,
                "error": record.error,
                "receipt": record.receipt,
                "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            }),
            String::new,
        );
        return;
    }
    match (&record.state, &record.error, &record.url) {
        (DeploymentState::Succeeded, _, Some(url)) if record.action.name() != "stop" => {
            output.progress(&format!(
                "{} in {:.1} s",
                output.colour("32", "live"),
                elapsed.as_secs_f64()
            ));
            output.line(url);
        }
        (DeploymentState::Succeeded, ..) => output.progress(&output.colour("32", "done")),
        (_, Some(error), _) => output.error(&Error::from(error.clone())),
        (state, ..) => output.progress(&output.colour("31", state.as_str())),
    }
    let _ = std::io::stdout().flush();
}
