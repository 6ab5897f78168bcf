//! .NET solutions (<https://learn.microsoft.com/visualstudio/extensibility/internals/solution-dot-sln-file>): which
//! projects belong together.

use super::{Scan, code};

/// How many projects of a solution are looked at.
const MAX_PROJECTS: usize = 120;

/// The solution of the root, the one with the shortest name where there are several.
pub(crate) fn path<'t>(scan: &'t Scan<'_>) -> Option<&'t str> {
    let found = scan.root_with(".sln").chain(scan.root_with(".slnx"));
    found.min_by_key(|path| (path.len(), *path))
}

/// The projects with one of the endings that the root's solutions name and that are there, near the root first; those of
/// tests and examples left out. Empty where no solution names any.
pub(crate) fn projects(scan: &Scan<'_>, endings: &[&str]) -> Vec<String> {
    let solutions = scan.root_with(".sln").chain(scan.root_with(".slnx"));
    let texts = solutions.filter_map(|path| scan.text(path));
    let mut found: Vec<String> = texts
        .flat_map(|text| {
            let words = text.split('"').filter(|word| is_project(word, endings));
            let paths = words.map(|word| word.replace('\\', "/"));
            paths.take(MAX_PROJECTS).collect::<Vec<_>>()
        })
        .filter(|path| code::is_own(path) && scan.has(path))
        .collect();
    found.sort_by(|one, other| {
        let key = |path: &String| path.matches('/').count();
        key(one).cmp(&key(other)).then_with(|| one.cmp(other))
    });
    found.dedup();
    found
}

fn is_project(word: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| word.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn solutions_of_both_kinds_name_their_projects() {
        let old = "Project(\"{FAE0}\") = \"Web\", \"src\\Web\\Web.csproj\", \"{1}\"\nEndProject\nProject(\"{F}\") = \"T\", \"tests\\T\\T.csproj\", \"{2}\"\nProject(\"{F}\") = \"Gone\", \"src\\Gone\\Gone.csproj\", \"{3}\"";
        let new = "<Solution><Project Path=\"App/App.fsproj\" /></Solution>";
        let tree = MemoryTree::new([
            ("Shop.sln", old),
            ("App.slnx", new),
            ("src/Web/Web.csproj", ""),
            ("App/App.fsproj", ""),
            ("tests/T/T.csproj", ""),
        ]);
        let found = projects(&Scan::new(&tree), &[".csproj", ".fsproj"]);
        assert_eq!(found, ["App/App.fsproj", "src/Web/Web.csproj"]);
    }
}
