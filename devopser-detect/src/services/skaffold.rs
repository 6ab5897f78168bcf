//! What Skaffold builds (<https://skaffold.dev/docs/references/yaml/>): the context of each artifact is a service.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use devopser_core::model::report::Evidence;
use serde_json::Value;

use crate::compose::inside;
use crate::scan::{Scan, folder_of};

/// How many files are read.
const MAX_FILES: usize = 40;

/// Why a folder counts.
pub(super) const WHY: &str = "a build context of Skaffold";

/// The folders that the root's configuration builds, and those that it requires.
pub(super) fn find(scan: &Scan<'_>) -> BTreeMap<String, Evidence> {
    let mut found = BTreeMap::new();
    let first = scan.first(&["skaffold.yaml", "skaffold.yml"]);
    let mut queue: VecDeque<String> = first.into_iter().map(str::to_owned).collect();
    let mut seen = BTreeSet::new();
    while let Some(path) = queue.pop_front().filter(|_| seen.len() < MAX_FILES) {
        if !seen.insert(path.clone()) {
            continue;
        }
        let here = folder_of(&path);
        for config in scan.yaml_documents(&path) {
            for artifact in list(&config, "/build/artifacts") {
                if let Some(folder) = context(scan, here, artifact) {
                    let image = artifact.get("image").and_then(Value::as_str);
                    let evidence = scan.evidence(&path, image.unwrap_or("artifacts"), WHY);
                    found.entry(folder).or_insert(evidence);
                }
            }
            let required = list(&config, "/requires")
                .filter_map(|required| required.get("path")?.as_str())
                .filter_map(|path| inside(here, path));
            queue.extend(required.map(|path| match path.rsplit_once('.') {
                Some((_, "yaml" | "yml")) => path,
                _ => format!("{path}/skaffold.yaml"),
            }));
        }
    }
    found
}

fn list<'v>(config: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    let found = config.pointer(pointer).and_then(Value::as_array);
    found.into_iter().flatten()
}

/// The folder that an artifact is built in; `None` for the root, and for what lies outside.
fn context(scan: &Scan<'_>, here: &str, artifact: &Value) -> Option<String> {
    let context = artifact.get("context").and_then(Value::as_str);
    let folder = inside(here, context.unwrap_or("."))?;
    // Jib builds a module of a larger build (https://skaffold.dev/docs/builders/builder-types/jib/).
    let module = artifact.pointer("/jib/project").and_then(Value::as_str);
    let module = module.and_then(|module| inside(&folder, &module.replace(':', "/")));
    let folder = module
        .filter(|module| scan.has_folder(module))
        .unwrap_or(folder);
    (!folder.is_empty()).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn contexts_are_found_through_required_files_and_stay_inside() {
        let root = "apiVersion: skaffold/v4beta1\nkind: Config\nbuild:\n  artifacts:\n    - image: web\n      context: src/web\n    - image: all\n    - image: out\n      context: ../elsewhere\n---\nkind: Config\nrequires:\n  - path: src/api/skaffold.yaml\n  - path: src/jobs\n";
        let tree = MemoryTree::new([
            ("skaffold.yaml", root),
            ("src/web/x", ""),
            (
                "src/api/skaffold.yaml",
                "build:\n  artifacts: [{image: api, context: .}, {image: m, jib: {project: core}}]\nrequires: [{path: ../../skaffold.yaml}]\n",
            ),
            ("src/api/core/x", ""),
            (
                "src/jobs/skaffold.yaml",
                "build: {artifacts: [{image: jobs, context: ../workers}]}",
            ),
        ]);
        let found = find(&Scan::new(&tree));
        let folders: Vec<&String> = found.keys().collect();
        assert_eq!(
            folders,
            ["src/api", "src/api/core", "src/web", "src/workers"]
        );
        assert_eq!(found["src/web"].line, Some(5));
    }
}
