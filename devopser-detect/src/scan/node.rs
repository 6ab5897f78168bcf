//! `package.json` (<https://docs.npmjs.com/cli/configuring-npm/package-json>), read once.

use std::collections::BTreeMap;
use std::rc::Rc;

use devopser_core::model::report::Evidence;
use serde_json::Value;

use super::Scan;

/// What a `package.json` says that detection uses.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) value: Rc<Value>,
    pub(crate) main: Option<String>,
    pub(crate) scripts: BTreeMap<String, String>,
    /// What is needed when the app runs: `dependencies` and `optionalDependencies`.
    pub(crate) dependencies: BTreeMap<String, String>,
    /// What is needed to build: `devDependencies`, `peerDependencies`.
    pub(crate) dev_dependencies: BTreeMap<String, String>,
    /// `packageManager`, such as `pnpm@9.1.0`.
    pub(crate) package_manager: Option<String>,
    pub(crate) is_module: bool,
    /// For the last byte of a name, modulo 64, the lengths of the dependencies that end so.
    signs: Vec<u64>,
}

impl Package {
    pub(crate) fn new(value: Rc<Value>) -> Self {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let mut dependencies = texts(value.get("dependencies"));
        dependencies.extend(texts(value.get("optionalDependencies")));
        let mut dev_dependencies = texts(value.get("devDependencies"));
        dev_dependencies.extend(texts(value.get("peerDependencies")));
        let mut signs = vec![0; 64];
        for name in dependencies.keys().chain(dev_dependencies.keys()) {
            let (last, length) = sign(name);
            signs[last] |= length;
        }
        Self {
            signs,
            main: text("main"),
            scripts: texts(value.get("scripts")),
            dependencies,
            dev_dependencies,
            package_manager: text("packageManager"),
            is_module: value.get("type").and_then(Value::as_str) == Some("module"),
            value,
        }
    }

    /// The version range of a dependency of any kind.
    pub(crate) fn any(&self, name: &str) -> Option<&str> {
        // Most names that are asked for are not there.
        let (last, length) = sign(name);
        if self.signs.get(last)? & length == 0 {
            return None;
        }
        self.dependencies
            .get(name)
            .or_else(|| self.dev_dependencies.get(name))
            .map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.any(name).is_some()
    }

    pub(crate) fn script(&self, name: &str) -> Option<&str> {
        self.scripts
            .get(name)
            .map(|script| script.trim())
            .filter(|script| !script.is_empty())
    }

    /// The script that a script ends in where it only calls another one: `npm run serve` is what `serve` says.
    pub(crate) fn called(&self, name: &str) -> Option<&str> {
        let mut script = self.script(name)?;
        for _ in 0..3 {
            let words: Vec<&str> = script.split_whitespace().collect();
            let next = match words.as_slice() {
                ["npm" | "yarn" | "pnpm" | "bun", "run", name]
                | ["yarn" | "pnpm", name]
                | ["npm" | "yarn" | "pnpm" | "bun", "run", name, "--"] => self.script(name),
                _ => None,
            };
            let Some(next) = next else { break };
            script = next;
        }
        Some(script)
    }

    /// `engines.{name}`.
    pub(crate) fn engine(&self, name: &str) -> Option<&str> {
        self.value.get("engines")?.get(name)?.as_str()
    }

    /// The workspace globs: npm, yarn and bun keep them here.
    pub(crate) fn workspaces(&self) -> Vec<String> {
        let workspaces = self.value.get("workspaces");
        let list = workspaces
            .and_then(|found| found.get("packages"))
            .or(workspaces);
        list.and_then(Value::as_array)
            .map(|globs| {
                globs
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default()
    }
}

/// The last byte of a name, modulo 64, and its length as one of 64 bits.
fn sign(name: &str) -> (usize, u64) {
    let last = name.as_bytes().last().copied().unwrap_or_default();
    (usize::from(last & 63), 1 << (name.len() & 63))
}

fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    value
        .and_then(Value::as_object)
        .map(|map| {
            map.iter()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect()
        })
        .unwrap_or_default()
}

impl Scan<'_> {
    /// The root's `package.json`.
    pub(crate) fn package(&self) -> Option<Rc<Package>> {
        self.package
            .get_or_init(|| self.parsed_package("package.json"))
            .clone()
    }

    /// Any `package.json`; only the root's is kept beyond its text.
    pub(crate) fn package_at(&self, path: &str) -> Option<Rc<Package>> {
        match path {
            "package.json" => self.package(),
            path => self.parsed_package(path),
        }
    }

    fn parsed_package(&self, path: &str) -> Option<Rc<Package>> {
        let value = self.json(path).filter(|value| value.is_object())?;
        Some(Rc::new(Package::new(value)))
    }

    /// Evidence that the root's `package.json` names a dependency or a script.
    pub(crate) fn in_package(&self, key: &str, why: impl Into<String>) -> Evidence {
        self.evidence("package.json", &format!("\"{key}\""), why)
    }
}

/// The first number of a version or range, such as 5 of `^5.1.0`.
pub(crate) fn major(range: &str) -> Option<u32> {
    let digits: String = range
        .chars()
        .skip_while(|char| !char.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn follows_scripts_that_only_call_others() {
        let text = r#"{"scripts":{"start":"npm run serve","serve":"yarn run it","it":"node a.js","loop":"npm run loop","both":"npm run it && x","with":"npm run it -- node b.js"}}"#;
        let tree = MemoryTree::new([("package.json", text)]);
        let package = Scan::new(&tree).package().unwrap();
        assert_eq!(package.called("start"), Some("node a.js"));
        assert_eq!(package.called("loop"), Some("npm run loop"));
        assert_eq!(package.called("both"), Some("npm run it && x"));
        assert_eq!(package.called("with"), Some("npm run it -- node b.js"));
    }

    #[test]
    fn reads_what_is_there_and_skips_what_is_odd() {
        let text = r#"{"scripts":{"start":"x","odd":1},"dependencies":[],"workspaces":{"packages":["a/*"]}}"#;
        let tree = MemoryTree::new([("package.json", text)]);
        let package = Scan::new(&tree).package().unwrap();
        assert_eq!(package.script("start"), Some("x"));
        assert_eq!(package.script("odd"), None);
        assert_eq!(package.workspaces(), ["a/*"]);
        assert_eq!(major(">=18.2 <21"), Some(18));
    }
}
