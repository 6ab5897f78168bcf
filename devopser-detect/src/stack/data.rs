//! Where a program keeps its data: folders whose content has to outlive a release. Its authors' platform or Dockerfile names
//! them, or the address of its SQLite file does.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use devopser_core::id::DataFolder;
use devopser_core::model::report::{Database, Detection, Evidence, Fact};

use crate::generate::{database_servers, home};
use crate::scan::pattern::Patterns;
use crate::scan::{Scan, base_name, code, env, line_at, platform};
use crate::stack::names::is_name;

/// The hint with the variables that name a SQLite file: a line for each, `NAME=` before the file and, after a tab, what follows
/// its folder.
pub(crate) const NAMED: &str = "sqlite-names";

/// The folder that is made where a variable names a file, but no folder that is only for data.
const USUAL: &str = "data";

/// Finds the folders of a server.
pub(crate) fn settle(scan: &Scan<'_>, into: &mut Detection) {
    if into.is_static.as_ref().is_some_and(|fact| fact.value) {
        return;
    }
    let disk = platform::disk(scan);
    let (folder, named) = match keeps_a_file(into) {
        true => of_file(scan, into),
        false => (None, Vec::new()),
    };
    if !named.is_empty() {
        into.hints.insert(NAMED.to_owned(), named.join("\n"));
    }
    let facts = [disk, folder].into_iter().flatten();
    into.data_folders = facts.reduce(|mut all, more| {
        for folder in more.value {
            if !all.value.contains(&folder) {
                all.value.push(folder);
            }
        }
        all.evidence.extend(more.evidence);
        all
    });
}

/// Whether the program begins with a SQLite file and no server for tables.
pub fn keeps_a_file(stack: &Detection) -> bool {
    let found = stack.databases.as_ref();
    let has_file = found.is_some_and(|fact| fact.value.contains(&Database::Sqlite));
    let is_for_tables = |database: &Database| *database != Database::Redis;
    has_file && !database_servers(stack).iter().any(is_for_tables)
}

/// The folder of the SQLite file, and the variables that name it.
fn of_file(scan: &Scan<'_>, stack: &Detection) -> (Option<Fact<Vec<String>>>, Vec<String>) {
    let mut named = Vec::new();
    let mut found: Option<Fact<Vec<String>>> = None;
    for (name, value, evidence) in env::settings(scan).filter(|(name, ..)| is_name(name)) {
        let Some((scheme, path, rest)) = file_of(&value) else {
            continue;
        };
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let folder = if is_for_data(scan, folder) {
            folder
        } else {
            USUAL
        };
        let file = base_name(path);
        if path.starts_with('/') || !is_for_data(scan, folder) {
            continue;
        }
        named.push(format!("{name}={scheme}\t{folder}/{file}{rest}"));
        let fact = found.get_or_insert_with(|| lies_in(folder, evidence));
        if !fact.value.iter().any(|known| known == folder) {
            fact.value.push(folder.to_owned());
        }
    }
    let found = found.or_else(|| {
        let (folder, evidence) = in_sources(scan, stack)?;
        Some(lies_in(&folder, evidence))
    });
    named.sort();
    named.dedup();
    (found, named)
}

fn lies_in(folder: &str, evidence: Evidence) -> Fact<Vec<String>> {
    let why = "its SQLite file lies there".to_owned();
    Fact::new(vec![folder.to_owned()], 80, Evidence { why, ..evidence })
}

/// Schemes before the path of a file: SQLAlchemy's, sqlx's and Prisma's
/// (<https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#connect-strings>,
/// <https://www.prisma.io/docs/orm/overview/databases/sqlite>).
const SCHEMES: &[&str] = &[
    "sqlite+aiosqlite:///",
    "sqlite:///",
    "sqlite://",
    "sqlite:",
    "file:",
];

/// The scheme of an address of a SQLite file, its path without `./`, and what follows.
fn file_of(value: &str) -> Option<(&'static str, &str, &str)> {
    let scheme = SCHEMES.iter().find(|scheme| value.starts_with(**scheme));
    let rest = &value[scheme.map_or(0, |scheme| scheme.len())..];
    let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let ending = path.rsplit_once('.')?.1;
    let is_file = ["db", "db3", "sqlite", "sqlite3"].contains(&ending);
    let sound = |char: char| char.is_ascii_alphanumeric() || "._-/".contains(char);
    let path = path.strip_prefix("./").unwrap_or(path);
    let is_sound = path.chars().all(sound) && !path.split('/').any(|part| part == "..");
    let query_is_sound = query
        .chars()
        .all(|char| sound(char) || "?=&".contains(char));
    (is_file && is_sound && query_is_sound).then_some((scheme.copied().unwrap_or(""), path, query))
}

/// Files that keep a place in a repository, or say what it is for.
const PLACEHOLDERS: &[&str] = &[
    ".gitkeep",
    ".keep",
    ".gitignore",
    ".dockerignore",
    "README.md",
    "README",
];

/// Whether a folder is for data alone: nothing of the program lies in it, so that a volume hides nothing.
fn is_for_data(scan: &Scan<'_>, folder: &str) -> bool {
    let parts: Vec<&str> = folder.split('/').collect();
    let others = [
        "tmp",
        "temp",
        "test",
        "tests",
        "fixtures",
        "dist",
        "build",
        "node_modules",
        "src",
    ];
    let is_plain =
        |part: &&str| !part.is_empty() && *part != "." && *part != ".." && !others.contains(part);
    !folder.is_empty()
        && parts.iter().all(is_plain)
        && !scan
            .under(folder)
            .take(50)
            .any(|path| !PLACEHOLDERS.contains(&base_name(&path)))
}

/// A path of a file in quotes, with its folder; or folder and file as two texts that are joined.
static IN_SOURCE: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    Patterns::new(&[
        r#"["'`](?:(?:sqlite(?:\+aiosqlite)?:(?:///?)?|file:)?\.?/?)([\w.-]{1,60}(?:/[\w.-]{1,60})*)/[\w.-]{1,60}\.(?:db3?|sqlite3?)\b"#,
        r#"["'`]([\w.-]{1,60})["'`]\)?\s{0,3}[,/+]\s{0,3}["'`]/?[\w.-]{1,60}\.(?:db3?|sqlite3?)["'`]"#,
        // https://guides.rubyonrails.org/configuring.html#configuring-an-sqlite3-database
        r"(?m)^\s{0,20}database:\s{1,4}([\w.-]{1,60}(?:/[\w.-]{1,60})*)/[\w.-]{1,60}\.sqlite3",
    ])
});

/// What the names of files have that open a database or say where it lies.
const NAMES: &[&str] = &[
    "__init__", "app", "base", "config", "data", "db", "env", "index", "main", "prod", "server",
    "setting", "sqlite", "stor",
];

/// The first folder of a SQLite file in the sources.
fn in_sources(scan: &Scan<'_>, stack: &Detection) -> Option<(String, Evidence)> {
    let runtime = stack.runtime.as_ref().map(|fact| fact.value.as_str());
    let endings: &[&str] = match runtime? {
        "python" => &[".py", ".toml", ".yaml"],
        "node" | "bun" | "deno" => &[".ts", ".js", ".mjs", ".cjs", ".mts"],
        "go" => &[".go"],
        "rust" => &[".rs", ".toml"],
        "ruby" => &[".rb", "database.yml"],
        "dotnet" => &[".cs", "appsettings.json"],
        _ => return None,
    };
    let patterns = IN_SOURCE.as_ref()?;
    let start = stack.start_command.as_ref();
    let start = start.map_or("", |fact| fact.value.as_str());
    let is_usual = |path: &&str| {
        let file = base_name(path);
        NAMES.iter().any(|name| file.contains(name)) || start.contains(file)
    };
    code::each(scan, endings, 4)
        .filter(is_usual)
        .find_map(|path| {
            let text = scan.text(path)?;
            if ![".db", ".sqlite"].iter().any(|sign| text.contains(sign)) {
                return None;
            }
            let found = patterns.all(&text).find_map(|found| {
                let at = found.group(0)?;
                let folder = text.get(at.clone())?;
                let before = text.get(found.start..at.start)?;
                // `/data/a.db`, and with SQLAlchemy `sqlite:////data/a.db`, are of no folder here.
                let is_relative = !before.ends_with('/')
                    || before.ends_with("./")
                    || before.ends_with("//") && !before.ends_with("////");
                (is_relative && is_for_data(scan, folder)).then(|| (folder.to_owned(), at.start))
            });
            let (folder, at) = found.or_else(|| in_instance(scan, &text))?;
            Some((folder, Evidence::line(path, line_at(&text, at), "")))
        })
}

/// Flask's folder for files of an installation, where a file is opened in it: by its path, or by an address of
/// Flask-SQLAlchemy without a folder (<https://flask.palletsprojects.com/en/stable/config/#instance-folders>,
/// <https://flask-sqlalchemy.readthedocs.io/en/stable/config/#flask_sqlalchemy.config.SQLALCHEMY_DATABASE_URI>).
fn in_instance(scan: &Scan<'_>, text: &str) -> Option<(String, usize)> {
    const FOLDER: &str = "instance";
    let opens = text.contains(".sqlite") || text.contains(".db");
    let by_path = text.find("instance_path").filter(|_| opens);
    let by_address = text.find("sqlite:///").filter(|at| {
        !text[*at..].starts_with("sqlite:////") && scan.python().has("flask-sqlalchemy")
    });
    let at = by_path.or(by_address)?;
    is_for_data(scan, FOLDER).then(|| (FOLDER.to_owned(), at))
}

/// The folders of a generated image that outlive a release, absolute; `more` beside those that were found.
#[must_use]
pub fn kept_in_image(stack: &Detection, more: &[DataFolder]) -> Vec<String> {
    in_image(stack, &home(stack), more)
}

/// The folders of the image, absolute, each once; none that holds the program itself. `home` is where that lies.
pub(crate) fn in_image(stack: &Detection, home: &str, more: &[DataFolder]) -> Vec<String> {
    let found = stack.data_folders.iter().flat_map(|fact| &fact.value);
    let found = found.map(String::as_str);
    let all = found
        .chain(more.iter().map(DataFolder::as_str))
        .map(|folder| absolute(home, folder));
    let program = format!("{home}/");
    let beside = |folder: &String| !program.starts_with(&format!("{folder}/"));
    let all: BTreeSet<String> = all.filter(beside).collect();
    all.into_iter().collect()
}

fn absolute(home: &str, folder: &str) -> String {
    match folder.strip_prefix('/') {
        Some(_) => folder.to_owned(),
        None => format!("{home}/{folder}"),
    }
}

/// The variables that name its SQLite file, as they are in an image.
pub(crate) fn names_in_image<'s>(
    stack: &'s Detection,
    home: &'s str,
) -> impl Iterator<Item = (String, String)> + 's {
    let lines = stack
        .hints
        .get(NAMED)
        .into_iter()
        .flat_map(|all| all.lines());
    lines.filter_map(move |line| {
        let (name, value) = line.split_once('=')?;
        let (scheme, file) = value.split_once('\t')?;
        Some((name.to_owned(), format!("{scheme}{home}/{file}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    fn of(files: &[(&str, &str)], runtime: &str) -> (Vec<String>, Vec<(String, String)>) {
        let tree = MemoryTree::new(files.iter().copied());
        let evidence = || Evidence::file("", "");
        let mut stack = Detection {
            runtime: Some(Fact::new(runtime.to_owned(), 90, evidence())),
            databases: Some(Fact::new(vec![Database::Sqlite], 90, evidence())),
            ..Detection::default()
        };
        settle(&Scan::new(&tree), &mut stack);
        let folders = stack.data_folders.clone().map(|fact| fact.value);
        let names = names_in_image(&stack, "/app").collect();
        (folders.unwrap_or_default(), names)
    }

    #[test]
    fn the_folder_of_a_file_is_found_in_the_sources() {
        for (runtime, path, text) in [
            (
                "python",
                "a/settings.py",
                "'NAME': os.path.join(BASE_DIR, 'data', 'db.sqlite3')",
            ),
            (
                "python",
                "a/settings.py",
                "'NAME': BASE_DIR / \"data\" / \"db.sqlite3\"",
            ),
            (
                "python",
                "main.py",
                "engine = create_engine('sqlite:///./data/app.db')",
            ),
            ("node", "src/db.ts", "new Database(\"./data/app.sqlite\")"),
            (
                "node",
                "db.js",
                "new Database(path.join(process.cwd(), 'data', 'app.db'))",
            ),
            (
                "go",
                "main.go",
                "sql.Open(\"sqlite3\", \"file:data/app.db?cache=shared\")",
            ),
            ("rust", "src/main.rs", "connect(\"sqlite://data/app.db\")"),
            (
                "ruby",
                "config/database.yml",
                "production:\n  database: data/production.sqlite3\n",
            ),
        ] {
            let found = of(&[(path, text), ("data/.gitkeep", "")], runtime).0;
            assert_eq!(found, ["data"], "{text}");
        }
    }

    #[test]
    fn flask_has_a_folder_of_its_own() {
        let tutorial = "DATABASE=os.path.join(app.instance_path, 'flaskr.sqlite'),";
        assert_eq!(
            of(&[("flaskr/__init__.py", tutorial)], "python").0,
            ["instance"]
        );
        let address = ("app.py", "SQLALCHEMY_DATABASE_URI='sqlite:///app.db'");
        assert!(of(&[address], "python").0.is_empty());
        let with = [address, ("requirements.txt", "flask-sqlalchemy\n")];
        assert_eq!(of(&with, "python").0, ["instance"]);
    }

    #[test]
    fn a_folder_with_more_than_data_is_left_alone() {
        let source = ("db.js", "new Database('./data/app.db')");
        assert!(
            of(&[source, ("data/words.json", "[]")], "node")
                .0
                .is_empty()
        );
        assert!(
            of(&[("db.js", "new Database('/data/app.db')")], "node")
                .0
                .is_empty()
        );
        assert!(
            of(&[("db.js", "new Database('./app.db')")], "node")
                .0
                .is_empty()
        );
        assert!(
            of(&[("db.js", "new Database('../data/app.db')")], "node")
                .0
                .is_empty()
        );
    }

    #[test]
    fn variables_name_the_file_where_it_is_kept() {
        for (example, name, value) in [
            (
                "DATABASE_URL=\"file:./dev.db\"",
                "DATABASE_URL",
                "file:/app/data/dev.db",
            ),
            (
                "DB_URL=sqlite:///./state/a.db",
                "DB_URL",
                "sqlite:////app/state/a.db",
            ),
            (
                "DB=sqlite://a.db?mode=rwc",
                "DB",
                "sqlite:///app/data/a.db?mode=rwc",
            ),
            (
                "DB_PATH=./state/a.sqlite3",
                "DB_PATH",
                "/app/state/a.sqlite3",
            ),
        ] {
            let (folders, names) = of(&[(".env.example", example)], "node");
            assert_eq!(names, [(name.to_owned(), value.to_owned())]);
            let folder = value.rsplit('/').nth(1).unwrap();
            assert_eq!(folders, [folder], "{example}");
        }
        let two = ".env.example";
        let text = "A_DB=./one/a.db\nB_DB=./two/b.db\nTEST_DB=./three/c.db\nB C=./four/d.db\n";
        let (folders, names) = of(&[(two, text)], "node");
        assert_eq!(folders, ["one", "two"]);
        let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A_DB", "B_DB"]);
        let other = of(
            &[(".env.example", "DATABASE_URL=postgres://a/b\nLOG=a.txt\n")],
            "node",
        );
        assert_eq!(other, (Vec::new(), Vec::new()));
    }

    #[test]
    fn what_a_platform_mounts_is_kept_whatever_the_database() {
        let files = [(
            "fly.toml",
            "[mounts]\nsource = 'a'\ndestination = '/data'\n",
        )];
        assert_eq!(of(&files, "elixir").0, ["/data"]);
    }
}
