//! Starts programs: by argument array, in a process group of their own, with an environment that we made.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use devopser_core::{Error, ErrorKind, Result};
use tokio::process::{Child, Command};

use super::LocalConfig;
use super::error::error;
use super::proc::MARK;

/// Where the tools of an app lie inside its folder.
const OWN_TOOLS: [&str; 3] = ["node_modules/.bin", ".venv/bin", "vendor/bin"];

/// What is started.
#[derive(Debug)]
pub(super) struct Start<'a> {
    /// The program and its arguments.
    pub(super) command: &'a [String],
    /// Where it runs.
    pub(super) folder: &'a Path,
    /// Its environment, beyond the usual few variables.
    pub(super) env: BTreeMap<String, String>,
    /// The name of what it belongs to.
    pub(super) mark: &'a str,
    /// What it means when it cannot be started.
    pub(super) failure: ErrorKind,
}

impl Start<'_> {
    /// Starts it, with its output where `output` says. Nothing of ours is open in it: every file of the standard library is
    /// closed when a program is started.
    pub(super) fn spawn(
        mut self,
        config: &LocalConfig,
        output: impl FnOnce() -> io::Result<(Stdio, Stdio)>,
    ) -> Result<Child> {
        let path = search_path(self.folder, config);
        let own_path = self.env.remove("PATH");
        let path = own_path.map_or(path.clone(), |own| format!("{own}:{path}"));
        let [name, arguments @ ..] = self.command else {
            return Err(Error::invalid("command", "must name a program"));
        };
        // Without it package managers fail with errors of their own, which say enough.
        let _ = fs::create_dir_all(&config.home);
        let program = find(name, self.folder, &path).ok_or_else(|| self.not_installed(name))?;
        let (stdout, stderr) = output().map_err(|source| self.not_started(name, source))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder)
            .env_clear()
            .env("HOME", &config.home)
            .env("LANG", &config.lang)
            .env("PATH", path)
            .envs(&self.env)
            .env(MARK, self.mark)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .kill_on_drop(false);
        if let Some(folder) = &config.temporary {
            command.env("TMPDIR", folder);
        }
        command
            .spawn()
            .map_err(|source| self.not_started(name, source))
    }

    fn not_installed(&self, name: &str) -> Error {
        error(
            self.failure,
            format!("the program \"{name}\" is not installed"),
        )
        .with_context("command", self.command.join(" "))
        .with_remedy(format!(
            "Install \"{name}\" on this machine, or deploy to Docker, which brings it along."
        ))
    }

    fn not_started(&self, name: &str, source: io::Error) -> Error {
        let text = match source.kind() {
            io::ErrorKind::NotFound => format!(
                "the program \"{name}\" cannot be started: the interpreter that its first line names is not installed"
            ),
            _ => format!("the program \"{name}\" cannot be started: {source}"),
        };
        error(self.failure, text)
            .with_context("command", self.command.join(" "))
            .with_source(source)
    }
}

/// The tools of the app itself, then those of the machine.
fn search_path(folder: &Path, config: &LocalConfig) -> String {
    let own = OWN_TOOLS
        .iter()
        .map(|tools| folder.join(tools))
        .filter(|tools| tools.is_dir())
        .map(|tools| tools.display().to_string());
    own.chain([config.search_path.clone()])
        .collect::<Vec<_>>()
        .join(":")
}

/// The program as it is found: a path from `folder` on, or a name on the search path.
fn find(name: &str, folder: &Path, path: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        fs::metadata(path)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(folder.join(name)).filter(is_program);
    }
    path.split(':')
        .filter(|tools| tools.starts_with('/'))
        .map(|tools| Path::new(tools).join(name))
        .find(is_program)
}

/// `text` with `$PORT` and `${PORT}` replaced.
pub(super) fn with_port(text: &str, port: u16) -> String {
    let port = port.to_string();
    let text = text.replace("${PORT}", &port);
    let mut parts = text.split("$PORT");
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let longer_name = part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        replaced.push_str(if longer_name { "$PORT" } else { &port });
        replaced.push_str(part);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_put_in_and_longer_names_are_left() {
        for (text, expected) in [
            ("$PORT", "8080"),
            ("0.0.0.0:$PORT", "0.0.0.0:8080"),
            ("--port=${PORT}", "--port=8080"),
            ("$PORTAL $PORT_2 $PORT", "$PORTAL $PORT_2 8080"),
            ("$PORT$PORT-x", "80808080-x"),
            ("port", "port"),
        ] {
            assert_eq!(with_port(text, 8080), expected);
        }
    }

    #[test]
    fn a_program_is_found_where_it_is_executable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tools");
        fs::create_dir(&path).unwrap();
        for (name, mode) in [("run", 0o755), ("text", 0o644)] {
            fs::write(path.join(name), "").unwrap();
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let search = format!("relative:{}", path.display());
        assert_eq!(find("run", folder.path(), &search), Some(path.join("run")));
        assert_eq!(
            find("tools/run", folder.path(), ""),
            Some(folder.path().join("tools/run"))
        );
        assert_eq!(
            find("./tools/run", folder.path(), "").map(|p| p.is_file()),
            Some(true)
        );
        for name in ["text", "none", "tools", "tools/text", ""] {
            assert_eq!(find(name, folder.path(), &search), None, "{name}");
        }
    }
}
