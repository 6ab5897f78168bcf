//! How the image of a service is made.

use std::collections::BTreeMap;

use devopser_core::model::plan::{BuildPlan, ImageOptions};

use super::fields;
use super::interpolate::Variable;
use super::load::{inside, text_of};
use super::service::{Plain, Reader, Refused};
use crate::dockerfile::without_frontend;
use crate::yaml::{Node, Yaml};

/// A build, or nothing where an image is named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Build {
    dockerfile: String,
    dockerignore: String,
    target: Option<String>,
    args: BTreeMap<String, String>,
}

/// Reads `build`.
pub(crate) fn read(reader: &mut Reader<'_>, node: &Node) -> Refused<()> {
    let unreadable = |reason: String| ("unreadable", reason);
    let mut build = Build::default();
    let (mut context, mut file, mut inline) = (".".to_owned(), "Dockerfile".to_owned(), None);
    if let Yaml::Scalar(_) = node.value {
        context = fields::plain(node).map_err(unreadable)?;
    }
    for (key, _, value) in node.map() {
        match key.as_str() {
            "context" => context = fields::plain(value).map_err(unreadable)?,
            "dockerfile" => file = fields::plain(value).map_err(unreadable)?,
            "dockerfile_inline" => inline = Some(fields::plain(value).map_err(unreadable)?),
            "target" => build.target = Some(fields::plain(value).map_err(unreadable)?),
            "args" => build.args = arguments(reader, value)?,
            "network" if value.text() == Some("default") => {}
            "cache_from" | "labels" | "no_cache" | "pull" | "tags" | "privileged"
            | "entitlements" => {}
            key => return Err(("unsupported", format!("{key} is not carried out"))),
        }
    }
    let outside = |path: &str| {
        (
            "outside-source",
            format!("{path:?} leads outside of the source"),
        )
    };
    let folder = inside(&reader.project.base, &context).ok_or_else(|| outside(&context))?;
    let tree = reader.project.tree;
    let path = inside(&folder, &file).ok_or_else(|| outside(&file))?;
    let text = match inline {
        Some(text) => text,
        None => text_of(tree, &path)
            .ok_or_else(|| {
                (
                    "missing",
                    format!("the Dockerfile {path} is not in the source"),
                )
            })?
            .to_string(),
    };
    build.dockerfile = without_frontend(&text);
    let beside = inside(&folder, ".dockerignore").unwrap_or_default();
    build.dockerignore = text_of(tree, &format!("{path}.dockerignore"))
        .or_else(|| text_of(tree, &beside))
        .map(|text| text.to_string())
        .unwrap_or_default();
    reader.plain.is_built = true;
    reader.plain.context = folder;
    reader.plain.build = build;
    Ok(())
}

/// Arguments end up in the history of the image: a secret is none.
fn arguments(reader: &Reader<'_>, node: &Node) -> Refused<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for (name, value) in fields::pairs(node).map_err(|reason| ("unreadable", reason))? {
        let outside = || match reader.project.variables.get(&name) {
            Some(Variable::Plain(text)) => Some(text.clone()),
            _ => None,
        };
        let Some(value) = value.or_else(outside) else {
            continue;
        };
        if super::interpolate::has_secret(&value) {
            return Err((
                "unsupported",
                format!("the argument {name} would leave a secret in the image"),
            ));
        }
        found.insert(name, value);
    }
    Ok(found)
}

/// The plan for the image of a service.
pub(crate) fn plan(service: &Plain) -> BuildPlan {
    let adds: String = service
        .adds
        .iter()
        .map(|(from, to)| copy(from, to))
        .collect();
    if service.is_built {
        return BuildPlan::Image {
            dockerfile: service.build.dockerfile.clone(),
            dockerignore: service.build.dockerignore.clone(),
            own_dockerfile: true,
            options: ImageOptions {
                context: service.context.clone(),
                target: service.build.target.clone(),
                args: service.build.args.clone(),
                adds,
            },
        };
    }
    // A build of one line pins the image by its content and gives it our mark.
    let image = service.image.as_deref().unwrap_or_default();
    let ignore = if adds.is_empty() { "*\n" } else { ".git\n" };
    BuildPlan::Image {
        dockerfile: format!("FROM {image}\n{adds}"),
        dockerignore: ignore.to_owned(),
        own_dockerfile: true,
        options: ImageOptions::default(),
    }
}

fn copy(from: &str, to: &str) -> String {
    let from = if from.is_empty() { "." } else { from };
    format!("COPY {}\n", serde_json::json!([from, to]))
}
