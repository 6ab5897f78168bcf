//! Services that the Azure Developer CLI deploys
//! (<https://learn.microsoft.com/azure/developer/azure-developer-cli/azd-schema>).

use devopser_core::model::report::Evidence;
use serde_json::Value;

use super::{MAX, clean};
use crate::scan::Scan;

/// Why a folder counts.
pub(super) const WHY: &str = "a service of azure.yaml";

/// The folders of the services, with the line of each.
pub(super) fn find(scan: &Scan<'_>) -> Vec<(String, Evidence)> {
    let path = ["azure.yaml", "azure.yml"]
        .into_iter()
        .find(|path| scan.has(path));
    let Some((path, file)) = path.and_then(|path| Some((path, scan.yaml(path)?))) else {
        return Vec::new();
    };
    let services = file.get("services").and_then(Value::as_object);
    let folders = services
        .into_iter()
        .flatten()
        .take(MAX)
        .filter_map(|(_, service)| {
            let project = service.get("project")?.as_str()?;
            Some((clean(project)?, scan.evidence(path, project, WHY)))
        });
    folders.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn folders_of_services_inside_the_source_are_named() {
        let text = "name: shop\nservices:\n  api:\n    project: ./src/api\n    language: py\n  up:\n    project: ../elsewhere\n";
        let tree = MemoryTree::new([("azure.yaml", text)]);
        let found = find(&Scan::new(&tree));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.as_str(), found[0].1.line), ("src/api", Some(4)));
    }
}
