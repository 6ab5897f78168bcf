//! .NET solutions (<https://learn.microsoft.com/visualstudio/extensibility/internals/solution-dot-sln-file>): which
//! projects belong together.

use super::{Scan, code, folder_of, join};

/// How many projects of a solution are looked at.
const MAX_PROJECTS: usize = 120;

/// The solutions of the root, or, where it has none, those of the nearest folder that has; the shortest name first.
fn solutions<'t>(scan: &'t Scan<'_>) -> Vec<&'t str> {
    let is_solution = |path: &&str| [".sln", ".slnx"].iter().any(|end| path.ends_with(end));
    let mut found: Vec<&str> = scan.root_with("").filter(is_solution).collect();
    if found.is_empty() && !scan.has_manifest() {
        let mut below = scan.files(2).filter(is_solution);
        let Some(first) = below.next() else {
            return Vec::new();
        };
        found.push(first);
        found.extend(below.filter(|path| folder_of(path) == folder_of(first)));
    }
    found.sort_by_key(|path| (path.len(), *path));
    found
}

/// The solution with the shortest name.
pub(crate) fn path<'t>(scan: &'t Scan<'_>) -> Option<&'t str> {
    solutions(scan).first().copied()
}

/// The projects with one of the endings that the solutions name and that are there, near the root first; those of
/// tests and examples left out. Empty where no solution names any.
pub(crate) fn projects(scan: &Scan<'_>, endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for solution in solutions(scan) {
        let Some(text) = scan.text(solution) else {
            continue;
        };
        let words = text.split('"').filter(|word| is_project(word, endings));
        let paths = words.map(|word| join(folder_of(solution), &word.replace('\\', "/")));
        found.extend(paths.take(MAX_PROJECTS));
    }
    found.retain(|path: &String| code::is_own(path) && scan.has(path));
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

    #[test]
    fn a_solution_below_the_root_names_projects_beside_it() {
        let text = "Project(\"{F}\") = \"Web\", \"Web\\Web.csproj\", \"{1}\"";
        let tree = MemoryTree::new([
            ("README.md", ""),
            ("src/Shop.sln", text),
            ("src/Web/Web.csproj", ""),
        ]);
        let scan = Scan::new(&tree);
        assert_eq!(path(&scan), Some("src/Shop.sln"));
        assert_eq!(projects(&scan, &[".csproj"]), ["src/Web/Web.csproj"]);
    }
}
