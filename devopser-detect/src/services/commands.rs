//! The commands of a Go module that run on and on: a server project keeps its commands below `cmd/`
//! (<https://go.dev/doc/modules/layout#server-project>).

use devopser_core::model::report::Evidence;

use crate::scan::Scan;

/// What a program does that answers requests or works until it is told to end.
const SIGNS: &[&str] = &[
    "signal.Notify",
    "ListenAndServe",
    "http.Serve(",
    "http.Server{",
    "grpc.NewServer",
    "echo.New(",
    "fiber.New(",
    "gin.Default(",
    "gin.New(",
    "chi.NewRouter(",
];

/// The folders of such commands, where a module has several and no program at its root. Others keep each program in a
/// folder of its own, with a `cmd/` inside.
pub(super) fn find(scan: &Scan<'_>) -> Vec<(String, Evidence)> {
    if !scan.has("go.mod") || scan.has("main.go") {
        return Vec::new();
    }
    let commands = scan.list("cmd");
    let commands = commands.folders.iter().filter_map(|folder| {
        let path = format!("{folder}/main.go");
        let text = scan.text(&path)?;
        let sign = SIGNS.iter().find(|sign| text.contains(**sign))?;
        let why = "a command that runs on and on";
        Some((folder.clone(), scan.evidence(&path, sign, why)))
    });
    let own = scan.folders(1).filter_map(|folder| {
        let commands = scan.list(&format!("{folder}/cmd"));
        let mut sources = commands.files.iter().filter(|path| path.ends_with(".go"));
        let main = sources.find(|path| {
            let text = scan.text(path);
            text.is_some_and(|text| text.contains("func main()"))
        })?;
        let why = "a program with a folder of its own";
        Some((folder.to_owned(), scan.evidence(main, "func main()", why)))
    });
    let parents = ["services", "microservices", "apps"].iter();
    let below = parents.flat_map(|parent| scan.list(parent).folders.clone());
    let below = below.filter_map(|folder| {
        let path = format!("{folder}/main.go");
        let line = scan.line_of(&path, "func main()")?;
        let why = "a program with a folder of its own";
        Some((folder, Evidence::line(path, Some(line), why)))
    });
    let found: Vec<(String, Evidence)> =
        commands.chain(own).chain(below).take(super::MAX).collect();
    if found.len() < 2 { Vec::new() } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn several_servers_of_a_module_are_services_and_tools_are_not() {
        let serves = "package main\nfunc main() { http.ListenAndServe(\":80\", nil) }";
        let waits = "package main\nfunc main() { signal.Notify(quit, os.Interrupt); <-quit }";
        let tool = "package main\nfunc main() { fmt.Println(1) }";
        let mut files = vec![
            ("go.mod", "module x.y/shop\ngo 1.26\n"),
            ("cmd/api/main.go", serves),
            ("cmd/migrate/main.go", tool),
        ];
        assert!(find(&Scan::new(&MemoryTree::new(files.clone()))).is_empty());
        files.push(("cmd/worker/main.go", waits));
        let tree = MemoryTree::new(files);
        let found = find(&Scan::new(&tree));
        let folders: Vec<&str> = found.iter().map(|(folder, _)| folder.as_str()).collect();
        assert_eq!(folders, ["cmd/api", "cmd/worker"]);
        let report = crate::detect(&tree);
        let api = &report.services[0];
        assert_eq!((api.root.as_str(), api.context.as_str()), ("cmd/api", "."));
        let go = api.detection.as_ref().unwrap();
        assert_eq!(go.version.as_ref().unwrap().value, "1.26");
    }
}
