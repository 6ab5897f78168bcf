//! What every kind of source has in common: entries, the rules for their paths, what is left out, and the limits.

use std::collections::HashMap;

use super::SnapshotLimits;
use crate::{Error, Result};

/// A name that is never part of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The name of the file or folder, anywhere in the source.
    pub name: &'static str,
    /// When it is left out.
    pub when: LeftOutWhen,
    /// Why it is left out.
    pub why: &'static str,
}

/// When a name is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftOutWhen {
    /// Whatever it is.
    Always,
    /// When it is a folder, or a link that may stand for one.
    Folder,
    /// When it is a folder, or a link that may stand for one, and a file of this name lies beside it.
    FolderBeside(&'static str),
}

const fn left_out(name: &'static str, when: LeftOutWhen, why: &'static str) -> LeftOut {
    LeftOut { name, when, why }
}

/// What is never part of a snapshot, at any depth. A `.dockerignore` of the source is for the build and changes nothing here.
pub const LEFT_OUT: &[LeftOut] = &[
    left_out(
        ".git",
        LeftOutWhen::Always,
        "history, not content; differs between clones of the same commit",
    ),
    left_out(
        "node_modules",
        LeftOutWhen::Folder,
        "installed again by the build, for the build's platform",
    ),
    left_out(
        "__pycache__",
        LeftOutWhen::Folder,
        "written again by Python",
    ),
    left_out(
        ".venv",
        LeftOutWhen::Folder,
        "installed again by the build; holds absolute paths of this machine",
    ),
    left_out(".devopser", LeftOutWhen::Always, "our own files"),
    left_out(
        ".DS_Store",
        LeftOutWhen::Always,
        "view settings of the macOS Finder",
    ),
    left_out(
        "__MACOSX",
        LeftOutWhen::Folder,
        "resource forks that macOS adds to zip archives",
    ),
    left_out(
        "target",
        LeftOutWhen::FolderBeside("Cargo.toml"),
        "Cargo's build output; written again by the build",
    ),
];

/// Whether `name` is left out. `beside` says whether a file lies in the same folder.
pub(super) fn is_left_out(
    name: &str,
    is_file: bool,
    beside: impl FnOnce(&'static str) -> bool,
) -> bool {
    LEFT_OUT
        .iter()
        .find(|rule| rule.name == name)
        .is_some_and(|rule| match rule.when {
            LeftOutWhen::Always => true,
            LeftOutWhen::Folder => !is_file,
            LeftOutWhen::FolderBeside(file) => !is_file && beside(file),
        })
}

/// Whether the entry or a folder above it is left out.
pub(super) fn is_left_out_below(path: &str, is_file: bool, exists: impl Fn(&str) -> bool) -> bool {
    let mut start = 0;
    loop {
        let end = path[start..].find('/').map(|at| start + at);
        let name = &path[start..end.unwrap_or(path.len())];
        let beside = |file: &'static str| exists(&format!("{}{file}", &path[..start]));
        if is_left_out(name, is_file && end.is_none(), beside) {
            return true;
        }
        match end {
            Some(end) => start = end + 1,
            None => return false,
        }
    }
}

/// One thing in a source. `S` says where the content of a file is read from.
#[derive(Debug)]
pub(super) struct Entry<S> {
    /// The path from the root of the source, with `/` between names.
    pub(super) path: String,
    /// What it is.
    pub(super) content: Content<S>,
}

/// What an entry is.
#[derive(Debug)]
pub(super) enum Content<S> {
    /// A regular file.
    File {
        size: u64,
        executable: bool,
        place: S,
    },
    /// A symbolic link.
    Link { target: String },
    /// A folder. In a snapshot only empty ones are written down.
    Folder,
}

/// A value as it may be shown: control characters escaped, at most 200 characters.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == 200 {
            out.push('…');
            break;
        }
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}');
        if hidden {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// A source that breaks a rule: names the entry and the rule.
pub(super) fn refused(path: &str, rule: impl std::fmt::Display) -> Error {
    Error::invalid("source", format!("\"{}\" {rule}", shown(path)))
        .with_context("entry", shown(path))
}

/// Counts what goes into a snapshot and refuses what is over a limit.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    limits: &'a SnapshotLimits,
    folders: u64,
    pub(super) files: u64,
    pub(super) bytes: u64,
}

impl<'a> Tally<'a> {
    pub(super) fn new(limits: &'a SnapshotLimits) -> Self {
        Self {
            limits,
            folders: 0,
            files: 0,
            bytes: 0,
        }
    }

    pub(super) fn folder(&mut self) -> Result<()> {
        self.folders += 1;
        if self.folders > self.limits.files {
            return Err(over("folders", self.limits.files));
        }
        Ok(())
    }

    pub(super) fn link(&mut self) -> Result<()> {
        self.files += 1;
        if self.files > self.limits.files {
            return Err(over("files", self.limits.files));
        }
        Ok(())
    }

    pub(super) fn file(&mut self, path: &str, size: u64) -> Result<()> {
        self.link()?;
        if size > self.limits.file_bytes {
            let limit = self.limits.file_bytes;
            return Err(refused(path, format!("is {size} bytes large; the limit for one file is {limit} bytes"))
                .with_context("limit", limit)
                .with_remedy("Leave it out of the source, or keep it in a storage service and load it when the app starts."));
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.limits.bytes {
            return Err(
                over("bytes of content", self.limits.bytes).with_context("entry", shown(path))
            );
        }
        Ok(())
    }

    /// Checks the length and the depth of a path.
    pub(super) fn path(&self, path: &str) -> Result<()> {
        if path.split('/').count() > self.limits.depth {
            let limit = self.limits.depth;
            return Err(
                refused(path, format!("lies more than {limit} folders deep"))
                    .with_context("limit", limit),
            );
        }
        check_length(path)
    }
}

fn over(what: &str, limit: u64) -> Error {
    Error::invalid("source", format!("it holds more than {limit} {what}"))
        .with_context("limit", limit)
        .with_remedy("Leave out what the build makes or downloads again, or raise the limit.")
}

/// Longest path, and longest target of a link. What is longer cannot be unpacked everywhere.
const LONGEST_PATH: usize = 1024;

fn check_length(path: &str) -> Result<()> {
    if path.len() > LONGEST_PATH || path.split('/').any(|name| name.len() > 255) {
        return Err(refused(
            path,
            "is too long: a path has at most 1024 bytes, a name in it at most 255",
        ));
    }
    Ok(())
}

/// Which of two spellings of a path count as the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Only equal ones.
    Exact,
    /// Those that differ in upper and lower case too, as some file systems have it.
    FoldCase,
}

/// Refuses entries that appear twice, and entries that lie below a file or a link.
pub(super) fn check_places<S>(entries: &[Entry<S>], spelling: Spelling) -> Result<()> {
    let mut places: HashMap<String, (&str, bool)> = HashMap::with_capacity(entries.len() * 2);
    let key = |path: &str| match spelling {
        Spelling::Exact => path.to_owned(),
        Spelling::FoldCase => path.to_lowercase(),
    };
    for Entry { path, content } in entries {
        for (end, _) in path.match_indices('/') {
            let above = &path[..end];
            match places.get(&key(above)) {
                Some((_, false)) => {
                    return Err(refused(
                        path,
                        format!("lies below \"{}\", which is not a folder", shown(above)),
                    ));
                }
                Some((known, true)) if *known != above => return Err(twice(above, known)),
                Some(_) => {}
                None => {
                    places.insert(key(above), (above, true));
                }
            }
        }
        let is_folder = matches!(content, Content::Folder);
        match places.get(&key(path)) {
            Some((known, true)) if is_folder && *known == path => {}
            Some((known, _)) => return Err(twice(path, known)),
            None => {
                places.insert(key(path), (path, is_folder));
            }
        }
    }
    Ok(())
}

fn twice(path: &str, known: &str) -> Error {
    if path == known {
        refused(path, "appears twice")
    } else {
        refused(
            path,
            format!(
                "and \"{}\" differ in upper and lower case only",
                shown(known)
            ),
        )
    }
}

/// Refuses links that leave the source or lead to themselves.
pub(super) fn check_links<S>(entries: &[Entry<S>]) -> Result<()> {
    let links: HashMap<&str, &str> = entries
        .iter()
        .filter_map(|entry| match &entry.content {
            Content::Link { target } => Some((entry.path.as_str(), target.as_str())),
            _ => None,
        })
        .collect();
    for entry in entries {
        if let Content::Link { target } = &entry.content {
            check_link(&entry.path, target, &links)?;
        }
    }
    Ok(())
}

/// Follows a link as the file system would, over the links of the source. A target that does not exist is no error.
fn check_link(path: &str, target: &str, links: &HashMap<&str, &str>) -> Result<()> {
    const MOST_HOPS: usize = 40;
    const MOST_NAMES: usize = 1000;
    if target.is_empty() || target.len() > LONGEST_PATH {
        return Err(refused(
            path,
            "is a link whose target is empty or longer than 1024 bytes",
        ));
    }
    let mut at = path
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder)
        .to_owned();
    let mut ahead: Vec<&str> = Vec::new();
    let (mut next, mut hops, mut names) = (Some(target), 0, 0);
    loop {
        if let Some(target) = next.take() {
            hops += 1;
            if hops > MOST_HOPS {
                return Err(refused(path, "is a link that leads back to itself")
                    .with_remedy("Remove the link or let it point to a file or folder."));
            }
            if target.starts_with('/') {
                return Err(leaves(path, target));
            }
            ahead.extend(target.split('/').rev());
        }
        let Some(name) = ahead.pop() else {
            return Ok(());
        };
        names += 1;
        if names > MOST_NAMES {
            return Err(refused(path, "is a link through too many others"));
        }
        match name {
            "" | "." => {}
            ".." if at.is_empty() => return Err(leaves(path, target)),
            ".." => at.truncate(at.rfind('/').unwrap_or(0)),
            name => {
                let before = at.len();
                if !at.is_empty() {
                    at.push('/');
                }
                at.push_str(name);
                if let Some(target) = links.get(at.as_str()) {
                    next = Some(target);
                    at.truncate(before);
                }
            }
        }
    }
}

fn leaves(path: &str, target: &str) -> Error {
    refused(
        path,
        format!(
            "is a link to \"{}\", which is outside of the source",
            shown(target)
        ),
    )
    .with_context("target", shown(target))
    .with_remedy(
        "Copy what it points to into the source, or make it a relative link to something inside.",
    )
}

/// Brings the entries of a source into the form of a snapshot: sorted, and only empty folders written down.
pub(super) fn canonical<S>(mut entries: Vec<Entry<S>>) -> Vec<Entry<S>> {
    entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let holds_something: std::collections::HashSet<String> = entries
        .iter()
        .flat_map(|entry| {
            entry
                .path
                .match_indices('/')
                .map(|(end, _)| entry.path[..end].to_owned())
        })
        .collect();
    entries.retain(|entry| {
        !matches!(entry.content, Content::Folder) || !holds_something.contains(&entry.path)
    });
    entries.dedup_by(|a, b| matches!(a.content, Content::Folder) && a.path == b.path);
    entries
}

/// Refuses a source without any file.
pub(super) fn check_not_empty<S>(entries: &[Entry<S>], what: &str) -> Result<()> {
    if entries
        .iter()
        .any(|entry| !matches!(entry.content, Content::Folder))
    {
        return Ok(());
    }
    let names: Vec<&str> = LEFT_OUT.iter().map(|rule| rule.name).collect();
    Err(Error::invalid(
        "source",
        format!("{what} is empty: it holds no file to deploy"),
    )
    .with_remedy("Name the folder that holds the app.")
    .with_context("left_out", names.join(", ")))
}
