//! From the arguments to a spec.

use std::path::Path;
use std::time::Duration;

use devopser::id::{AppName, EnvName, GitRevision, IdempotencyKey, ImageRef, ProviderId, Target};
use devopser::model::service::{EnvValue, HealthPath};
use devopser::{
    DeploySpec, Engine, Error, ErrorKind, GitUrl, OverlapPolicy, Result, Secret, Source,
};

use super::args::{Arguments, Overlap, SpecArguments};
use super::output::Output;

/// The source that a text names: a git URL, `image:NAME`, or a path to a folder or an archive.
pub(crate) fn named(text: &str, revision: Option<&str>) -> Result<Source> {
    if let Some(name) = text.strip_prefix("image:") {
        return Ok(Source::Image {
            reference: ImageRef::new(name)?,
        });
    }
    let revision = revision.map(GitRevision::new).transpose()?;
    if text.contains("://") || text.starts_with("git@") {
        return Ok(Source::Git {
            url: GitUrl::new(text)?,
            revision,
        });
    }
    if revision.is_some() {
        return Err(Error::invalid(
            "ref",
            "only a git URL has branches, tags and commits",
        ));
    }
    let path = std::path::absolute(text).map_err(|source| {
        Error::invalid("source", format!("\"{text}\" is no path")).with_source(source)
    })?;
    match std::fs::metadata(&path) {
        Ok(meta) if meta.is_dir() => Ok(Source::Folder { path }),
        Ok(meta) if meta.is_file() => Ok(Source::Archive { path }),
        Ok(_) => Err(Error::invalid(
            "source",
            format!("\"{text}\" is neither a folder nor an archive"),
        )),
        Err(error) => Err(
            Error::invalid("source", format!("\"{text}\" cannot be read: {error}"))
                .with_remedy("Name a folder, an archive, a git URL, or image:NAME."),
        ),
    }
}

/// What a health check asks for.
pub(crate) fn health_path(text: &str) -> Result<HealthPath> {
    match text {
        "-" => Ok(HealthPath::Connection),
        path if path.starts_with('/') && path.bytes().all(|b| (0x21..0x7f).contains(&b)) => {
            Ok(HealthPath::Path(path.into()))
        }
        _ => Err(Error::invalid(
            "health_path",
            "must begin with '/' and hold no white space, or be '-'",
        )),
    }
}

/// The name of the app: as given, or made from the source.
pub(crate) fn name(arguments: &SpecArguments, source: &Source) -> AppName {
    arguments.name.clone().unwrap_or_else(|| {
        let text = match source {
            Source::Folder { path } => path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned()),
            Source::Archive { path } => path.file_name().map(|name| {
                let name = name.to_string_lossy();
                name.split('.').next().unwrap_or_default().to_owned()
            }),
            Source::Git { url, .. } => url
                .as_str()
                .trim_end_matches(".git")
                .rsplit(['/', ':'])
                .next()
                .map(str::to_owned),
            Source::Image { reference } => {
                let last = reference.as_str().rsplit('/').next().unwrap_or_default();
                Some(last.split([':', '@']).next().unwrap_or_default().to_owned())
            }
            _ => None,
        };
        AppName::from_text(&text.unwrap_or_default())
    })
}

/// The whole spec; secrets go into the vault here.
pub(crate) async fn spec(
    engine: &Engine,
    arguments: &Arguments,
    given: &SpecArguments,
    output: &Output,
) -> Result<DeploySpec> {
    let source = named(&given.source, given.revision.as_deref())?;
    let target = Target {
        tenant: arguments.tenant.clone(),
        app: name(given, &source),
        environment: arguments.environment.clone(),
    };
    let provider = match &given.provider {
        Some(provider) => ProviderId::new(provider.as_str())?,
        None => choose_provider(engine, &target, arguments, &source, output).await?,
    };
    let mut spec = DeploySpec::new(target, source, provider);
    spec.root.clone_from(&given.root);
    spec.port = given.port;
    spec.app_port = given.app_port;
    spec.start_command.clone_from(&given.start);
    spec.build_command.clone_from(&given.build);
    spec.release_command.clone_from(&given.release);
    spec.data_folders.clone_from(&given.data);
    spec.own_dockerfile = !given.no_dockerfile;
    spec.own_compose = !given.no_compose;
    spec.service.clone_from(&given.service);
    spec.databases = !given.no_databases;
    spec.overlap = match given.overlap {
        Overlap::Queue => OverlapPolicy::Queue,
        Overlap::Supersede => OverlapPolicy::Supersede,
        Overlap::Reject => OverlapPolicy::Reject,
    };
    spec.idempotency_key = given
        .idempotency_key
        .as_ref()
        .map(IdempotencyKey::new)
        .transpose()?;
    set_limits(&mut spec, given)?;
    set_environment(engine, &mut spec, given).await?;
    Ok(spec)
}

fn set_limits(spec: &mut DeploySpec, given: &SpecArguments) -> Result<()> {
    if let Some(memory) = &given.memory {
        spec.limits.memory_bytes = Some(bytes(memory)?);
    }
    if let Some(cpus) = given.cpus {
        if !(0.01..=1024.0).contains(&cpus) {
            return Err(Error::invalid("cpus", "must be from 0.01 to 1024"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked"
        )]
        let millis = (cpus * 1000.0) as u32;
        spec.limits.cpu_millis = Some(millis);
    }
    if let Some(path) = &given.health_path {
        spec.health.path = health_path(path)?;
    }
    if let Some(seconds) = given.health_timeout {
        if !(1..=1800).contains(&seconds) {
            return Err(Error::invalid(
                "health_timeout",
                "must be from 1 to 1800 seconds",
            ));
        }
        spec.health.start_timeout = Duration::from_secs(seconds);
    }
    Ok(())
}

async fn set_environment(
    engine: &Engine,
    spec: &mut DeploySpec,
    given: &SpecArguments,
) -> Result<()> {
    for pair in &given.env {
        let (name, value) = variable("env", pair)?;
        spec.env.insert(EnvName::new(name)?, EnvValue::Plain(value));
    }
    for pair in &given.build_env {
        let (name, value) = variable("build_env", pair)?;
        spec.build_env
            .insert(EnvName::new(name)?.to_string(), value);
    }
    for name in &given.build_secrets {
        let secret = secret("build_secret", name)?;
        let reference = engine.put_build_secret(&spec.target, name, &secret).await?;
        spec.build_secrets
            .insert(EnvName::new(name.as_str())?, reference);
    }
    for name in &given.secrets {
        let secret = secret("secret", name)?;
        let reference = engine.put_secret(&spec.target, name, &secret).await?;
        spec.env
            .insert(EnvName::new(name.as_str())?, EnvValue::Secret(reference));
    }
    if spec.env.keys().any(|name| name.as_str() == "PORT") {
        return Err(Error::invalid("env", "PORT is set by devopser")
            .with_remedy("Name the port with --app-port."));
    }
    Ok(())
}

/// The value of a secret, from this environment.
fn secret(field: &str, name: &str) -> Result<Secret> {
    let name = EnvName::new(name)?;
    std::env::var(name.as_str()).map(Secret::new).map_err(|_| {
        Error::invalid(
            field,
            format!("the variable {name} is not set in this environment"),
        )
    })
}

fn variable(field: &str, pair: &str) -> Result<(String, String)> {
    if let Some((name, value)) = pair.split_once('=') {
        return Ok((name.into(), value.into()));
    }
    std::env::var(pair)
        .map(|value| (pair.to_owned(), value))
        .map_err(|_| {
            Error::invalid(
                field,
                format!("\"{pair}\" has no value, and is not set in this environment"),
            )
        })
}

/// `512m`, `2g`, or bytes.
fn bytes(text: &str) -> Result<u64> {
    let lower = text.to_ascii_lowercase();
    let (digits, unit) = lower.split_at(
        lower
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(lower.len()),
    );
    let factor: u64 = match unit {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return Err(Error::invalid("memory", "must read like 512m or 2g")),
    };
    let bytes = digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(factor));
    bytes
        .filter(|bytes| *bytes >= 6 << 20)
        .ok_or_else(|| Error::invalid("memory", "must be at least 6m"))
}

/// Where an app goes when nobody says: where it is already; else Docker, as it keeps the source's code apart from this
/// machine. Only a folder of the user's own goes to `local` without being asked.
async fn choose_provider(
    engine: &Engine,
    target: &Target,
    arguments: &Arguments,
    source: &Source,
    output: &Output,
) -> Result<ProviderId> {
    if let Ok(view) = engine.app(target).await {
        return Ok(view.app.provider);
    }
    let socket = arguments
        .docker_socket
        .as_deref()
        .unwrap_or(Path::new("/var/run/docker.sock"));
    if std::os::unix::net::UnixStream::connect(socket).is_ok() {
        return ProviderId::new("docker");
    }
    if matches!(source, Source::Folder { .. }) {
        output.progress(
            "No Docker engine answers: the app runs on this machine, as you (--provider local).",
        );
        return ProviderId::new("local");
    }
    Err(Error::new(ErrorKind::Unavailable, format!("no Docker engine answers on {}", socket.display())).with_remedy(
        "Start one (`devopser doctor` says how), or run this source's code on your machine, as you, with --provider local.",
    ))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_read() {
        assert_eq!(bytes("512m").unwrap(), 512 << 20);
        assert_eq!(bytes("2G").unwrap(), 2 << 30);
        assert_eq!(bytes("10485760").unwrap(), 10 << 20);
        for wrong in ["", "m", "1t", "-1m", "1.5g", "1m", "99999999999g"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
