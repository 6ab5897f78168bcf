//! A Dockerfile that the repository has already.

use devopser_core::model::report::{Evidence, Fact};

use super::{Stack, found};
use crate::dockerfile::Dockerfile;
use crate::rank::{Found, Strength};
use crate::scan::Scan;

/// The detector of a repository's own Dockerfile. It ranks below every stack, because the stack's facts say more;
/// the file itself is in the report either way and is what gets built.
#[derive(Debug)]
pub(crate) struct ExistingDockerfile;

/// Names under which it is looked for.
pub(crate) const NAMES: &[&str] = &["Dockerfile", "dockerfile", "Containerfile"];

/// Base images and the runtimes in them.
const IMAGES: &[(&str, &str)] = &[
    ("node", "node"),
    ("python", "python"),
    ("golang", "go"),
    ("php", "php"),
    ("ruby", "ruby"),
    ("eclipse-temurin", "java"),
    ("openjdk", "java"),
    ("maven", "java"),
    ("gradle", "java"),
    ("amazoncorretto", "java"),
    ("rust", "rust"),
    ("bun", "bun"),
    ("deno", "deno"),
    ("nginx", "static"),
    ("caddy", "static"),
    ("httpd", "static"),
    ("elixir", "elixir"),
    ("aspnet", "dotnet"),
    ("sdk", "dotnet"),
    ("uv", "python"),
    ("frankenphp", "php"),
    ("wordpress", "php"),
];

impl Stack for ExistingDockerfile {
    fn id(&self) -> &'static str {
        "dockerfile"
    }

    fn reads(&self) -> &'static [&'static str] {
        NAMES
    }

    fn frameworks(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        let path = scan.first(NAMES)?;
        let file = scan.dockerfile(path)?;
        let evidence = Evidence::file(path, "the repository's own Dockerfile");
        let mut detection = super::detection("dockerfile", "docker", evidence.clone());
        if let Some((runtime, line)) = runtime_of(&file) {
            detection.runtime = Some(Fact::new(
                runtime.to_owned(),
                60,
                Evidence::line(path, Some(line), "the image that it builds on"),
            ));
        }
        if let Some((port, line)) = file.exposed() {
            detection.port = Some(Fact::new(
                port,
                90,
                Evidence::line(path, Some(line), "it exposes the port"),
            ));
        }
        if let Some((start, line)) = file.start() {
            detection.start_command = Some(Fact::new(
                start,
                90,
                Evidence::line(path, Some(line), "what it starts"),
            ));
        }
        detection.is_static = Some(Fact::new(false, 50, evidence));
        found(detection, Strength::Manifest)
    }
}

/// The runtime of the last base image that is known, the final stage first.
fn runtime_of(file: &Dockerfile) -> Option<(&'static str, u32)> {
    file.images().into_iter().rev().find_map(|(image, line)| {
        let name = image.rsplit('/').next()?.split([':', '@']).next()?;
        let (_, runtime) = IMAGES.iter().find(|(known, _)| *known == name)?;
        Some((*runtime, line))
    })
}
