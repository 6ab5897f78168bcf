//! What it means when git fails, told from what it printed (in English: it runs with `LC_ALL=C`).

use crate::{Error, ErrorKind, Retry};

/// What git prints, what that is, what we say, and what helps. The first row that fits counts.
const FAILURES: &[(&[&str], ErrorKind, &str, &str)] = &[
    (
        &["No space left on device", "Disk quota exceeded"],
        ErrorKind::DiskFull,
        "no space is left to fetch the repository",
        "Free some space on that disk and try again.",
    ),
    (
        &["dubious ownership"],
        ErrorKind::PermissionDenied,
        "the repository belongs to another user of this machine",
        "Run as its owner, or fetch it over https.",
    ),
    (
        &["Host key verification failed"],
        ErrorKind::Unauthenticated,
        "the key of the SSH server is not known",
        "Add it to the known hosts of the user that runs this process, or use the https:// URL.",
    ),
    (
        &[
            "returned error: 403",
            "Permission denied (publickey",
            "HTTP Basic: Access denied",
        ],
        ErrorKind::PermissionDenied,
        "the credential does not open the repository",
        "Give it read access to the contents of this repository.",
    ),
    (
        &[
            "could not read Username",
            "could not read Password",
            "terminal prompts disabled",
            "Authentication failed",
            "returned error: 401",
        ],
        ErrorKind::Unauthenticated,
        "the repository does not exist, or it needs a credential that opens it",
        "Check the URL. If the repository is private, give an access token that may read it.",
    ),
    (
        &[
            "Could not resolve host",
            "Failed to connect",
            "Connection refused",
            "Connection timed out",
            "Connection reset",
            "Couldn't connect",
            "Network is unreachable",
            "Operation too slow",
            "early EOF",
            "hung up unexpectedly",
            "RPC failed",
            "returned error: 5",
            "returned error: 429",
            "Recv failure",
            "Empty reply from server",
            "Temporary failure in name resolution",
        ],
        ErrorKind::Unavailable,
        "the server of the repository cannot be reached",
        "Check the host name and the network, then try again.",
    ),
    (
        &[
            "SSL certificate",
            "certificate verify failed",
            "server certificate verification failed",
            "SSL peer certificate",
        ],
        ErrorKind::Unavailable,
        "the certificate of the server is not trusted",
        "Correct the server's certificate, or hand its authority to git (GIT_SSL_CAINFO).",
    ),
    (
        &["redirect"],
        ErrorKind::InvalidInput,
        "the server sends to another URL, and a credential is not sent along",
        "Use the URL that the repository has now.",
    ),
    (
        &[
            "Repository not found",
            "not found",
            "does not appear to be a git repository",
            "does not exist",
            "not a git repository",
            "No such file or directory",
            "returned error: 404",
            "not valid: is this a git repository",
        ],
        ErrorKind::NotFound,
        "there is no git repository at this URL",
        "Correct the URL.",
    ),
];

/// The error of a git command that ended with a failure. `lines` are the last lines that it printed.
pub(super) fn failure(command: &str, lines: Vec<String>) -> Error {
    let known = FAILURES.iter().find(|(texts, ..)| {
        lines
            .iter()
            .any(|line| texts.iter().any(|text| line.contains(text)))
    });
    let error = match known {
        Some((_, kind, message, remedy)) => {
            let error = Error::new(*kind, *message)
                .with_remedy(*remedy)
                .with_context("field", "git_url");
            // An untrusted certificate stays untrusted.
            if message.contains("certificate") {
                error.with_retry(Retry::Never)
            } else {
                error
            }
        }
        None => Error::unexpected(format!(
            "git {command} failed: {}",
            lines.last().map_or("it printed nothing", String::as_str)
        )),
    };
    error.with_log(lines)
}

/// The error of a revision that the repository does not have.
pub(super) fn revision_not_found(revision: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the repository has no branch, tag or commit \"{revision}\""),
    )
    .with_remedy("Name one that exists; leave it away for the default branch.")
    .with_context("field", "revision")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        for (line, kind) in [
            (
                "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
                ErrorKind::Unauthenticated,
            ),
            (
                "fatal: Authentication failed for 'https://github.com/a/b/'",
                ErrorKind::Unauthenticated,
            ),
            (
                "fatal: unable to access 'https://h/a/': The requested URL returned error: 403",
                ErrorKind::PermissionDenied,
            ),
            (
                "git@github.com: Permission denied (publickey).",
                ErrorKind::PermissionDenied,
            ),
            (
                "fatal: repository 'https://gitlab.com/a/b/' not found",
                ErrorKind::NotFound,
            ),
            (
                "fatal: '/x' does not appear to be a git repository",
                ErrorKind::NotFound,
            ),
            (
                "fatal: unable to access 'https://h/a/': Could not resolve host: h",
                ErrorKind::Unavailable,
            ),
            (
                "fatal: unable to access 'https://h/a/': The requested URL returned error: 503",
                ErrorKind::Unavailable,
            ),
            (
                "fatal: unable to access 'https://h/a/': SSL certificate problem: self-signed certificate",
                ErrorKind::Unavailable,
            ),
            (
                "fatal: write error: No space left on device",
                ErrorKind::DiskFull,
            ),
            ("fatal: something new", ErrorKind::Unexpected),
        ] {
            let error = failure(
                "fetch",
                vec!["remote: Counting objects: 3, done.".into(), line.into()],
            );
            assert_eq!(error.kind(), kind, "{line}");
            assert_eq!(error.log().len(), 2);
            assert_eq!(
                error.is_retryable(),
                kind == ErrorKind::Unavailable && !line.contains("SSL"),
                "{line}"
            );
        }
    }
}
