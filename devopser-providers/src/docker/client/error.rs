//! From the client library's errors to ours.

use std::io;
use std::path::Path;

use bollard::errors::Error as Foreign;
use devopser_core::{Error, ErrorKind, Retry};

use crate::docker::ID;

/// An error of ours that names the provider and the operation.
pub(super) fn named(operation: &str, kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, message)
        .with_provider(ID)
        .with_operation(format!("docker {operation}"))
}

/// The error of ours for one of the client library.
pub(super) fn map(socket: &Path, operation: &str, error: Foreign) -> Error {
    match error {
        Foreign::DockerResponseServerError {
            status_code,
            message,
        } => answered(operation, status_code, &message),
        Foreign::DockerStreamError { error } => answered(operation, 500, &error),
        Foreign::RequestTimeoutError => named(
            operation,
            ErrorKind::Timeout,
            "the Docker engine did not answer in time",
        ),
        Foreign::SocketNotFoundError(_) => {
            unreachable(socket, operation, "there is no such socket")
        }
        Foreign::JsonDataError { message, .. } => named(
            operation,
            ErrorKind::Unexpected,
            format!("the Docker engine's answer cannot be read: {message}"),
        ),
        Foreign::JsonSerdeError { .. }
        | Foreign::APIVersionParseError {}
        | Foreign::StrParseError { .. }
        | Foreign::HttpClientError { .. }
        | Foreign::URLEncodedError { .. }
        | Foreign::URLParseError { .. } => {
            named(operation, ErrorKind::Unexpected, error.to_string())
        }
        other => broken(socket, operation, other),
    }
}

/// What the engine answered, by its status and text.
pub(super) fn answered(operation: &str, status: u16, message: &str) -> Error {
    let lower = message.to_ascii_lowercase();
    let kind = if lower.contains("no space left on device") {
        ErrorKind::DiskFull
    } else if lower.contains("port is already allocated")
        || lower.contains("address already in use")
    {
        ErrorKind::PortTaken
    } else {
        match status {
            400 => ErrorKind::InvalidInput,
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::PermissionDenied,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            429 => ErrorKind::RateLimited,
            503 => ErrorKind::Unavailable,
            _ => ErrorKind::Unexpected,
        }
    };
    let error = named(operation, kind, format!("Docker: {}", message.trim()))
        .with_context("status", status);
    match kind {
        ErrorKind::DiskFull => error.with_remedy(
            "Free space on the disk of the Docker engine, for example with `docker system df` and `docker image prune`.",
        ),
        ErrorKind::Unexpected if status >= 500 => error.with_retry(Retry::Later { after: None }),
        _ => error,
    }
}

/// The connection failed or ended.
pub(super) fn broken(
    socket: &Path,
    operation: &str,
    error: impl std::error::Error + 'static,
) -> Error {
    match io_kind(&error) {
        Some(io::ErrorKind::PermissionDenied) => named(
            operation,
            ErrorKind::PermissionDenied,
            format!(
                "the Docker engine's socket {} may not be opened",
                socket.display()
            ),
        )
        .with_remedy("Run as a user of the group \"docker\", or name another socket."),
        Some(io::ErrorKind::NotFound) => unreachable(socket, operation, "there is no such socket"),
        Some(io::ErrorKind::ConnectionRefused) => {
            unreachable(socket, operation, "nothing listens on it")
        }
        _ => unreachable(socket, operation, "the connection ended"),
    }
}

fn unreachable(socket: &Path, operation: &str, why: &str) -> Error {
    named(
        operation,
        ErrorKind::Unavailable,
        format!("the Docker engine at {} cannot be reached: {why}", socket.display()),
    )
    .with_remedy("Start the Docker engine (`systemctl start docker`, or `dockerd`), or name the socket of one that runs.")
}

fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_kinds() {
        for (status, message, kind) in [
            (404, "No such container: x", ErrorKind::NotFound),
            (
                409,
                "Conflict. The container name is in use",
                ErrorKind::Conflict,
            ),
            (
                500,
                "write /x: no space left on device",
                ErrorKind::DiskFull,
            ),
            (
                500,
                "Bind for 127.0.0.1:80 failed: port is already allocated",
                ErrorKind::PortTaken,
            ),
            (500, "something", ErrorKind::Unexpected),
            (400, "invalid reference format", ErrorKind::InvalidInput),
        ] {
            assert_eq!(answered("x", status, message).kind(), kind, "{message}");
        }
    }
}
