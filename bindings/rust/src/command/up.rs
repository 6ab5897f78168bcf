//! `devopser up`, `plan`, and the commands that change an app.

use std::io::Write as _;
use std::time::{Duration, Instant};

use devopser::id::{DeploymentId, Target};
use devopser::model::record::PageRequest;
use devopser::{
    DeploySpec, Deployment, DeploymentState, Embedded, Engine, Error, ErrorKind, Result,
};
use serde_json::json;

use super::args::{AppArgument, Arguments, SpecArguments, UpArguments};
use super::follow::{Interrupt, follow};
use super::output::Output;
use super::session::Session;
use super::{BAD_INPUT, DONE, FAILED, code_of, source};

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
        // Those of the report stand with it.
        let known = &plan.report.warnings;
        for warning in plan.warnings.iter().filter(|said| !known.contains(said)) {
            text.push_str(&format!("warning: {warning}\n"));
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
    embedded: Embedded,
    arguments: &Arguments,
    given: &UpArguments,
    output: &Output,
) -> Result<u8> {
    let mut interrupt = Interrupt::new()?;
    let spec = source::spec(embedded.engine(), arguments, &given.spec, output).await?;
    let mut session = Session::begin(embedded, arguments, given.detach).await?;
    let result = deploy(&mut session, spec, given.verbose, &mut interrupt, output).await;
    session.end().await;
    result
}

async fn deploy(
    session: &mut Session<'_>,
    spec: DeploySpec,
    verbose: bool,
    interrupt: &mut Interrupt,
    output: &Output,
) -> Result<u8> {
    let target = spec.target.clone();
    let began = Instant::now();
    let id = session.engine().deploy(spec).await?;
    output.progress(&format!(
        "{} {target} ({id})",
        output.colour("1", "devopser up")
    ));
    let record = follow(session, &target.tenant, &id, interrupt, verbose, output).await?;
    report(&record, began.elapsed(), output);
    let code = code_of_record(&record);
    if let Some(worker) = session.worker().filter(|_| code == DONE) {
        output.progress("It runs until Ctrl-C. `devopser up -d` leaves it running instead.");
        tokio::select! {
            () = interrupt.wait() => stop_app(session.engine(), &target, output).await?,
            () = worker.ended() => output.progress("Another worker took over; the app goes on there."),
        }
    }
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
    embedded: Embedded,
    arguments: &Arguments,
    app: &AppArgument,
    act: Act,
    output: &Output,
) -> Result<u8> {
    let mut interrupt = Interrupt::new()?;
    let target = target(arguments, app);
    // An unknown app is told before anything is started.
    embedded.engine().app(&target).await?;
    let detach = !matches!(act, Act::Stop | Act::Rm);
    let mut session = Session::begin(embedded, arguments, detach).await?;
    let began = Instant::now();
    let result = carry_out(&mut session, &target, act, &mut interrupt, output).await;
    session.end().await;
    let record = result?;
    report(&record, began.elapsed(), output);
    Ok(code_of_record(&record))
}

async fn carry_out(
    session: &mut Session<'_>,
    target: &Target,
    act: Act,
    interrupt: &mut Interrupt,
    output: &Output,
) -> Result<Deployment> {
    let engine = session.engine().clone();
    let id = match act {
        Act::Stop => engine.stop(target).await?,
        Act::Start => engine.start(target).await?,
        Act::Restart => engine.restart(target).await?,
        Act::Rm => engine.destroy(target).await?,
        Act::Rollback(number) => {
            engine
                .rollback(target, release_of(&engine, target, number).await?)
                .await?
        }
    };
    follow(session, &target.tenant, &id, interrupt, false, output).await
}

async fn release_of(
    engine: &Engine,
    target: &Target,
    number: Option<u64>,
) -> Result<Option<devopser::id::ReleaseId>> {
    let Some(number) = number else {
        return Ok(None);
    };
    let all = engine
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

/// Stops an app of `up` in the foreground.
async fn stop_app(engine: &Engine, target: &Target, output: &Output) -> Result<()> {
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
