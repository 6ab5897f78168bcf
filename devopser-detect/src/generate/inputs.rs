//! What a build is handed from outside: variables and secrets, by name.

use devopser_core::id::EnvName;
use devopser_core::{Error, Result};

use super::GenerateOptions;

/// Names that steer the shell, the loader or the container itself: with another value the build's own programs are not
/// found, or run something else.
const STEERING: &[&str] = &[
    "BASHOPTS",
    "BASH_ENV",
    "ENV",
    "HOME",
    "IFS",
    "OLDPWD",
    "PATH",
    "PORT",
    "PWD",
    "SHELL",
    "SHELLOPTS",
];

/// What Docker hands every command without an `ARG`, and keeps out of the history where there is none
/// (<https://docs.docker.com/reference/dockerfile/#predefined-args>).
const PREDEFINED: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

/// Refuses names that would break the build.
pub(crate) fn check(options: &GenerateOptions) -> Result<()> {
    let both = [
        ("build_env", &options.build_env),
        ("build_secrets", &options.build_secrets),
    ];
    for (field, names) in both {
        if let Some(name) = names.iter().find(|name| steers(name.as_str())) {
            return Err(Error::invalid(
                field,
                format!("{name} steers the build itself, and is not the app's to set"),
            )
            .with_context(
                "rule",
                "no PATH, HOME, PORT, IFS, PWD, shell or LD_ variable, and no BUILDKIT_ one",
            )
            .with_remedy("Choose another name, or leave it out."));
        }
    }
    match options
        .build_env
        .intersection(&options.build_secrets)
        .next()
    {
        None => Ok(()),
        Some(name) => Err(Error::invalid(
            "build_secrets",
            format!("{name} is a build variable as well, whose value stays in the image"),
        )
        .with_remedy("Hand it over as one of the two.")),
    }
}

fn steers(name: &str) -> bool {
    STEERING.contains(&name)
        || name.starts_with("LD_")
        || name.to_ascii_uppercase().starts_with("BUILDKIT_")
}

/// Whether a build variable needs an `ARG` line.
pub(crate) fn needs_arg(name: &EnvName) -> bool {
    !PREDEFINED.contains(&name.as_str().to_ascii_uppercase().as_str())
}

/// The error of a name that the generated file sets itself, so that the caller's value would not be seen.
pub(crate) fn clash(field: &str, name: &str) -> Error {
    Error::invalid(
        field,
        format!("{name} is set by the generated Dockerfile, and the value given would not be seen"),
    )
    .with_context("rule", "no name that the generated file sets with ENV")
    .with_remedy("Leave it out, or write a Dockerfile of your own.")
}
