//! Where the code comes from: [`Source`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, GitRevision, ImageRef};
use crate::{Error, Result};

/// Where the code comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// A folder on this machine. Its content is taken when the deployment is accepted.
    Folder {
        /// The folder, absolute.
        path: PathBuf,
    },
    /// A `.tar`, `.tar.gz`, `.tgz` or `.zip` file on this machine. Its content is taken when the deployment is accepted.
    Archive {
        /// The file, absolute.
        path: PathBuf,
    },
    /// A git repository. The revision is resolved to a commit when the deployment is accepted.
    Git {
        /// Where it is cloned from.
        url: GitUrl,
        /// A branch, tag or commit; `None` is the repository's default branch.
        revision: Option<GitRevision>,
    },
    /// An image that exists already: nothing is built.
    Image {
        /// The image.
        reference: ImageRef,
    },
    /// A snapshot in the blob store: what the other kinds become once a deployment is accepted.
    Snapshot {
        /// The digest of the tar archive.
        digest: Digest,
        /// What it was made from, for people: a path, or a URL with its commit.
        origin: String,
        /// The commit, when it came from git.
        commit: Option<String>,
    },
}

impl Source {
    /// What a person would call it.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Folder { path } | Self::Archive { path } => path.display().to_string(),
            Self::Git {
                url,
                revision: Some(revision),
            } => format!("{}#{revision}", url.without_credentials()),
            Self::Git {
                url,
                revision: None,
            } => url.without_credentials(),
            Self::Image { reference } => reference.to_string(),
            Self::Snapshot { origin, .. } => origin.clone(),
        }
    }
}

/// The URL of a git repository: `https://`, `http://`, `ssh://`, `git@host:path` or `file://`, without credentials.
///
/// Transports that run commands (`ext::`, `fd::`) and anything that could be read as an option are refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GitUrl(String);

impl GitUrl {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for another scheme, credentials inside, white space or control
    /// characters.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let refuse = |rule: &str| Err(Error::invalid("git_url", rule));
        if text.len() > 2000 || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return refuse(
                "must be at most 2000 characters without white space or control characters",
            );
        }
        if text.contains(['`', '$', ';', '|', '&', '<', '>', '"', '\'', '\\']) {
            return refuse("must not contain shell characters");
        }
        if let Some(rest) = text.strip_prefix("git@") {
            let host_and_path = rest
                .split_once(':')
                .filter(|(host, path)| is_host(host) && !path.starts_with('-'));
            return if host_and_path.is_some() {
                Ok(Self(text))
            } else {
                refuse("must read git@host:path")
            };
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return refuse("must begin with https://, http://, ssh://, file:// or git@");
        };
        let authority = rest.split('/').next().unwrap_or_default();
        match scheme {
            "file" if rest.starts_with('/') => Ok(Self(text)),
            "https" | "http" if authority.contains('@') => {
                refuse("must not contain credentials; hand them over as a secret")
            }
            "ssh"
                if authority.contains(':')
                    && authority.contains('@')
                    && authority.find(':') < authority.find('@') =>
            {
                refuse("must not contain a password")
            }
            "https" | "http" | "ssh" => {
                let host = authority.rsplit('@').next().unwrap_or_default();
                let host = host.split(':').next().unwrap_or_default();
                if is_host(host) {
                    Ok(Self(text))
                } else {
                    refuse("must name a host")
                }
            }
            _ => refuse("must begin with https://, http://, ssh://, file:// or git@"),
        }
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL as it may be shown; it never holds credentials.
    #[must_use]
    pub fn without_credentials(&self) -> String {
        self.0.clone()
    }
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && !host.starts_with(['-', '.'])
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_')
}

impl TryFrom<String> for GitUrl {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<GitUrl> for String {
    fn from(url: GitUrl) -> Self {
        url.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_urls_are_accepted() {
        for url in [
            "https://github.com/a/b.git",
            "http://127.0.0.1:3000/a/b",
            "git@github.com:a/b.git",
            "ssh://git@host:22/a",
            "file:///srv/git/a.git",
        ] {
            assert!(GitUrl::new(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn hostile_urls_are_refused() {
        for url in [
            "",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c id",
            "https://user:token@host/a",
            "https://host/$(id)",
            "https://host/a;id",
            "ssh://-oProxyCommand=id/x",
            "git@-oProxyCommand=id:x",
            "git@host:-x",
            "file://relative",
            "ftp://host/a",
            "https:///a",
            "https://host/a\nb",
        ] {
            assert!(GitUrl::new(url).is_err(), "{url:?}");
        }
    }
}
