//! What the command does, one file for each group of subcommands.

mod args;
mod detect;
mod doctor;
mod follow;
mod generate;
mod output;
mod serve;
mod session;
mod show;
mod source;
mod up;

use std::process::ExitCode;

use clap::Parser as _;
use devopser::{Embedded, EmbeddedOptions, Error, ErrorKind, Result};

use args::{Arguments, Command};
use output::Output;

/// Everything was done as asked; for `up`, the app is live.
const DONE: u8 = 0;
/// A deployment failed or was cancelled.
const FAILED: u8 = 1;
/// The command or its input is wrong.
const BAD_INPUT: u8 = 2;

/// Reads the arguments and does what they say.
pub(crate) fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { BAD_INPUT } else { DONE };
            // Nothing can be done about a closed terminal.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let output = Output::new(arguments.json);
    let result = match &arguments.command {
        // Detection needs neither a store nor a runtime.
        Command::Detect(detect) => detect::detect(&arguments, detect, &output),
        Command::Generate(given) => generate::generate(given, &output),
        _ => with_runtime(&arguments, &output),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output.error(&error);
            ExitCode::from(code_of(&error))
        }
    }
}

/// The exit code of an error: 2 where the command or its input is wrong, else 1.
fn code_of(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::InvalidInput
        | ErrorKind::ConfigInvalid
        | ErrorKind::NotFound
        | ErrorKind::Unsupported => BAD_INPUT,
        _ => FAILED,
    }
}

fn with_runtime(arguments: &Arguments, output: &Output) -> Result<u8> {
    runtime()?.block_on(dispatch(arguments, output))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| {
            Error::unexpected("the asynchronous runtime cannot be started").with_source(source)
        })
}

/// How git is run: as [`Embedded`] runs it.
fn git_program(arguments: &Arguments) -> Result<devopser::source::GitProgram> {
    Ok(options(arguments)?.git_program())
}

async fn dispatch(arguments: &Arguments, output: &Output) -> Result<u8> {
    match &arguments.command {
        Command::Detect(detect) => detect::detect(arguments, detect, output),
        Command::Generate(given) => generate::generate(given, output),
        Command::Doctor => doctor::doctor(arguments, output).await,
        Command::Plan(spec) => up::plan(&open(arguments).await?, arguments, spec, output).await,
        Command::Up(up) => up::up(open(arguments).await?, arguments, up, output).await,
        Command::Serve(options) => serve::serve(open(arguments).await?, options, output).await,
        Command::Ps => show::ps(&open(arguments).await?, arguments, output).await,
        Command::Status(app) => show::status(&open(arguments).await?, arguments, app, output).await,
        Command::Logs(logs) => show::logs(&open(arguments).await?, arguments, logs, output).await,
        Command::Events(events) => {
            show::events(&open(arguments).await?, arguments, events, output).await
        }
        Command::Stop(app) => {
            up::act(
                open(arguments).await?,
                arguments,
                app,
                up::Act::Stop,
                output,
            )
            .await
        }
        Command::Start(app) => {
            up::act(
                open(arguments).await?,
                arguments,
                app,
                up::Act::Start,
                output,
            )
            .await
        }
        Command::Restart(app) => {
            up::act(
                open(arguments).await?,
                arguments,
                app,
                up::Act::Restart,
                output,
            )
            .await
        }
        Command::Rollback(rollback) => {
            let act = up::Act::Rollback(rollback.to);
            up::act(
                open(arguments).await?,
                arguments,
                &rollback.app,
                act,
                output,
            )
            .await
        }
        Command::Rm(app) => {
            up::act(open(arguments).await?, arguments, app, up::Act::Rm, output).await
        }
    }
}

/// Opens the engine in the folder that the arguments or the environment name.
async fn open(arguments: &Arguments) -> Result<Embedded> {
    Embedded::open(options(arguments)?).await
}

/// The options of the engine; only here is the environment read.
fn options(arguments: &Arguments) -> Result<EmbeddedOptions> {
    let mut options = EmbeddedOptions::new(state_folder(arguments)?);
    if let Ok(path) = std::env::var("PATH") {
        options.search_path = path;
    }
    if let Some(home) = std::env::home_dir() {
        options.home = home;
    }
    // The command works for the person at it alone: git may use what that person's git uses.
    options.ssh_keys_of_user = true;
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "GIT_SSL_CAINFO",
        "SSL_CERT_FILE",
        "SSH_AUTH_SOCK",
        "HOME",
    ] {
        if let Some(value) = std::env::var_os(name) {
            options.git_variables.push((name.into(), value));
        }
    }
    if let Some(socket) = &arguments.docker_socket {
        options.docker_socket.clone_from(socket);
    }
    options.alias_port = arguments.alias_port;
    Ok(options)
}

fn state_folder(arguments: &Arguments) -> Result<std::path::PathBuf> {
    if let Some(folder) = &arguments.state {
        return std::path::absolute(folder).map_err(|source| {
            Error::invalid("state", format!("{} is no path", folder.display())).with_source(source)
        });
    }
    let base = std::env::var_os("XDG_STATE_HOME")
        .filter(|value| !value.is_empty())
        .map(std::path::PathBuf::from);
    let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    base.map(|base| base.join("devopser")).ok_or_else(|| {
        Error::new(
            ErrorKind::ConfigInvalid,
            "there is no home folder to keep the state in",
        )
        .with_remedy("Name a folder with --state.")
    })
}
