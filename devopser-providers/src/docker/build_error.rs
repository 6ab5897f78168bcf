//! Why a build failed, told apart.

use devopser_core::{Error, ErrorKind, Retry};

use super::ID;
use super::build_log::FailedStep;

/// Makes the error that a person needs out of the engine's text and the step that failed.
pub(crate) fn explain(error: Error, failed: Option<FailedStep>) -> Error {
    let text = error.message().trim_start_matches("Docker: ").to_owned();
    if is_disk_full(&text, failed.as_ref()) {
        return with_step(disk_full(&text), failed);
    }
    if matches!(
        error.kind(),
        ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::Cancelled
            | ErrorKind::PermissionDenied
    ) {
        return error;
    }
    if let Some(rest) =
        after(&text, "dockerfile parse error").or_else(|| after(&text, "Dockerfile parse error"))
    {
        return invalid_dockerfile(&text, rest.trim_start_matches(':').trim());
    }
    if let Some(failed) = failed {
        if let Some(image) = unfetched_image(&failed.name, &text) {
            return base_image(&image, &text);
        }
        return step_failed(&text, failed);
    }
    if let Some(rest) = after(&text, "failed to create LLB definition: ") {
        if let Some(image) = image_at_start(rest) {
            return base_image(&image, &text);
        }
        return invalid_dockerfile(&text, rest);
    }
    if text.contains("failed to read dockerfile") || text.contains("the Dockerfile") {
        return invalid_dockerfile(&text, &text);
    }
    failed_with(format!("the build failed: {}", last_cause(&text))).with_context("engine", &text)
}

fn failed_with(message: String) -> Error {
    Error::new(ErrorKind::BuildFailed, message)
        .with_provider(ID)
        .with_operation("build")
}

fn after<'a>(text: &'a str, sign: &str) -> Option<&'a str> {
    text.split_once(sign).map(|(_, rest)| rest)
}

fn is_disk_full(text: &str, failed: Option<&FailedStep>) -> bool {
    const SIGN: &str = "no space left on device";
    text.contains(SIGN)
        || failed.is_some_and(|step| {
            step.lines
                .iter()
                .rev()
                .take(10)
                .any(|line| line.contains(SIGN) || line.contains("ENOSPC"))
        })
}

fn disk_full(text: &str) -> Error {
    Error::new(
        ErrorKind::DiskFull,
        "the disk of the Docker engine is full: the build cannot go on",
    )
    .with_provider(ID)
    .with_operation("build")
    .with_context("engine", text)
    .with_remedy("Free space there, for example what `docker system df` shows as reclaimable, and deploy again.")
}

fn invalid_dockerfile(text: &str, rest: &str) -> Error {
    // "line 3: unknown instruction: FOO" or "on line 3: …"
    let rest = rest.trim_start_matches("on ");
    let line = rest
        .strip_prefix("line ")
        .map(|rest| {
            rest.chars()
                .take_while(char::is_ascii_digit)
                .collect::<String>()
        })
        .filter(|line| !line.is_empty());
    let error = Error::new(
        ErrorKind::InvalidInput,
        format!("the Dockerfile cannot be used: {rest}"),
    )
    .with_provider(ID)
    .with_operation("build")
    .with_context("field", "dockerfile");
    let error = match line {
        Some(line) => error.with_context("line", line),
        None => error,
    };
    error
        .with_context("engine", text)
        .with_remedy("Correct the Dockerfile, or take it away to have one made.")
}

/// The image that a step about its metadata or its content could not fetch.
fn unfetched_image(step: &str, text: &str) -> Option<String> {
    if let Some(image) = step.strip_prefix("[internal] load metadata for ") {
        return Some(short_image(image.trim()));
    }
    // "[build 1/4] FROM docker.io/library/node:22@sha256:…"
    let from = after(step, "] FROM ")?;
    let is_fetch = [
        "not found",
        "pull access denied",
        "failed to do request",
        "unexpected status",
    ]
    .iter()
    .any(|sign| text.contains(sign));
    is_fetch.then(|| short_image(from.split('@').next().unwrap_or(from).trim()))
}

/// "docker.io/library/nope:1: not found" begins with an image.
fn image_at_start(text: &str) -> Option<String> {
    let is_fetch = [
        "not found",
        "pull access denied",
        "failed to do request",
        "failed to authorize",
        "unauthorized",
    ]
    .iter()
    .any(|sign| text.contains(sign));
    let (image, _) = text.split_once(": ")?;
    let is_image = image.contains('/') && !image.contains(' ');
    (is_fetch && is_image).then(|| short_image(image))
}

fn short_image(image: &str) -> String {
    image
        .strip_prefix("docker.io/library/")
        .or_else(|| image.strip_prefix("docker.io/"))
        .unwrap_or(image)
        .to_owned()
}

fn base_image(image: &str, text: &str) -> Error {
    let is_unreached = [
        "dial tcp",
        "failed to do request",
        "no such host",
        "i/o timeout",
        "connection refused",
        "tls:",
    ]
    .iter()
    .any(|sign| text.contains(sign));
    let error = if is_unreached {
        Error::new(
            ErrorKind::Unavailable,
            format!("the base image {image} cannot be fetched: its registry was not reached"),
        )
        .with_retry(Retry::Later { after: None })
        .with_remedy(
            "Check that the Docker engine reaches the registry, or load the image into the engine.",
        )
    } else {
        Error::new(
            ErrorKind::BuildFailed,
            format!("the base image {image} cannot be fetched: its registry does not have it, or not for us"),
        )
        .with_remedy("Correct the image's name and tag in the Dockerfile, or log the engine in to the registry.")
    };
    error
        .with_provider(ID)
        .with_operation("build")
        .with_context("base_image", image)
        .with_context("engine", text)
}

fn step_failed(text: &str, failed: FailedStep) -> Error {
    let instruction = failed
        .name
        .split_once("] ")
        .map_or(failed.name.as_str(), |(_, instruction)| instruction)
        .to_owned();
    let code = after(text, "exit code: ")
        .map(|rest| {
            rest.chars()
                .take_while(char::is_ascii_digit)
                .collect::<String>()
        })
        .filter(|code| !code.is_empty());
    let shown: String = instruction.chars().take(120).collect();
    let message = match &code {
        Some(code) => format!("the build failed at `{shown}` with exit code {code}"),
        None => format!("the build failed at `{shown}`: {}", last_cause(text)),
    };
    let mut error = failed_with(message);
    if let Some(code) = code {
        error = error.with_context("exit_code", code);
    }
    let remedy = if instruction.starts_with("COPY") || instruction.starts_with("ADD") {
        "Check that the path exists in the source and that .dockerignore does not leave it out."
    } else {
        "Read the step's last lines; the same command fails outside of devopser too."
    };
    with_step(error, Some(failed)).with_remedy(remedy)
}

fn with_step(error: Error, failed: Option<FailedStep>) -> Error {
    match failed {
        Some(failed) => error
            .with_context("step", failed.name)
            .with_log(failed.lines),
        None => error,
    }
}

/// "failed to solve …: failed to …: cause" without the engine's own way to it.
fn last_cause(text: &str) -> &str {
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once(": ") {
        if !head.starts_with("failed to ") && !head.starts_with("rpc error") {
            break;
        }
        rest = tail;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(text: &str) -> Error {
        Error::new(ErrorKind::Unexpected, format!("Docker: {text}"))
    }

    fn step(name: &str, lines: &[&str]) -> Option<FailedStep> {
        Some(FailedStep {
            name: name.into(),
            lines: lines.iter().map(|&line| line.into()).collect(),
        })
    }

    fn fact<'a>(error: &'a Error, key: &str) -> Option<&'a str> {
        error
            .context()
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    #[test]
    fn a_dockerfile_that_does_not_parse_names_the_line() {
        for text in [
            "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 3: unknown instruction: FOO",
            "dockerfile parse error on line 3: unknown instruction: FOO",
        ] {
            let error = explain(engine(text), None);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(fact(&error, "line"), Some("3"), "{error}");
            assert!(
                error.message().contains("unknown instruction: FOO"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_failed_step_has_its_name_its_code_and_its_lines() {
        let text = "failed to solve with frontend dockerfile.v0: failed to build LLB: executor failed running [/bin/sh -c npm ci]: exit code: 7";
        let error = explain(
            engine(text),
            step("[build 3/4] RUN npm ci", &["npm ERR! x"]),
        );
        assert_eq!(error.kind(), ErrorKind::BuildFailed);
        assert_eq!(
            error.message(),
            "the build failed at `RUN npm ci` with exit code 7"
        );
        assert_eq!(error.log(), ["npm ERR! x"]);
        assert_eq!(fact(&error, "step"), Some("[build 3/4] RUN npm ci"));
    }

    #[test]
    fn a_base_image_is_named() {
        let text = "failed to solve with frontend dockerfile.v0: failed to create LLB definition: docker.io/library/nope:1: not found";
        for failed in [
            None,
            step("[internal] load metadata for docker.io/library/nope:1", &[]),
        ] {
            let error = explain(engine(text), failed);
            assert_eq!(error.kind(), ErrorKind::BuildFailed);
            assert_eq!(fact(&error, "base_image"), Some("nope:1"));
        }
        let text = "failed to do request: Head \"https://registry/v2/library/nope/manifests/1\": dial tcp: lookup registry: no such host";
        let error = explain(
            engine(text),
            step("[internal] load metadata for docker.io/library/nope:1", &[]),
        );
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.is_retryable());
    }

    #[test]
    fn a_full_disk_is_seen_in_the_engines_text_and_in_the_step() {
        let error = explain(
            engine("failed to solve: write /x: no space left on device"),
            None,
        );
        assert_eq!(error.kind(), ErrorKind::DiskFull);
        let error = explain(
            engine("executor failed running [x]: exit code: 228"),
            step(
                "[2/2] RUN npm ci",
                &["npm ERR! nospc ENOSPC: no space left on device, write"],
            ),
        );
        assert_eq!(error.kind(), ErrorKind::DiskFull);
        assert!(!error.log().is_empty());
    }

    #[test]
    fn a_missing_file_says_so() {
        let text = "failed to solve with frontend dockerfile.v0: failed to build LLB: failed to compute cache key: \"/nope\" not found: not found";
        let error = explain(engine(text), step("[2/2] COPY nope /", &[]));
        assert_eq!(
            error.message(),
            "the build failed at `COPY nope /`: \"/nope\" not found: not found"
        );
    }

    #[test]
    fn an_engine_that_went_away_stays_that() {
        let gone = Error::new(ErrorKind::Unavailable, "the connection ended");
        assert_eq!(
            explain(gone, step("[1/1] RUN x", &[])).kind(),
            ErrorKind::Unavailable
        );
    }
}
