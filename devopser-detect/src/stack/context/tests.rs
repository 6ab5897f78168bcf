use super::*;
use crate::tree::MemoryTree;
use devopser_core::model::report::Database;

/// The context, the folder, and the hints of the service in `root`.
fn at(files: &[(&str, &str)], root: &str) -> Detection {
    let tree = MemoryTree::new(files.iter().copied());
    crate::detect_at(&tree, root).stack.unwrap()
}

fn context(files: &[(&str, &str)], root: &str) -> Option<(String, String)> {
    let hints = at(files, root).hints;
    Some((hints.get("context")?.clone(), hints.get("folder")?.clone()))
}

fn pair(context: &str, folder: &str) -> Option<(String, String)> {
    Some((context.to_owned(), folder.to_owned()))
}

const WEB: &str = r#"{"name": "web", "scripts": {"start": "node a.js", "build": "tsc"},
  "dependencies": {"express": "5", "ui": "workspace:*"}}"#;
const UI: &str =
    r#"{"name": "ui", "scripts": {"build": "tsc"}, "dependencies": {"base": "workspace:*"}}"#;
const BASE: &str =
    r#"{"name": "base", "scripts": {"build": "tsc"}, "devDependencies": {"ui": "workspace:*"}}"#;

#[test]
fn a_member_is_built_where_its_workspace_lies() {
    let files = [
        (
            "js/pnpm-workspace.yaml",
            "packages:\n  - apps/*\n  - libs/*\n",
        ),
        ("js/pnpm-lock.yaml", "lockfileVersion: '9.0'\n"),
        ("js/package.json", r#"{"packageManager": "pnpm@9.1.0"}"#),
        ("js/apps/web/package.json", WEB),
        ("js/apps/web/a.js", ""),
        ("js/libs/ui/package.json", UI),
        ("js/libs/base/package.json", BASE),
    ];
    let web = at(&files, "js/apps/web");
    let hint = |name: &str| web.hints.get(name).map(String::as_str);
    assert_eq!(
        (hint("context"), hint("folder")),
        (Some("js"), Some("apps/web"))
    );
    assert_eq!(hint("packageManager"), Some("pnpm@9.1.0"));
    let install = web.install_command.as_ref().unwrap();
    assert_eq!(install.value, "pnpm install --frozen-lockfile");
    assert!(
        install
            .evidence
            .iter()
            .any(|one| one.path == "js/pnpm-workspace.yaml")
    );
    // What it depends on is built first, each once, though they depend on each other.
    assert_eq!(
        hint("builds-first"),
        Some("cd libs/base && pnpm build\ncd libs/ui && pnpm build")
    );
}

#[test]
fn turborepo_builds_what_a_member_needs() {
    let files = [
        (
            "package.json",
            r#"{"workspaces": ["apps/*"], "devDependencies": {"turbo": "2"}}"#,
        ),
        ("package-lock.json", "{}"),
        ("turbo.json", "{}"),
        ("apps/web/package.json", WEB),
    ];
    let web = at(&files, "apps/web");
    assert_eq!(
        web.hints["builds-above"],
        "npx turbo run build --filter=./apps/web"
    );
    assert_eq!(web.install_command.unwrap().value, "npm ci");
}

#[test]
fn a_folder_that_no_workspace_lists_stands_alone() {
    let files = [
        ("package.json", r#"{"workspaces": ["apps/*", "!apps/old"]}"#),
        ("apps/old/package.json", WEB),
        ("tools/web/package.json", WEB),
    ];
    assert_eq!(context(&files, "apps/old"), None);
    assert_eq!(context(&files, "tools/web"), None);
}

#[test]
fn cargo_looks_upwards() {
    let member = "[package]\nname = \"api\"\n[dependencies]\naxum = \"0.8\"\n";
    let files = [
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"crates/*\"]\nexclude = [\"crates/alone\"]\n",
        ),
        ("crates/api/Cargo.toml", member),
        ("crates/api/src/main.rs", "fn main() {}"),
        ("crates/alone/Cargo.toml", member),
        ("crates/alone/src/main.rs", "fn main() {}"),
    ];
    assert_eq!(context(&files, "crates/api"), pair(".", "crates/api"));
    assert_eq!(context(&files, "crates/alone"), None);
}

#[test]
fn a_module_of_maven_is_built_from_above() {
    let files = [
        (
            "pom.xml",
            "<project><packaging>pom</packaging><modules><module>api</module></modules><properties><java.version>17</java.version></properties></project>",
        ),
        ("mvnw", ""),
        (".mvn/wrapper/maven-wrapper.jar", ""),
        (
            "api/pom.xml",
            "<project><artifactId>api</artifactId></project>",
        ),
        (
            "other/pom.xml",
            "<project><artifactId>other</artifactId></project>",
        ),
    ];
    let api = at(&files, "api");
    assert_eq!(
        api.build_command.unwrap().value,
        "./mvnw -B -DskipTests package -pl api -am"
    );
    assert_eq!(api.hints["jar"], "api/target/*.jar");
    assert_eq!(api.version.unwrap().value, "17");
    assert_eq!(context(&files, "other"), None);
}

#[test]
fn a_project_of_gradle_is_built_from_above() {
    let files = [
        ("settings.gradle.kts", "include(\":services:api\")"),
        ("gradlew", ""),
        ("gradle/wrapper/gradle-wrapper.jar", ""),
        (
            "services/api/build.gradle.kts",
            "plugins { id(\"org.springframework.boot\") }",
        ),
    ];
    let api = at(&files, "services/api");
    assert_eq!(
        (api.hints["context"].as_str(), api.hints["folder"].as_str()),
        (".", "services/api")
    );
    let build = api.build_command.unwrap().value;
    assert!(build.starts_with("./gradlew -p services/api "), "{build}");
}

#[test]
fn go_needs_what_it_replaces() {
    let main = "package main\nfunc main() {}";
    let files = [
        ("go.work", "go 1.26\nuse (\n\t./api\n)\n"),
        ("api/go.mod", "module api\ngo 1.26\n"),
        ("api/main.go", main),
        (
            "x/web/go.mod",
            "module web\ngo 1.26\nreplace lib => ../lib\n",
        ),
        ("x/web/main.go", main),
        (
            "x/alone/go.mod",
            "module alone\ngo 1.26\nreplace lib => ./lib\n",
        ),
        ("x/alone/main.go", main),
    ];
    assert_eq!(context(&files, "api"), pair(".", "api"));
    assert_eq!(context(&files, "x/web"), pair("x", "web"));
    assert_eq!(context(&files, "x/alone"), None);
}

#[test]
fn dotnet_talks_to_what_the_projects_beside_it_talk_to() {
    let project = |sdk: &str, inside: &str| {
        format!("<Project Sdk=\"{sdk}\"><ItemGroup>{inside}</ItemGroup></Project>")
    };
    let refers = |path: &str| format!("<ProjectReference Include=\"{path}\" />");
    let api = project("Microsoft.NET.Sdk.Web", &refers("..\\Data\\Data.csproj"));
    let data = project("Microsoft.NET.Sdk", &refers("../../lib/Lib.csproj"));
    let lib = project(
        "Microsoft.NET.Sdk",
        "<PackageReference Include=\"Npgsql\" />",
    );
    let databases = |files: &[(&str, &str)], root: &str| {
        let fact = at(files, root).databases.unwrap();
        (fact.value, fact.confidence > crate::summary::GUESS)
    };
    let files = [
        ("src/Api/Api.csproj", api.as_str()),
        ("src/Api/Program.cs", ""),
        ("src/Data/Data.csproj", data.as_str()),
        ("lib/Lib.csproj", lib.as_str()),
    ];
    let found = databases(&files, "src/Api");
    assert_eq!(found, (vec![Database::Postgres], true));
    // Without the last of them nothing says that there is none.
    assert_eq!(databases(&files[..3], "src/Api"), (Vec::new(), false));
}

#[test]
fn dotnet_needs_what_it_refers_to() {
    let project = |inside: &str| {
        format!(
            "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><PropertyGroup><TargetFramework>net9.0</TargetFramework></PropertyGroup><ItemGroup>{inside}</ItemGroup></Project>"
        )
    };
    let api = project("<ProjectReference Include=\"..\\Lib\\Lib.csproj\" />");
    let alone = project("");
    let files = [
        ("src/Api/Api.csproj", api.as_str()),
        ("src/Api/Program.cs", ""),
        ("src/Alone/Alone.csproj", alone.as_str()),
        ("src/Alone/Program.cs", ""),
    ];
    assert_eq!(context(&files, "src/Api"), pair("src", "Api"));
    assert_eq!(context(&files, "src/Alone"), None);
    let mut with_settings = files.to_vec();
    with_settings.push(("Directory.Packages.props", "<Project/>"));
    assert_eq!(context(&with_settings, "src/Api"), pair(".", "src/Api"));
}

#[test]
fn a_folder_is_told_of_its_own_submodules() {
    let modules =
        "[submodule \"a\"]\n\tpath = site/themes/a\n[submodule \"b\"]\n\tpath = other/b\n";
    let tree = MemoryTree::new([
        (".gitmodules", modules),
        ("site/hugo.toml", "theme = \"a\"\n"),
        ("site/content/_index.md", ""),
    ]);
    let told = |report: crate::Report| {
        report
            .warnings
            .iter()
            .filter(|line| line.contains("submodule"))
            .count()
    };
    assert_eq!(told(crate::detect_at(&tree, "site")), 1);
    assert_eq!(told(crate::detect(&tree)), 2);
}
