//! Kubernetes manifests that name what runs: a Deployment with the name of a folder is that folder's service.

use std::collections::{BTreeMap, BTreeSet};

use devopser_core::model::report::Evidence;

use crate::scan::{Scan, base_name, line_at};

/// Why a folder counts.
pub(super) const WHY: &str = "a Deployment of Kubernetes has the folder's name";

/// How many manifests are read.
const MAX_FILES: usize = 60;

/// Folders in which services lie; the root itself as well.
const PARENTS: &[&str] = &["", "apps/", "services/", "src/", "microservices/"];

/// Folders in which manifests lie.
const FOLDERS: &[&str] = &[
    "k8s",
    "k8s-manifests",
    "kubernetes",
    "kube",
    "kubernetes-manifests",
    "deploy",
    "deployment",
    "deployments",
    "manifests",
    "helm",
    "charts",
];

/// The folders that Deployments (<https://kubernetes.io/docs/concepts/workloads/controllers/deployment/>) are named
/// after.
pub(super) fn find(scan: &Scan<'_>) -> BTreeMap<String, Evidence> {
    let mut found = BTreeMap::new();
    let kept = scan
        .folders(deep(scan))
        .filter(|folder| FOLDERS.contains(&base_name(folder).to_ascii_lowercase().as_str()));
    let files = kept.flat_map(|folder| scan.under(folder).take(MAX_FILES * 4));
    let files: BTreeSet<String> = files.filter(|path| is_manifest(path)).collect();
    for path in files.iter().take(MAX_FILES) {
        let Some(text) = scan.text(path) else {
            continue;
        };
        for (name, at) in deployments(&text) {
            let folder = PARENTS
                .iter()
                .map(|parent| format!("{parent}{name}"))
                .find(|folder| scan.has_folder(folder));
            if let Some(folder) = folder {
                found
                    .entry(folder)
                    .or_insert_with(|| Evidence::line(path.as_str(), line_at(&text, at), WHY));
            }
        }
    }
    found
}

/// How deep manifests are looked for: in an app with a manifest of its own beside the sources; where there is none, one
/// folder deeper, as those folders are looked into in any case.
pub(crate) fn deep(scan: &Scan<'_>) -> usize {
    if scan.has_manifest() { 1 } else { 2 }
}

fn is_manifest(path: &str) -> bool {
    (path.ends_with(".yaml") || path.ends_with(".yml"))
        && path.matches('/').count() <= 4
        && path
            .split('/')
            .rev()
            .skip(1)
            .any(|part| FOLDERS.contains(&part.to_ascii_lowercase().as_str()))
}

/// The names of the Deployments of a file and where they stand. Read as text, since charts hold templates.
fn deployments(text: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    let (mut is_deployment, mut in_metadata) = (false, false);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let bare = line.trim();
        if bare == "---" {
            (is_deployment, in_metadata) = (false, false);
        } else if !line.starts_with([' ', '\t', '#']) && !bare.is_empty() {
            is_deployment |= ["kind: Deployment", "kind: StatefulSet"].contains(&bare);
            in_metadata = bare == "metadata:";
        } else if let (true, true, Some(name)) =
            (is_deployment, in_metadata, bare.strip_prefix("name:"))
        {
            let name = name.trim().trim_matches(['"', '\'']);
            let sound = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
            if !name.is_empty() && name.len() < 100 && name.chars().all(sound) {
                found.push((name, start));
            }
            in_metadata = false;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn names_folders_and_nothing_else() {
        let manifest = "kind: Service\nmetadata:\n  name: db\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  name: api\n---\nkind: Deployment\nmetadata:\n  name: {{ x }}\n";
        let tree = MemoryTree::new([
            ("K8s/web.yaml", manifest),
            ("web/x", ""),
            ("api/x", ""),
            ("db/x", ""),
        ]);
        let found = find(&Scan::new(&tree));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["web"]);
        assert_eq!(found["web"].line, Some(8));
    }
}
