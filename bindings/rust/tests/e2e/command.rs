//! The `devopser` command in a state folder of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

/// The longest time that one call may take: a cold build of the slowest application, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// The command with its state; what it left running ends with it.
#[derive(Debug)]
pub(crate) struct Devopser {
    state: PathBuf,
    tenant: String,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code.
    pub(crate) code: Option<i32>,
    /// The JSON on the last line of standard output; null when there was none.
    pub(crate) json: Value,
    /// All that was printed.
    pub(crate) text: String,
}

impl Devopser {
    /// A new state in `folder`.
    pub(crate) fn new(folder: &Path, tenant: &str) -> Self {
        Self {
            state: folder.to_owned(),
            tenant: tenant.to_owned(),
        }
    }

    /// The tenant that it works for.
    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The folder of the state.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// The database of the state.
    pub(crate) fn database(&self) -> PathBuf {
        self.state.join("devopser.db")
    }

    /// Runs the command and waits for its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[]).await
    }

    /// Runs the command with variables in its environment.
    pub(crate) async fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let call = tokio::process::Command::new(env!("CARGO_BIN_EXE_devopser"))
            .args(arguments)
            .args(["--json", "--tenant", &self.tenant, "--state"])
            .arg(&self.state)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(DEADLINE, call).await;
        let output =
            output.unwrap_or_else(|_| panic!("devopser {arguments:?} did not end in {DEADLINE:?}"));
        let output = output.expect("the command can be started");
        let printed = String::from_utf8_lossy(&output.stdout);
        let json = printed
            .lines()
            .last()
            .and_then(|line| serde_json::from_str(line).ok())
            .unwrap_or_default();
        let text = format!("{printed}{}", String::from_utf8_lossy(&output.stderr));
        Ended {
            code: output.status.code(),
            json,
            text,
        }
    }

    /// Runs the command, which must end well.
    pub(crate) async fn succeed(&self, arguments: &[&str]) -> Value {
        let ended = self.run(arguments).await;
        assert_eq!(
            ended.code,
            Some(0),
            "devopser {arguments:?} printed:\n{}\n{}",
            ended.text,
            self.worker_log()
        );
        ended.json
    }

    /// What the worker that was left behind has written.
    pub(crate) fn worker_log(&self) -> String {
        std::fs::read_to_string(self.state.join("serve.log")).unwrap_or_default()
    }

    /// The process ids of the workers on this state.
    pub(crate) fn workers(&self) -> Vec<i32> {
        let state = self.state.to_string_lossy();
        let processes = std::fs::read_dir("/proc").expect("/proc can be read");
        let ids = processes.flatten().filter_map(|entry| {
            entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
        });
        ids.filter(|id: &i32| {
            let arguments =
                std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let mut arguments = arguments.split('\0');
            arguments.any(|argument| argument == "serve")
                && arguments.any(|argument| argument == state)
        })
        .collect()
    }
}

impl Drop for Devopser {
    fn drop(&mut self) {
        // Only after a failed test is there a worker left; it would serve a state that no longer exists.
        for id in self.workers() {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(id),
                nix::sys::signal::Signal::SIGTERM,
            );
        }
    }
}
