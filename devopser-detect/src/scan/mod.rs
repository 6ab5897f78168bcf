//! [`Scan`]: the one door through which detectors see a tree. Manifests are read and parsed once, however many
//! detectors ask; what cannot be parsed becomes a warning and reads as absent.

pub(crate) mod ci;
pub(crate) mod code;
pub(crate) mod env;
pub(crate) mod go;
pub(crate) mod java;
pub(crate) mod jsonc;
pub(crate) mod node;
pub(crate) mod pattern;
pub(crate) mod platform;
pub(crate) mod procfile;
pub(crate) mod python;
pub(crate) mod ruby;
mod search;
pub(crate) mod settings;
pub(crate) mod solution;
pub(crate) mod versions;
pub(crate) mod xml;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use devopser_core::model::report::Evidence;
use serde_json::Value;

use crate::dockerfile::Dockerfile;
use crate::tree::{FileRead, FileTree};
use crate::yaml;

/// A tree with everything that was read from it so far.
#[derive(Debug)]
pub(crate) struct Scan<'t> {
    tree: &'t dyn FileTree,
    /// The same for the repository's root, when `tree` is the folder of one service.
    above: Option<&'t Self>,
    /// That folder's path below the root.
    folder: String,
    texts: RefCell<HashMap<String, Option<Rc<str>>>>,
    heads: RefCell<HashMap<String, Option<Rc<str>>>>,
    dockerfiles: RefCell<HashMap<String, Rc<Dockerfile>>>,
    values: RefCell<HashMap<String, Option<Rc<Value>>>>,
    warnings: RefCell<Vec<String>>,
    search: search::Search,
    poms: RefCell<HashMap<String, Option<Rc<java::Pom>>>>,
    pub(crate) package: OnceCell<Option<Rc<node::Package>>>,
    pub(crate) python: OnceCell<Rc<python::Requirements>>,
    pub(crate) listed: OnceCell<crate::services::Listed>,
}

impl<'t> Scan<'t> {
    pub(crate) fn new(tree: &'t dyn FileTree) -> Self {
        Self {
            tree,
            above: None,
            folder: String::new(),
            texts: RefCell::default(),
            heads: RefCell::default(),
            dockerfiles: RefCell::default(),
            values: RefCell::default(),
            warnings: RefCell::default(),
            search: search::Search::default(),
            poms: RefCell::default(),
            package: OnceCell::new(),
            python: OnceCell::new(),
            listed: OnceCell::new(),
        }
    }

    /// A scan of a service's folder; lock and version files are also looked for in `above`.
    pub(crate) fn below(tree: &'t dyn FileTree, above: &'t Self, folder: &str) -> Self {
        Self {
            above: Some(above),
            folder: folder.to_owned(),
            ..Self::new(tree)
        }
    }

    pub(crate) const fn above(&self) -> Option<&'t Self> {
        self.above
    }

    /// The path of this folder below the repository's root; empty for the root itself.
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    /// The paths that a file of that name would have in the folders between this one and the root, nearest first.
    pub(crate) fn ancestors_of(&self, name: &str) -> Vec<String> {
        let mut folder = self.folder.as_str();
        let mut found = Vec::new();
        while !folder.is_empty() {
            folder = folder_of(folder);
            found.push(if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            });
        }
        found
    }

    pub(crate) fn tree(&self) -> &'t dyn FileTree {
        self.tree
    }

    /// Whether there is a file of that path.
    pub(crate) fn has(&self, path: &str) -> bool {
        if !self.may_have(path) {
            return false;
        }
        let folder = folder_of(path);
        if folder.is_empty() {
            return is_in(&self.top().files, path);
        }
        let top = folder.split('/').next().unwrap_or_default();
        self.top().folders.iter().any(|known| known == top) && is_in(&self.list(folder).files, path)
    }

    /// The first of the paths that is there.
    pub(crate) fn first<'a>(&self, candidates: &[&'a str]) -> Option<&'a str> {
        candidates.iter().copied().find(|path| self.has(path))
    }

    /// Whether the root holds the manifest of a stack.
    pub(crate) fn has_manifest(&self) -> bool {
        self.first(crate::services::MANIFESTS)
            .is_some_and(|name| !["index.html", "Dockerfile"].contains(&name))
    }

    /// Whether any file lies below the folder (named without a trailing `/`).
    pub(crate) fn has_folder(&self, folder: &str) -> bool {
        self.under(folder).next().is_some()
    }

    /// The files that lie in the root itself.
    pub(crate) fn root_files(&self) -> &[String] {
        &self.top().files
    }

    /// The files of the root that end so.
    pub(crate) fn root_with<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a str> {
        let files = self.root_files().iter().map(String::as_str);
        files.filter(move |path| ends(path, ending))
    }

    /// Files with the name, nearest to the root first, at most `depth` folders down.
    pub(crate) fn named(&self, name: &str, depth: usize) -> Vec<&str> {
        let is_named = |path: &str| {
            ends(path, name) && {
                let folder = &path[..path.len() - name.len()];
                folder.is_empty() || folder.ends_with('/')
            }
        };
        self.files(depth).filter(|path| is_named(path)).collect()
    }

    /// Files that end so, nearest to the root first, at most `depth` folders down.
    pub(crate) fn ending(&self, ending: &str, depth: usize) -> Vec<&str> {
        self.files(depth)
            .filter(|path| ends(path, ending))
            .collect()
    }

    /// A file as text; bytes that are not UTF-8 are replaced. `None` when it is absent, too large or not fetched.
    pub(crate) fn text(&self, path: &str) -> Option<Rc<str>> {
        if !self.has(path) {
            return None;
        }
        if let Some(known) = self.texts.borrow().get(path) {
            return known.clone();
        }
        let text = match self.tree.read(path) {
            FileRead::Present(bytes) => Some(decoded(&bytes)),
            FileRead::TooLarge => {
                self.warn(format!("{path} is too large to be read"));
                None
            }
            _ => None,
        };
        self.texts
            .borrow_mut()
            .insert(path.to_owned(), text.clone());
        text
    }

    /// The beginning of a file as text, for lock files.
    pub(crate) fn head(&self, path: &str) -> Option<Rc<str>> {
        if !self.has(path) {
            return None;
        }
        if let Some(known) = self.heads.borrow().get(path) {
            return known.clone();
        }
        let head = match self.tree.head(path, HEAD) {
            FileRead::Present(bytes) => Some(decoded(&bytes)),
            _ => None,
        };
        self.heads
            .borrow_mut()
            .insert(path.to_owned(), head.clone());
        head
    }

    /// A Dockerfile, parsed once.
    pub(crate) fn dockerfile(&self, path: &str) -> Option<Rc<Dockerfile>> {
        if let Some(known) = self.dockerfiles.borrow().get(path) {
            return Some(Rc::clone(known));
        }
        let parsed = Rc::new(Dockerfile::parse(&self.text(path)?));
        self.dockerfiles
            .borrow_mut()
            .insert(path.to_owned(), Rc::clone(&parsed));
        Some(parsed)
    }

    /// A JSON file, comments and trailing commas allowed.
    pub(crate) fn json(&self, path: &str) -> Option<Rc<Value>> {
        self.value(path, jsonc::parse)
    }

    /// A TOML file.
    pub(crate) fn toml(&self, path: &str) -> Option<Rc<Value>> {
        self.value(path, |text| {
            toml::from_str::<Value>(text).map_err(|error| error.message().to_owned())
        })
    }

    /// A YAML file: its first document.
    pub(crate) fn yaml(&self, path: &str) -> Option<Rc<Value>> {
        self.value(path, first_document)
    }

    /// A YAML file that a Gradle build may fill in, where `\${…}` is written for a `${…}` that is to stay
    /// (<https://docs.spring.io/spring-boot/how-to/properties-and-configuration.html>).
    pub(crate) fn yaml_of_gradle(&self, path: &str) -> Option<Rc<Value>> {
        self.value(path, |text| {
            first_document(text).or_else(|_| first_document(&text.replace("\\$", "$")))
        })
    }

    /// All documents of a YAML file, as far as they can be parsed.
    pub(crate) fn yaml_documents(&self, path: &str) -> Vec<Value> {
        let text = self.text(path).unwrap_or_default();
        let mut found = Vec::new();
        for document in yaml::documents(&text).take(MAX_DOCUMENTS) {
            match document {
                Ok(document) => found.push(document),
                Err(why) => self.warn(format!("{path} cannot be parsed: {why}")),
            }
        }
        found
    }

    fn value(
        &self,
        path: &str,
        parse: impl Fn(&str) -> Result<Value, String>,
    ) -> Option<Rc<Value>> {
        if !self.has(path) {
            return None;
        }
        if let Some(known) = self.values.borrow().get(path) {
            return known.clone();
        }
        let value = self.text(path).and_then(|text| match parse(&text) {
            Ok(value) => Some(Rc::new(value)),
            Err(why) => {
                let why = why.lines().next().unwrap_or_default().to_owned();
                self.warn(format!("{path} cannot be parsed: {why}"));
                None
            }
        });
        self.values
            .borrow_mut()
            .insert(path.to_owned(), value.clone());
        value
    }

    /// The line, from 1, on which `needle` first stands in the file.
    pub(crate) fn line_of(&self, path: &str, needle: &str) -> Option<u32> {
        let text = self.text(path)?;
        line_of(&text, needle)
    }

    /// Evidence that a line of a file gives: the first with `needle`.
    pub(crate) fn evidence(&self, path: &str, needle: &str, why: impl Into<String>) -> Evidence {
        Evidence::line(path, self.line_of(path, needle), why)
    }

    pub(crate) fn warn(&self, warning: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) && warnings.len() < 100 {
            warnings.push(warning);
        }
    }

    pub(crate) fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }
}

/// How much of a file its beginning is.
const HEAD: usize = 1024;

/// How many documents of a YAML file are read.
const MAX_DOCUMENTS: usize = 100;

/// The first document of a YAML text.
fn first_document(text: &str) -> Result<Value, String> {
    yaml::documents(text).next().unwrap_or(Ok(Value::Null))
}

/// Bytes as text, without a byte order mark; what is not UTF-8 is replaced.
fn decoded(bytes: &[u8]) -> Rc<str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Rc::from(text),
        Err(_) => Rc::from(String::from_utf8_lossy(bytes)),
    }
}

/// Whether a sorted list has the path.
fn is_in(sorted: &[String], path: &str) -> bool {
    sorted
        .binary_search_by(|known| known.as_str().cmp(path))
        .is_ok()
}

/// The line, from 1, on which `needle` first stands.
pub(crate) fn line_of(text: &str, needle: &str) -> Option<u32> {
    let at = memchr::memmem::find(text.as_bytes(), needle.as_bytes())?;
    line_at(text, at)
}

/// The line, from 1, of a byte offset.
pub(crate) fn line_at(text: &str, at: usize) -> Option<u32> {
    let before = text.as_bytes().get(..at)?;
    u32::try_from(memchr::memchr_iter(b'\n', before).count() + 1).ok()
}

/// Whether a path ends so: most differ in their last byte.
fn ends(path: &str, ending: &str) -> bool {
    let same = ending.is_empty() || path.as_bytes().last() == ending.as_bytes().last();
    same && path.ends_with(ending)
}

/// Whether a path may stand in a generated file as it is.
pub(crate) fn is_plain(path: &str) -> bool {
    !path.is_empty()
        && path
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
        && !path.split('/').any(|part| part == "..")
}

/// The path of what lies in a folder; the root's is empty.
pub(crate) fn join(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

/// The last part of a path.
pub(crate) fn base_name(path: &str) -> &str {
    last_slash(path).map_or(path, |at| &path[at + 1..])
}

/// The folder of a path; empty for the root.
pub(crate) fn folder_of(path: &str) -> &str {
    last_slash(path).map_or("", |at| &path[..at])
}

/// Paths are short: looking byte by byte is the fastest.
fn last_slash(path: &str) -> Option<usize> {
    path.bytes().rposition(|byte| byte == b'/')
}
