//! What the Docker engine itself says, through its own command and not through ours.

use std::process::{Command, Output};

/// The label that everything of ours carries; its value is `installation/tenant/app/environment`.
const OWNER_LABEL: &str = "dev.devopser.owner";

/// Whether the engine answers.
pub(crate) fn answers() -> bool {
    docker(&["version", "--format", "{{.Server.Version}}"])
        .is_ok_and(|output| output.status.success())
}

/// Everything that carries the mark of the tenant: `container NAME`, `network NAME`, `volume NAME`, `image NAME`.
pub(crate) fn owned_by(tenant: &str) -> Vec<String> {
    let listings: [(&str, &[&str]); 4] = [
        ("container", &["ps", "--all", "--format", "{{.ID}}"]),
        ("network", &["network", "ls", "--format", "{{.ID}}"]),
        ("volume", &["volume", "ls", "--format", "{{.Name}}"]),
        (
            "image",
            &["images", "--all", "--no-trunc", "--format", "{{.ID}}"],
        ),
    ];
    let mut found = Vec::new();
    for (kind, listing) in listings {
        let filter = format!("label={OWNER_LABEL}");
        let mut arguments = listing.to_vec();
        arguments.extend(["--filter", &filter]);
        for id in lines(&arguments) {
            if mark(kind, &id).is_some_and(|mark| mark.split('/').any(|part| part == tenant)) {
                found.push(format!("{kind} {id}"));
            }
        }
    }
    found
}

/// The ids of the running containers of the tenant whose image was built by us, so without the databases.
pub(crate) fn running_apps(tenant: &str) -> Vec<String> {
    let containers = owned_by(tenant)
        .into_iter()
        .filter_map(|thing| thing.strip_prefix("container ").map(str::to_owned));
    containers
        .filter(|id| {
            inspect(
                "container",
                id,
                "{{.State.Running}} {{index .Config.Labels \"dev.devopser.role\"}}",
            ) == "true app"
        })
        .collect()
}

/// The ids of the containers of a companion of the tenant.
pub(crate) fn companions(tenant: &str, name: &str) -> Vec<String> {
    let label = "{{index .Config.Labels \"dev.devopser.companion\"}}";
    owned_by(tenant)
        .into_iter()
        .filter_map(|thing| thing.strip_prefix("container ").map(str::to_owned))
        .filter(|id| inspect("container", id, label) == name)
        .collect()
}

/// How a container is held: `privileged`, security options, dropped capabilities, the memory and process limits.
pub(crate) fn hardening(container: &str) -> String {
    let format = "{{.HostConfig.Privileged}} {{.HostConfig.SecurityOpt}} {{.HostConfig.CapDrop}} {{.HostConfig.PidsLimit}}";
    inspect("container", container, format)
}

/// All that the engine says about the tenant's images and containers: `inspect`, and every line of an image's history.
pub(crate) fn all_said(tenant: &str) -> String {
    let mut said = String::new();
    for thing in owned_by(tenant) {
        let Some((kind @ ("image" | "container"), id)) = thing.split_once(' ') else {
            continue;
        };
        said.push_str(&printed(&[kind, "inspect", id]));
        if kind == "image" {
            said.push_str(&printed(&["history", "--no-trunc", id]));
        }
    }
    said
}

/// The layers of the tenant's images, as the engine hands them out: files stand in them as they are.
pub(crate) fn layers(tenant: &str) -> Vec<u8> {
    let images = owned_by(tenant).into_iter();
    let mut images = images.filter_map(|thing| thing.strip_prefix("image ").map(str::to_owned));
    images
        .try_fold(Vec::new(), |mut all, id| {
            let output = docker(&["save", &id]).ok()?;
            all.extend(output.stdout);
            Some(all)
        })
        .expect("docker can be started")
}

fn printed(arguments: &[&str]) -> String {
    let output = docker(arguments).expect("docker can be started");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn mark(kind: &str, id: &str) -> Option<String> {
    let labels = if matches!(kind, "container" | "image") {
        ".Config.Labels"
    } else {
        ".Labels"
    };
    let mark = inspect(
        kind,
        id,
        &format!("{{{{index {labels} \"{OWNER_LABEL}\"}}}}"),
    );
    // Empty too where it was removed between the two questions.
    (!mark.is_empty()).then_some(mark)
}

fn inspect(kind: &str, id: &str, format: &str) -> String {
    let output = docker(&[kind, "inspect", "--format", format, id]).expect("docker can be started");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn lines(arguments: &[&str]) -> Vec<String> {
    let output = docker(arguments).expect("docker can be started");
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

fn docker(arguments: &[&str]) -> std::io::Result<Output> {
    Command::new("docker").args(arguments).output()
}
