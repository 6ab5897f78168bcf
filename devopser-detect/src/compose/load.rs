//! From a compose file to its services: variables filled in, `extends` followed.

use std::rc::Rc;

use devopser_core::model::report::Finding;

use super::interpolate::{self, Variables};
use crate::tree::{FileRead, FileTree};
use crate::yaml::{self, Node, Yaml};

/// How many files an `extends` may lead through.
const MAX_EXTENDS: usize = 8;
/// The most services of one file.
const MAX_SERVICES: usize = 64;

/// A compose file with everything that it refers to.
#[derive(Debug)]
pub(crate) struct Project<'t> {
    pub(crate) tree: &'t dyn FileTree,
    /// The compose file's path.
    pub(crate) path: String,
    /// Its folder, which its relative paths start from; the empty text is the root.
    pub(crate) base: String,
    pub(crate) root: Node,
    /// The services that are started by default: those with a profile are left out.
    pub(crate) services: Vec<Service>,
    pub(crate) variables: Variables,
    /// Variables that must be set and are not; they were read as empty.
    pub(crate) missing: Vec<Finding>,
}

/// One service, its `extends` filled in.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) node: Node,
}

/// Reads a compose file. What is wrong with it as a whole ends the reading.
pub(crate) fn load<'t>(
    tree: &'t dyn FileTree,
    path: &str,
    variables: &Variables,
) -> Result<Project<'t>, Vec<Finding>> {
    let mut variables = variables.clone();
    if let Some(text) = text_of(tree, &sibling(path, ".env")) {
        let own = interpolate::env_file(&text, &variables).map_err(|(line, reason)| {
            vec![finding(&sibling(path, ".env"), line, "variable", reason)]
        })?;
        for (name, value) in own {
            variables.entry(name).or_insert(value);
        }
    }
    let mut missing = Vec::new();
    let root = read(tree, path, &variables, &mut missing)?;
    if let Some((_, line, _)) = root.map().iter().find(|(key, ..)| key == "include") {
        let reason = "include is not followed; write the services into this file";
        return Err(vec![finding(path, *line, "include", reason)]);
    }
    let services = root.get("services").filter(|node| !node.map().is_empty());
    let Some(services) = services else {
        return Err(vec![finding(
            path,
            root.line,
            "unreadable",
            "it has no services",
        )]);
    };
    if services.map().len() > MAX_SERVICES {
        let reason = format!("it has more than {MAX_SERVICES} services");
        return Err(vec![finding(path, services.line, "unreadable", reason)]);
    }
    let mut found = Vec::new();
    let mut findings = Vec::new();
    for (name, line, node) in services.map() {
        let loader = Loader {
            tree,
            variables: &variables,
        };
        match loader.extended(path, services, name, node, *line, 0) {
            Ok(node) if has_profile(&node) => {}
            Ok(node) => found.push(Service {
                name: name.clone(),
                line: *line,
                node,
            }),
            Err(finding) => findings.push(finding),
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    Ok(Project {
        tree,
        path: path.to_owned(),
        base: path
            .rsplit_once('/')
            .map_or_else(String::new, |(folder, _)| folder.to_owned()),
        root,
        services: found,
        variables,
        missing,
    })
}

fn has_profile(node: &Node) -> bool {
    node.get("profiles")
        .is_some_and(|profiles| !profiles.list().is_empty())
}

/// One file with its variables filled in.
fn read(
    tree: &dyn FileTree,
    path: &str,
    variables: &Variables,
    missing: &mut Vec<Finding>,
) -> Result<Node, Vec<Finding>> {
    let Some(text) = text_of(tree, path) else {
        let reason = "it cannot be read: it is absent, too large, or no UTF-8 text";
        return Err(vec![finding(path, 1, "unreadable", reason)]);
    };
    if interpolate::has_secret(&text) {
        let reason = "it holds characters of the private use area";
        return Err(vec![finding(path, 1, "unreadable", reason)]);
    }
    let mut root = yaml::parse(path, &text)
        .map_err(|error| vec![finding(path, error.line, "unreadable", error.reason)])?;
    root.each_text(&mut |text, line| match interpolate::fill(text, variables) {
        Ok(filled) => *text = filled,
        Err(reason) => {
            missing.push(finding(path, line, "variable", reason));
            text.clear();
        }
    });
    Ok(root)
}

struct Loader<'l> {
    tree: &'l dyn FileTree,
    variables: &'l Variables,
}

impl Loader<'_> {
    /// A service with what it extends.
    fn extended(
        &self,
        path: &str,
        services: &Node,
        name: &str,
        node: &Node,
        line: u32,
        depth: usize,
    ) -> Result<Node, Finding> {
        let refuse = |line: u32, rule: &str, reason: String| finding(path, line, rule, reason);
        if !matches!(node.value, Yaml::Map(_)) {
            return Err(refuse(
                line,
                "unreadable",
                format!("the service {name:?} is no mapping"),
            ));
        }
        let Some((_, line, extends)) = node.map().iter().find(|(key, ..)| key == "extends") else {
            return Ok(node.clone());
        };
        if depth >= MAX_EXTENDS {
            return Err(refuse(
                *line,
                "extends",
                "extends leads too far, or in a circle".to_owned(),
            ));
        }
        let base = extends.text().or_else(|| extends.get("service")?.text());
        let base =
            base.ok_or_else(|| refuse(*line, "extends", "extends names no service".to_owned()))?;
        let unknown = || {
            refuse(
                *line,
                "extends",
                format!("there is no service {base:?} to extend"),
            )
        };
        let base_node = match extends.get("file").and_then(Node::text) {
            None => {
                let (_, base_line, found) = entry(services, base).ok_or_else(unknown)?;
                self.extended(path, services, base, found, *base_line, depth + 1)?
            }
            Some(file) => {
                let other = self.beside(path, file).ok_or_else(|| {
                    let reason = format!(
                        "extends leads to {file:?}, which is not beside this file in the source"
                    );
                    refuse(*line, "outside-source", reason)
                })?;
                let mut missing = Vec::new();
                let root = read(self.tree, &other, self.variables, &mut missing)
                    .map_err(|mut findings| findings.swap_remove(0))?;
                if !missing.is_empty() {
                    return Err(missing.swap_remove(0));
                }
                let others = root.get("services").ok_or_else(unknown)?;
                let (_, base_line, found) = entry(others, base).ok_or_else(unknown)?;
                self.extended(&other, others, base, found, *base_line, depth + 1)?
            }
        };
        merged(base_node, node, "")
    }

    /// The path of a file in the same folder.
    fn beside(&self, path: &str, file: &str) -> Option<String> {
        let name = file.strip_prefix("./").unwrap_or(file);
        let other = sibling(path, name);
        let is_plain = !name.contains(['/', '\\']) && name != "..";
        (is_plain && matches!(self.tree.read(&other), FileRead::Present(_))).then_some(other)
    }
}

fn entry<'n>(services: &'n Node, name: &str) -> Option<&'n (String, u32, Node)> {
    services.map().iter().find(|(key, ..)| key == name)
}

/// `own` over `base`: mappings are merged, lists are appended, commands replaced.
fn merged(base: Node, own: &Node, key: &str) -> Result<Node, Finding> {
    let mut out = own.clone();
    match (base.value, &own.value) {
        (Yaml::Map(entries), Yaml::Map(_)) => {
            let mut all = entries;
            for (name, line, node) in own.map() {
                let at = all.iter().position(|(known, ..)| known == name);
                let node = match at {
                    Some(at) => merged(all.remove(at).2, node, name)?,
                    None => node.clone(),
                };
                all.push((name.clone(), *line, node));
            }
            all.retain(|(name, ..)| name != "extends" || !key.is_empty());
            out.value = Yaml::Map(all);
        }
        (Yaml::List(mut items), Yaml::List(more))
            if !["command", "entrypoint", "test"].contains(&key) =>
        {
            items.extend(more.iter().cloned());
            out.value = Yaml::List(items);
        }
        (Yaml::List(_), Yaml::Map(_)) | (Yaml::Map(_), Yaml::List(_)) if key != "build" => {
            let reason = format!(
                "{key} is a list on one side of extends and a mapping on the other; write both alike"
            );
            return Err(finding(&own.file, own.line, "extends", reason));
        }
        _ => {}
    }
    Ok(out)
}

/// A finding.
pub(crate) fn finding(path: &str, line: u32, rule: &str, reason: impl Into<String>) -> Finding {
    Finding {
        path: path.to_owned(),
        line,
        rule: rule.to_owned(),
        reason: reason.into(),
    }
}

/// A file as text; `None` when it is not there, too large or no UTF-8.
pub(crate) fn text_of(tree: &dyn FileTree, path: &str) -> Option<Rc<str>> {
    match tree.read(path) {
        FileRead::Present(bytes) => std::str::from_utf8(&bytes).ok().map(Rc::from),
        _ => None,
    }
}

/// A path beside `path`.
fn sibling(path: &str, name: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{name}"),
        None => name.to_owned(),
    }
}

/// A relative path in its shortest form, without `./`; the empty text is the root. `None` when it leads outside.
pub(crate) fn inside(base: &str, path: &str) -> Option<String> {
    if path.starts_with(['/', '~', '\\'])
        || path.contains(['\\', '\0'])
        || path.get(1..2) == Some(":")
    {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
