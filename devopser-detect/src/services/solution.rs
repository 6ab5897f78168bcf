//! The programs of a .NET solution (<https://learn.microsoft.com/visualstudio/extensibility/internals/solution-dot-sln-file>).

use devopser_core::model::report::Evidence;

use crate::scan::xml::{attribute, elements};
use crate::scan::{Scan, base_name, code, folder_of, solution};

/// A project that makes a program which runs on and on.
struct Program {
    path: String,
    /// The file names of the projects that it refers to.
    references: Vec<String>,
}

/// The folders of the web and worker programs, where a solution has several that stand by themselves: what another
/// program refers to is a part of that one.
pub(super) fn find(scan: &Scan<'_>) -> Vec<(String, Evidence)> {
    const ENDINGS: &[&str] = &[".csproj", ".fsproj"];
    let Some(solution) = solution::path(scan) else {
        return Vec::new();
    };
    let mut paths = solution::projects(scan, ENDINGS);
    if paths.is_empty() {
        let found = code::each(scan, ENDINGS, 4);
        paths = found.map(str::to_owned).collect();
    }
    let paths = paths.into_iter();
    let programs: Vec<Program> = paths.filter_map(|path| program(scan, path)).collect();
    let is_part = |path: &str| {
        programs.iter().any(|other| {
            other.path != path && other.references.iter().any(|name| name == base_name(path))
        })
    };
    let alone: Vec<&Program> = programs
        .iter()
        .filter(|program| !is_part(&program.path) && !folder_of(&program.path).is_empty())
        .collect();
    if alone.len() < 2 {
        return Vec::new();
    }
    let why = format!("a program of the solution {solution}");
    alone
        .into_iter()
        .map(|program| {
            let evidence = Evidence::file(program.path.clone(), why.clone());
            (folder_of(&program.path).to_owned(), evidence)
        })
        .collect()
}

fn program(scan: &Scan<'_>, path: String) -> Option<Program> {
    let name = base_name(&path).to_ascii_lowercase();
    if ["test", "apphost", "migrat", "benchmark"]
        .iter()
        .any(|part| name.contains(part))
    {
        return None;
    }
    let text = scan.text(&path)?;
    let all = elements(&text);
    let sdk = all
        .iter()
        .find(|element| element.path == "Project")
        .and_then(|element| attribute(element, "Sdk"))?;
    // https://learn.microsoft.com/dotnet/core/project-sdk/overview#available-sdks
    if !["Microsoft.NET.Sdk.Web", "Microsoft.NET.Sdk.Worker"].contains(&sdk) {
        return None;
    }
    let references = all
        .iter()
        .filter(|element| element.path == "Project/ItemGroup/ProjectReference")
        .filter_map(|element| attribute(element, "Include"))
        .map(|include| base_name(&include.replace('\\', "/")).to_owned())
        .collect();
    Some(Program { path, references })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn programs_that_stand_alone_are_services() {
        let web = |more: &str| format!("<Project Sdk=\"Microsoft.NET.Sdk.Web\">{more}</Project>");
        let refers =
            "<ItemGroup><ProjectReference Include=\"..\\Admin\\Admin.csproj\" /></ItemGroup>";
        let tree = MemoryTree::new([
            ("Shop.sln".to_owned(), String::new()),
            ("src/Web/Web.csproj".to_owned(), web(refers)),
            ("src/Admin/Admin.csproj".to_owned(), web("")),
            ("src/Api/Api.csproj".to_owned(), web("")),
            ("src/Web.Tests/Web.Tests.csproj".to_owned(), web("")),
            (
                "src/Core/Core.csproj".to_owned(),
                "<Project Sdk=\"Microsoft.NET.Sdk\"/>".to_owned(),
            ),
        ]);
        let found = find(&Scan::new(&tree));
        let folders: Vec<&str> = found.iter().map(|(folder, _)| folder.as_str()).collect();
        assert_eq!(folders, ["src/Api", "src/Web"]);
    }
}
