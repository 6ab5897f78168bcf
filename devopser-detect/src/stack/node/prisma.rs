//! Where the schemas of Prisma lie
//! (<https://www.prisma.io/docs/orm/prisma-schema/overview/location>).

use serde_json::Value;

use crate::scan::Scan;
use crate::scan::node::Package;
use crate::services;

/// Where a package keeps its schema unless it says otherwise.
const USUAL: &[&str] = &[
    "prisma/schema.prisma",
    "schema.prisma",
    "prisma/schema/schema.prisma",
];

/// Whether the package itself depends on Prisma.
pub(crate) fn is_used(package: &Package) -> bool {
    ["prisma", "@prisma/client"]
        .iter()
        .any(|name| package.has(name))
}

/// The schemas of the package and of the members of its workspace. Folders that nothing names are only searched where
/// the package depends on Prisma and its schema lies in no usual place.
pub(crate) fn schemas(scan: &Scan<'_>, package: &Package) -> Vec<String> {
    let own = package.value.pointer("/prisma/schema");
    let own = own.and_then(Value::as_str).map(|path| {
        let path = path.trim_start_matches("./").trim_end_matches('/');
        match path.ends_with(".prisma") {
            true => path.to_owned(),
            false => format!("{path}/schema.prisma"),
        }
    });
    let usual = USUAL.iter().map(|path| (*path).to_owned());
    let mut found: Vec<String> = own
        .into_iter()
        .chain(usual)
        .filter(|path| scan.has(path))
        .collect();
    for member in services::members(scan, "package.json") {
        let usual = USUAL.iter().map(|path| format!("{member}/{path}"));
        found.extend(usual.filter(|path| scan.has(path)));
    }
    if found.is_empty() && is_used(package) {
        found.extend(
            scan.named("schema.prisma", 3)
                .into_iter()
                .map(str::to_owned),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let tree = MemoryTree::new(files.iter().copied());
        let scan = Scan::new(&tree);
        schemas(&scan, &scan.package().unwrap())
    }

    #[test]
    fn a_schema_lies_where_the_package_says_or_in_a_usual_place() {
        let own = r#"{"prisma":{"schema":"./db/main.prisma"}}"#;
        let files = [
            ("package.json", own),
            ("db/main.prisma", ""),
            ("prisma/schema.prisma", ""),
        ];
        assert_eq!(found(&files), ["db/main.prisma", "prisma/schema.prisma"]);
        let of_member = [
            ("package.json", r#"{"workspaces":["packages/*"]}"#),
            ("packages/db/package.json", "{}"),
            ("packages/db/prisma/schema.prisma", ""),
        ];
        assert_eq!(found(&of_member), ["packages/db/prisma/schema.prisma"]);
    }

    #[test]
    fn other_folders_are_searched_only_for_who_depends_on_it() {
        let far = ("src/data/schema.prisma", "");
        let uses = r#"{"dependencies":{"@prisma/client":"6"}}"#;
        assert_eq!(found(&[("package.json", uses), far]), [far.0]);
        assert!(found(&[("package.json", "{}"), far]).is_empty());
    }
}
