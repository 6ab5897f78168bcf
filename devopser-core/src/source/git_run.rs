//! Running the `git` program: by argument array, in an environment of our own, within a deadline, and ended whole.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::git::GitRequest;
use super::git_failure::failure;
use super::temporary::write_failed;
use crate::context::{CancellationToken, Progress};
use crate::model::source::GitUrl;
use crate::secret::Redactor;
use crate::{Error, ErrorKind, Result, Secret};

/// Settings of every command. They come before all others, and configuration files are not read at all.
const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "init.defaultBranch=main",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.autocrlf=false",
    "core.symlinks=true",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "credential.helper=",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "submodule.recurse=false",
    "protocol.ext.allow=never",
    "protocol.fd.allow=never",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
];

/// Most bytes that a command may print as its result.
const MOST_OUTPUT: usize = 256 << 20;
const LINES_KEPT: usize = 40;
/// What is taken of a line. Far more than is kept once its secrets are hidden, so that half of one is never shown.
const LONGEST_LINE: usize = 64 << 10;

/// The git program, for one repository and one folder.
pub(super) struct Git<'a> {
    request: &'a GitRequest,
    tree: PathBuf,
    environment: Vec<(OsString, OsString)>,
    redactor: Redactor,
    progress: &'a dyn Progress,
    cancel: &'a CancellationToken,
    deadline: Instant,
}

impl<'a> Git<'a> {
    /// Prepares the work in `folder`, which exists. Refuses URLs and credentials that must not reach git.
    pub(super) fn new(
        request: &'a GitRequest,
        folder: &Path,
        progress: &'a dyn Progress,
        cancel: &'a CancellationToken,
    ) -> Result<Self> {
        let folder = folder
            .canonicalize()
            .map_err(|error| write_failed(folder, error))?;
        let tree = folder.join("tree");
        std::fs::create_dir(&tree).map_err(|error| write_failed(&tree, error))?;
        let mut redactor = Redactor::default();
        let mut environment = base_environment(request, &folder)?;
        if let Some(credential) = &request.credential {
            check_credential(&request.url)?;
            let header = authorization(credential);
            redactor.add(credential);
            redactor.add(&header);
            if let Some((_, password)) = credential.expose().split_once(':') {
                redactor.add(&Secret::new(password));
            }
            // Arguments are seen by every user of the machine; the environment only by this one.
            for (name, value) in [
                ("GIT_CONFIG_COUNT", "1"),
                ("GIT_CONFIG_KEY_0", "http.extraHeader"),
                ("GIT_CONFIG_VALUE_0", header.expose()),
            ] {
                environment.push((name.into(), value.into()));
            }
        }
        Ok(Self {
            request,
            tree,
            environment,
            redactor,
            progress,
            cancel,
            deadline: Instant::now() + request.program.timeout,
        })
    }

    /// The folder of the clone.
    pub(super) fn tree(&self) -> &Path {
        &self.tree
    }

    /// Runs a command and gives what it printed as its result.
    pub(super) async fn run(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        if self.cancel.is_cancelled() {
            return Err(Error::cancelled());
        }
        let name = arguments.first().copied().unwrap_or_default();
        let child = self
            .command(arguments)
            .spawn()
            .map_err(|error| self.not_started(error))?;
        let mut group = Group { child };
        let (stdout, stderr) = (group.child.stdout.take(), group.child.stderr.take());
        let ended = {
            let all = async {
                let (output, lines) = tokio::join!(read_output(stdout), self.read_lines(stderr));
                let status = group.child.wait().await.map_err(|error| {
                    Error::unexpected("git cannot be waited for").with_source(error)
                })?;
                Ok((status, output?, lines))
            };
            tokio::select! {
                ended = all => ended,
                () = self.cancel.cancelled() => Err(Error::cancelled()),
                () = tokio::time::sleep_until(self.deadline) => Err(self.too_late(name)),
                error = self.watch_size() => Err(error),
            }
        };
        let (status, output, lines) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                group.end().await;
                return Err(error);
            }
        };
        if status.success() {
            return Ok(output);
        }
        Err(failure(name, lines)
            .with_context("url", self.request.url.without_credentials())
            .with_operation(format!("git {name}")))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.request.program.program);
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        // With a credential, a redirect would carry it to another host.
        let redirects = if self.request.credential.is_some() {
            "false"
        } else {
            "initial"
        };
        command.args(["-c", &format!("http.followRedirects={redirects}")]);
        command.args(arguments).current_dir(&self.tree);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        command
    }

    fn not_started(&self, error: std::io::Error) -> Error {
        let program = self.request.program.program.display();
        Error::new(ErrorKind::ConfigInvalid, format!("the program {program} cannot be started: {error}"))
            .with_remedy("Install git (on Debian and Ubuntu: apt install git) in a folder of the search path, or name the program.")
            .with_context("search_path", self.request.program.search_path.to_string_lossy())
            .with_source(error)
    }

    fn too_late(&self, name: &str) -> Error {
        let seconds = self.request.program.timeout.as_secs();
        Error::new(
            ErrorKind::Timeout,
            format!("git {name} did not end within {seconds} s"),
        )
    }

    /// Hands on every line, and keeps the last ones. What a line was overwritten with by `\r` counts.
    async fn read_lines(&self, from: Option<impl AsyncRead + Unpin>) -> Vec<String> {
        let Some(mut from) = from else {
            return Vec::new();
        };
        let mut kept = std::collections::VecDeque::new();
        let (mut buffer, mut line) = (vec![0; 4096], Vec::new());
        loop {
            let read = from.read(&mut buffer).await.unwrap_or(0);
            for &byte in &buffer[..read] {
                match byte {
                    b'\r' => line.clear(),
                    b'\n' => self.keep(&mut line, &mut kept),
                    byte if line.len() < LONGEST_LINE => line.push(byte),
                    _ => {}
                }
            }
            if read == 0 {
                self.keep(&mut line, &mut kept);
                return kept.into();
            }
        }
    }

    fn keep(&self, line: &mut Vec<u8>, kept: &mut std::collections::VecDeque<String>) {
        let text = self.redactor.redact(&String::from_utf8_lossy(line));
        line.clear();
        if text.trim().is_empty() {
            return;
        }
        self.progress.log(&text);
        if kept.len() == LINES_KEPT {
            kept.pop_front();
        }
        kept.push_back(text);
    }

    /// Ends with an error once git has stored more than is accepted; never ends otherwise.
    async fn watch_size(&self) -> Error {
        let most = self.request.limits.bytes.saturating_mul(2);
        let packs = self.tree.join(".git/objects/pack");
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let mut stored = 0;
            if let Ok(mut listed) = tokio::fs::read_dir(&packs).await {
                while let Ok(Some(entry)) = listed.next_entry().await {
                    stored += entry.metadata().await.map_or(0, |metadata| metadata.len());
                }
            }
            if stored > most {
                return Error::invalid("source", format!("the repository needs more than {most} bytes to fetch"))
                    .with_context("limit", most)
                    .with_remedy("Name a branch or a full commit id, so that no history is needed, or raise the limit.");
            }
        }
    }
}

fn base_environment(request: &GitRequest, folder: &Path) -> Result<Vec<(OsString, OsString)>> {
    let protocols = match request.url.as_str().split_once("://") {
        Some(("https", _)) => "https",
        Some(("http", _)) => "http:https",
        Some(("file", _)) => "file",
        _ if request.program.ssh_keys_of_user => "ssh",
        _ => {
            return Err(Error::invalid("git_url", "URLs of SSH are not accepted here, because they would use the keys of this machine")
                .with_remedy("Use the https:// URL, with an access token if the repository is private."));
        }
    };
    // No repository above the folder is looked for.
    let ceiling = folder.as_os_str().to_owned();
    let mut environment: Vec<(OsString, OsString)> = request.program.variables.clone();
    environment.extend([
        ("PATH".into(), request.program.search_path.clone()),
        ("HOME".into(), folder.as_os_str().to_owned()),
        ("GIT_CEILING_DIRECTORIES".into(), ceiling),
        ("GIT_ALLOW_PROTOCOL".into(), protocols.into()),
    ]);
    for (name, value) in [
        ("LC_ALL", "C"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ASKPASS", ""),
        ("SSH_ASKPASS", "/bin/false"),
        ("SSH_ASKPASS_REQUIRE", "force"),
        ("GIT_LFS_SKIP_SMUDGE", "1"),
    ] {
        environment.push((name.into(), value.into()));
    }
    Ok(environment)
}

/// A credential goes over an encrypted connection, or does not leave the machine.
fn check_credential(url: &GitUrl) -> Result<()> {
    let refuse =
        |rule: &str, remedy: &str| Err(Error::invalid("git_url", rule).with_remedy(remedy));
    match url.as_str().split_once("://") {
        Some(("https", _)) => Ok(()),
        Some(("http", rest)) => {
            let host = rest.split(['/', ':']).next().unwrap_or_default();
            if matches!(host, "localhost" | "127.0.0.1") {
                return Ok(());
            }
            refuse(
                "a credential is not sent over a connection that is not encrypted",
                "Use the https:// URL.",
            )
        }
        _ => refuse(
            "a credential is for https:// URLs only",
            "Use the https:// URL, or leave the credential away.",
        ),
    }
}

fn authorization(credential: &Secret) -> Secret {
    let text = credential.expose();
    let pair = if text.contains(':') {
        Secret::new(text)
    } else {
        Secret::new(format!("x-access-token:{text}"))
    };
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair.expose());
    Secret::new(format!("Authorization: Basic {encoded}"))
}

async fn read_output(from: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>> {
    let mut output = Vec::new();
    let Some(from) = from else {
        return Ok(output);
    };
    from.take(MOST_OUTPUT as u64 + 1)
        .read_to_end(&mut output)
        .await
        .map_err(|error| Error::unexpected("what git printed cannot be read").with_source(error))?;
    if output.len() > MOST_OUTPUT {
        return Err(
            Error::invalid("source", "the repository has too many files")
                .with_context("limit", MOST_OUTPUT),
        );
    }
    Ok(output)
}

/// A process and everything that it started.
struct Group {
    child: Child,
}

impl Group {
    /// Ends the group and waits for its first process.
    async fn end(mut self) {
        self.kill();
        let _ = self.child.wait().await;
    }

    /// Ends the group, whose id is that of its first process. Once that was waited for there is no id, and nothing left to end:
    /// its output was read to the end before.
    fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            use nix::sys::signal::{Signal, killpg};
            // A group that is gone already is what was wanted.
            let _ = killpg(nix::unistd::Pid::from_raw(id), Signal::SIGKILL);
        }
        // Where there are no groups, the process alone; failing means that it ended.
        let _ = self.child.start_kill();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
