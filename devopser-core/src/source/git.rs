//! The snapshot of a commit of a git repository, taken with the `git` program (`docs/decisions/0004-git-by-program.md`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::git_failure::revision_not_found;
use super::git_run::Git;
use super::snapshot::snapshot_folder;
use super::temporary::Temporary;
use super::tree::{Tally, is_left_out_below};
use super::{Snapshot, SnapshotLimits};
use crate::context::{CancellationToken, Progress};
use crate::id::GitRevision;
use crate::model::source::GitUrl;
use crate::{Error, Result, Secret};

/// What is taken from where.
#[derive(Clone, Debug)]
pub struct GitRequest {
    /// The repository.
    pub url: GitUrl,
    /// A branch, a tag or a commit; of a branch and a tag with the same name the branch. `None` is the default branch.
    pub revision: Option<GitRevision>,
    /// What opens a private repository over `https://`: an access token, or `user:password`. It reaches `git` in its environment, never
    /// as an argument or in the URL, and is taken out of everything that `git` prints.
    pub credential: Option<Secret>,
    /// A folder for the clone, which is removed at the end. It is made when it does not exist.
    pub work: PathBuf,
    /// How large the commit may be. While it is fetched, twice the bytes are accepted for what git stores.
    pub limits: SnapshotLimits,
    /// How `git` is run.
    pub program: GitProgram,
}

/// How the `git` program is run. It sees nothing of this process's environment but what is here.
#[derive(Clone, Debug)]
pub struct GitProgram {
    /// The program, by name or path. Default: `git`.
    pub program: PathBuf,
    /// Where programs are looked for, as in `PATH`. Default: the usual folders of the system.
    pub search_path: OsString,
    /// More variables for git, such as `HTTPS_PROXY`, `GIT_SSL_CAINFO` or `SSH_AUTH_SOCK`. Default: none.
    pub variables: Vec<(OsString, OsString)>,
    /// Whether `ssh://` and `git@` URLs are accepted. They use the keys of the user that runs this process, so leave it off where
    /// the URL comes from a tenant. Default: no.
    pub ssh_keys_of_user: bool,
    /// Longest time for all that git does in one call. Default: 10 minutes.
    pub timeout: Duration,
}

impl Default for GitProgram {
    fn default() -> Self {
        Self {
            program: "git".into(),
            search_path:
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin"
                    .into(),
            variables: Vec::new(),
            ssh_keys_of_user: false,
            timeout: Duration::from_mins(10),
        }
    }
}

/// A snapshot of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitSnapshot {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The full id of the commit.
    pub commit: String,
}

/// The full id of the commit that the request names now.
///
/// # Behavior
/// - A full commit id is answered as it is, without asking the repository.
/// - A branch or tag is looked up without fetching anything; a short commit id needs a fetch of the whole history.
///
/// # Errors
/// As [`snapshot_git`], without those of the snapshot.
pub async fn resolve_git(
    request: &GitRequest,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<String> {
    let folder = Temporary::folder_beside(&request.work.join("clone"))?;
    let git = Git::new(request, folder.path(), progress, cancel)?;
    let found = Checkout {
        git: &git,
        request,
        complete: false,
    }
    .find()
    .await;
    remove(folder).await;
    found
}

/// Writes the snapshot of the commit to the file `into`. The file appears complete or not at all.
///
/// # Behavior
/// - Only that commit is fetched, without history, where the server allows it.
/// - Nothing of the repository is run: no hooks, no filters, no configuration. Submodules are not fetched and files of Git LFS stay
///   pointers; both are noted.
/// - When it is cancelled, or dropped, everything that git started is ended.
///
/// # Errors
/// - [`ConfigInvalid`](crate::ErrorKind::ConfigInvalid) when git is not there.
/// - [`Unauthenticated`](crate::ErrorKind::Unauthenticated) or [`PermissionDenied`](crate::ErrorKind::PermissionDenied) when the repository does not open;
///   code hosts say the same of one that does not exist.
/// - [`NotFound`](crate::ErrorKind::NotFound) for the repository or for the revision; the field in the context says which.
/// - [`InvalidInput`](crate::ErrorKind::InvalidInput) for an empty repository, a short commit id that several commits have, a URL that is not
///   accepted, and as [`snapshot_folder`].
/// - [`Unavailable`](crate::ErrorKind::Unavailable) for the network, [`Timeout`](crate::ErrorKind::Timeout), [`Cancelled`](crate::ErrorKind::Cancelled),
///   [`DiskFull`](crate::ErrorKind::DiskFull).
pub async fn snapshot_git(
    request: &GitRequest,
    into: &Path,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<GitSnapshot> {
    let folder = Temporary::folder_beside(&request.work.join("clone"))?;
    let git = Git::new(request, folder.path(), progress, cancel)?;
    let result = Checkout {
        git: &git,
        request,
        complete: false,
    }
    .snapshot(into, progress)
    .await;
    remove(folder).await;
    result
}

/// Removes the clone off the runtime's threads; it may be large.
async fn remove(folder: Temporary) {
    // A panic in there is none of the caller's business.
    let _ = tokio::task::spawn_blocking(move || drop(folder)).await;
}

struct Checkout<'a> {
    git: &'a Git<'a>,
    request: &'a GitRequest,
    /// Whether all branches and tags were fetched.
    complete: bool,
}

impl Checkout<'_> {
    async fn snapshot(mut self, into: &Path, progress: &dyn Progress) -> Result<GitSnapshot> {
        let wanted = self.find().await?;
        if !self.complete {
            self.fetch(&wanted).await?;
        }
        let commit = self
            .commit(&wanted)
            .await?
            .ok_or_else(|| self.not_found())?;
        self.check_size(&commit, progress).await?;
        self.git
            .run(&["checkout", "--quiet", "--force", "--detach", &commit])
            .await?;
        let (tree, into, limits) = (
            self.git.tree().to_owned(),
            into.to_owned(),
            self.request.limits.clone(),
        );
        let (snapshot, has_lfs) = tokio::task::spawn_blocking(move || {
            let has_lfs = std::fs::read_to_string(tree.join(".gitattributes"))
                .is_ok_and(|text| text.contains("filter=lfs"));
            (snapshot_folder(&tree, &into, &limits), has_lfs)
        })
        .await
        .map_err(|error| Error::unexpected("the snapshot was not finished").with_source(error))?;
        if has_lfs {
            progress.note("Files that are kept in Git LFS were left as pointers.");
        }
        Ok(GitSnapshot {
            snapshot: snapshot?,
            commit,
        })
    }

    /// The id that the request names, as the server says it.
    async fn find(&mut self) -> Result<String> {
        let url = self.request.url.as_str();
        let revision = self
            .request
            .revision
            .as_ref()
            .map(GitRevision::as_str)
            .filter(|name| *name != "HEAD");
        let Some(name) = revision else {
            let listed = self.git.run(&["ls-remote", "--", url, "HEAD"]).await?;
            return find_ref(&listed, &["HEAD"]).ok_or_else(|| {
                Error::invalid(
                    "git_url",
                    "the repository is empty, or its default branch does not exist",
                )
                .with_remedy("Push a commit, or name a branch.")
            });
        };
        if is_full_id(name) {
            return Ok(name.to_ascii_lowercase());
        }
        let (branch, tag) = (format!("refs/heads/{name}"), format!("refs/tags/{name}"));
        let peeled = format!("{tag}^{{}}");
        let mut names = vec![branch.as_str(), &peeled, &tag];
        if name.starts_with("refs/") {
            names.insert(0, name);
        }
        let listed = self
            .git
            .run(&[&["ls-remote", "--", url][..], &names].concat())
            .await?;
        if let Some(id) = find_ref(&listed, &names) {
            return Ok(id);
        }
        if !is_short_id(name) {
            return Err(self.not_found());
        }
        self.fetch_all("sha1").await?;
        self.commit(name).await?.ok_or_else(|| self.not_found())
    }

    /// Fetches one commit, or everything when the server does not give out single commits.
    async fn fetch(&mut self, id: &str) -> Result<()> {
        let format = if id.len() == 64 { "sha256" } else { "sha1" };
        self.init(format).await?;
        let url = self.request.url.as_str();
        let fetched = self
            .git
            .run(&[
                "fetch",
                "--depth=1",
                "--no-tags",
                "--no-recurse-submodules",
                "--progress",
                "--",
                url,
                id,
            ])
            .await;
        match fetched {
            Err(error) if says(&error, &["unadvertised object", "does not support shallow"]) => {
                self.fetch_all(format).await
            }
            Err(error) if says(&error, &["not our ref", "couldn't find remote ref"]) => {
                Err(self.not_found())
            }
            other => other.map(|_| ()),
        }
    }

    async fn fetch_all(&mut self, format: &str) -> Result<()> {
        self.init(format).await?;
        let url = self.request.url.as_str();
        let (heads, tags) = (
            "+refs/heads/*:refs/remotes/origin/*",
            "+refs/tags/*:refs/tags/*",
        );
        self.git
            .run(&[
                "fetch",
                "--no-tags",
                "--no-recurse-submodules",
                "--progress",
                "--",
                url,
                heads,
                tags,
            ])
            .await?;
        self.complete = true;
        Ok(())
    }

    async fn init(&self, format: &str) -> Result<()> {
        let mut arguments = vec!["init", "--quiet", "--template="];
        if format != "sha1" {
            arguments.push("--object-format=sha256");
        }
        self.git.run(&arguments).await.map(|_| ())
    }

    /// The full id of a commit that was fetched.
    async fn commit(&self, id: &str) -> Result<Option<String>> {
        match self
            .git
            .run(&[
                "rev-parse",
                "--verify",
                "--end-of-options",
                &format!("{id}^{{commit}}"),
            ])
            .await
        {
            Ok(found) => Ok(Some(String::from_utf8_lossy(&found).trim().to_owned())),
            Err(error) if says(&error, &["is ambiguous"]) => Err(Error::invalid(
                "revision",
                format!("several commits begin with {id}"),
            )
            .with_remedy("Name more digits of the commit.")),
            Err(error)
                if says(
                    &error,
                    &[
                        "Needed a single revision",
                        "unknown revision",
                        "expected commit type",
                        "bad object",
                    ],
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn not_found(&self) -> Error {
        revision_not_found(
            self.request
                .revision
                .as_ref()
                .map_or("HEAD", GitRevision::as_str),
        )
    }

    /// Refuses a commit over a limit before its files are written, and notes what is not part of it.
    async fn check_size(&self, commit: &str, progress: &dyn Progress) -> Result<()> {
        let listed = self.git.run(&["ls-tree", "-r", "-l", "-z", commit]).await?;
        let mut tally = Tally::new(&self.request.limits);
        let mut submodules = Vec::new();
        for line in listed
            .split(|byte| *byte == 0)
            .filter(|line| !line.is_empty())
        {
            let line = String::from_utf8_lossy(line);
            let Some((about, path)) = line.split_once('\t') else {
                continue;
            };
            let mut about = about.split_whitespace();
            let (mode, size) = (about.next().unwrap_or_default(), about.nth(2));
            if mode == "160000" {
                submodules.push(path.to_owned());
            } else if !is_left_out_below(path, mode != "120000", |_| false) {
                tally.file(path, size.and_then(|size| size.parse().ok()).unwrap_or(0))?;
            }
        }
        if !submodules.is_empty() {
            progress.note(&format!(
                "Submodules are not fetched: {}",
                submodules.join(", ")
            ));
        }
        Ok(())
    }
}

/// The id of the first of `names` in what `ls-remote` printed.
fn find_ref(listed: &[u8], names: &[&str]) -> Option<String> {
    let listed = String::from_utf8_lossy(listed);
    names.iter().find_map(|name| {
        listed
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .find(|(id, listed)| listed == name && is_full_id(id))
            .map(|(id, _)| id.to_owned())
    })
}

fn is_full_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_short_id(text: &str) -> bool {
    (4..64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn says(error: &Error, words: &[&str]) -> bool {
    error
        .log()
        .iter()
        .any(|line| words.iter().any(|word| line.contains(word)))
}
