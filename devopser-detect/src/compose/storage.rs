//! What a service has beside its image: volumes, files of the source, memory, secrets and configs.

use devopser_core::model::container::{ContainerFile, VolumeMount};
use devopser_core::model::service::EnvValue;

use super::fields;
use super::interpolate::Variable;
use super::load::inside;
use super::mounts::{self, Kind};
use super::service::{Reader, Refused, env_value};
use crate::tree::FileTree;
use crate::yaml::Node;

/// Reads `volumes`.
pub(crate) fn volumes(reader: &mut Reader<'_>, node: &Node) {
    for item in node.list() {
        if let Err((rule, reason)) = volume(reader, item) {
            reader.refuse(item, item.line, rule, format!("volumes: {reason}"));
        }
    }
}

fn volume(reader: &mut Reader<'_>, node: &Node) -> Refused<()> {
    let mount = mounts::read(node, &reader.project.base)?;
    let container = &mut reader.plain.container;
    // What is mounted later at the same place takes it.
    container.volumes.retain(|other| other.path != mount.target);
    reader
        .plain
        .adds
        .retain(|(_, to)| to.trim_end_matches('/') != mount.target);
    let name = match mount.kind {
        Kind::Tmpfs => {
            container.tmpfs.insert(mount.target, String::new());
            return Ok(());
        }
        Kind::Volume(None) => None,
        Kind::Volume(Some(name)) => {
            let declared = reader.project.root.get("volumes");
            if declared.is_none_or(|all| all.get(&name).is_none()) {
                return Err((
                    "unreadable",
                    format!("the volume {name:?} is not declared under volumes"),
                ));
            }
            Some(name)
        }
        Kind::Source(path) => match content(reader.project.tree, &path) {
            Content::Nothing => Some(format!("path.{}", slug(&path))),
            content => {
                if !mount.read_only {
                    reader.plain.warnings.push(format!(
                        "{}: what is written to {} goes with the next deployment; only volumes keep it",
                        reader.plain.name, mount.target
                    ));
                }
                return add(
                    reader,
                    &path,
                    &mount.target,
                    matches!(content, Content::Folder),
                );
            }
        },
    };
    reader.plain.container.volumes.push(VolumeMount {
        name,
        path: mount.target,
        read_only: mount.read_only,
    });
    Ok(())
}

enum Content {
    File,
    Folder,
    /// Nothing but files that keep a folder in git: a place for data.
    Nothing,
}

fn content(tree: &dyn FileTree, path: &str) -> Content {
    let paths = tree.paths();
    if path.is_empty() {
        return Content::Folder;
    }
    if paths
        .binary_search_by(|known| known.as_str().cmp(path))
        .is_ok()
    {
        return Content::File;
    }
    let prefix = format!("{path}/");
    let start = paths.partition_point(|known| *known < prefix);
    let mut below = paths[start..]
        .iter()
        .take_while(|known| known.starts_with(&prefix));
    let is_kept = |path: &String| {
        let name = path.rsplit('/').next().unwrap_or_default();
        ![".gitkeep", ".keep", ".gitignore"].contains(&name)
    };
    if below.any(is_kept) {
        Content::Folder
    } else {
        Content::Nothing
    }
}

/// A path as a part of a volume's name.
fn slug(path: &str) -> String {
    path.chars()
        .map(|char| {
            if char.is_ascii_alphanumeric() {
                char
            } else {
                '-'
            }
        })
        .take(60)
        .collect()
}

/// A file or folder of the source that is copied into the image.
fn add(reader: &mut Reader<'_>, path: &str, target: &str, is_folder: bool) -> Refused<()> {
    let is_usual = |char: char| char.is_alphanumeric() || "/._-@+ ".contains(char);
    if !path.chars().chain(target.chars()).all(is_usual) {
        return Err((
            "unsupported",
            format!("the characters of the path {path:?} or {target:?}"),
        ));
    }
    let ending = if is_folder { "/" } else { "" };
    let from = if path.is_empty() {
        String::new()
    } else {
        format!("{path}{ending}")
    };
    reader.plain.adds.push((from, format!("{target}{ending}")));
    Ok(())
}

/// Reads `tmpfs`.
pub(crate) fn tmpfs(reader: &mut Reader<'_>, node: &Node) -> Refused<()> {
    for text in fields::texts(node).map_err(|reason| ("unreadable", reason))? {
        let (path, options) = text.split_once(':').unwrap_or((&text, ""));
        if !path.starts_with('/') {
            return Err(("unreadable", format!("{path:?} must be an absolute path")));
        }
        let tmpfs = &mut reader.plain.container.tmpfs;
        tmpfs.insert(path.to_owned(), options.to_owned());
    }
    Ok(())
}

/// Reads `secrets` or `configs`.
pub(crate) fn files(reader: &mut Reader<'_>, kind: &str, node: &Node) -> Refused<()> {
    for item in node.list() {
        let text = |key: &str| item.get(key).and_then(Node::text);
        let name = item.text().or_else(|| text("source")).unwrap_or_default();
        let declared = reader.project.root.get(kind).and_then(|all| all.get(name));
        let declared = declared.ok_or_else(|| {
            (
                "unreadable",
                format!("{name:?} is not declared under {kind}"),
            )
        })?;
        let target = match (text("target"), kind) {
            (Some(target), _) if target.starts_with('/') => target.to_owned(),
            (target, "secrets") => format!("/run/secrets/{}", target.unwrap_or(name)),
            (target, _) => format!("/{}", target.unwrap_or(name)),
        };
        if target.split('/').any(|part| part == "..") {
            return Err(("unreadable", format!("{target:?} is no path")));
        }
        if let Some(path) = declared.get("file").and_then(Node::text) {
            let outside = || {
                (
                    "outside-source",
                    format!("{path:?} leads outside of the source"),
                )
            };
            let at = inside(&reader.project.base, path).ok_or_else(outside)?;
            match content(reader.project.tree, &at) {
                Content::File => add(reader, &at, &target, false)?,
                _ => return Err(("missing", format!("the file {path:?} is not in the source"))),
            }
        } else {
            let content = given(reader, name, declared)?;
            let files = &mut reader.plain.container.files;
            files.push(ContainerFile {
                path: target,
                content,
            });
        }
    }
    Ok(())
}

/// The content of a secret or config that is no file: from a variable, or written out.
fn given(reader: &Reader<'_>, name: &str, declared: &Node) -> Refused<EnvValue> {
    if let Some(content) = declared.get("content").and_then(Node::text) {
        return Ok(env_value(content));
    }
    let variable = declared.get("environment").and_then(Node::text);
    let variable = variable.ok_or_else(|| {
        (
            "unsupported",
            format!("{name:?} needs a file, a content or an environment"),
        )
    })?;
    match reader.project.variables.get(variable) {
        Some(Variable::Plain(text)) => Ok(EnvValue::Plain(text.clone())),
        Some(Variable::Secret(name)) => Ok(EnvValue::Secret(
            devopser_core::model::service::SecretRef(name.clone()),
        )),
        None => Err((
            "variable",
            format!("the variable {variable} must be set; hand it over with --secret {variable}"),
        )),
    }
}
