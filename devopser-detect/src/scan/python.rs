//! Python's manifests: requirement files, `pyproject.toml` (PEP 621, Poetry, PDM, uv), `Pipfile`, `setup.py`, `setup.cfg`.

use std::rc::Rc;

use devopser_core::model::report::Evidence;
use serde_json::Value;

use super::{Scan, base_name, folder_of};

/// A requirement and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Requirement {
    /// The name as PEP 503 normalises it.
    pub(crate) name: String,
    /// The extras, raw: `standard,foo`.
    pub(crate) extras: String,
    pub(crate) path: String,
    pub(crate) line: Option<u32>,
}

/// All requirements of the tree's root.
#[derive(Debug, Default)]
pub(crate) struct Requirements {
    pub(crate) all: Vec<Requirement>,
    /// The requirement file to install from.
    pub(crate) file: Option<String>,
}

impl Requirements {
    /// The requirement of that (normalised) name.
    pub(crate) fn get(&self, name: &str) -> Option<&Requirement> {
        self.all.iter().find(|requirement| requirement.name == name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Evidence for a requirement.
    pub(crate) fn evidence(&self, name: &str) -> Option<Evidence> {
        let found = self.get(name)?;
        Some(Evidence::line(
            found.path.clone(),
            found.line,
            format!("requires {name}"),
        ))
    }
}

/// Where `pip` requirements usually stand, the one for production first.
const FILES: &[&str] = &[
    "requirements.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/base.txt",
    "requirements/requirements.txt",
    "requirements/main.txt",
    "requirements/common.txt",
    "requirements-prod.txt",
    "requirements_prod.txt",
    "requirements.in",
    "reqs.txt",
    "requirements/default.txt",
];

impl Scan<'_> {
    /// Everything that the Python manifests of the root ask for.
    pub(crate) fn python(&self) -> Rc<Requirements> {
        Rc::clone(self.python.get_or_init(|| Rc::new(collect(self))))
    }
}

fn collect(scan: &Scan<'_>) -> Requirements {
    let mut found = Requirements::default();
    let file = scan.first(FILES).map(str::to_owned).or_else(|| {
        let mut others = scan
            .root_with(".txt")
            .filter(|path| path.contains("requirements"));
        others.next().map(str::to_owned)
    });
    if let Some(file) = file {
        requirement_file(scan, &file, 0, &mut found.all);
        found.file = Some(file);
    }
    pyproject(scan, &mut found.all);
    pipfile(scan, &mut found.all);
    for path in ["setup.py", "setup.cfg"] {
        setup(scan, path, &mut found.all);
    }
    found
}

fn requirement_file(scan: &Scan<'_>, path: &str, depth: usize, into: &mut Vec<Requirement>) {
    let Some(text) = scan.text(path) else { return };
    for (index, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let included = ["-r ", "--requirement ", "-r=", "--requirement="]
            .iter()
            .find_map(|flag| line.strip_prefix(flag));
        if let Some(included) = included {
            if depth < 4 {
                let folder = folder_of(path);
                let next = if folder.is_empty() {
                    included.trim().to_owned()
                } else {
                    format!("{folder}/{}", included.trim())
                };
                requirement_file(scan, next.trim_start_matches("./"), depth + 1, into);
            }
        } else if !line.starts_with(['#', '-']) {
            push(line, path, u32::try_from(index + 1).ok(), into);
        }
    }
}

/// Adds a PEP 508 requirement.
fn push(text: &str, path: &str, line: Option<u32>, into: &mut Vec<Requirement>) {
    let text = text.trim();
    let end = text
        .find(|char: char| !(char.is_ascii_alphanumeric() || "-_.".contains(char)))
        .unwrap_or(text.len());
    let name = normalise(&text[..end]);
    let rest = text[end..].trim_start();
    let extras = rest
        .strip_prefix('[')
        .and_then(|rest| rest.split(']').next())
        .unwrap_or_default()
        .to_owned();
    if !name.is_empty() && into.len() < 5000 {
        into.push(Requirement {
            name,
            extras,
            path: path.to_owned(),
            line,
        });
    }
}

/// The name as PEP 503 normalises it.
pub(crate) fn normalise(name: &str) -> String {
    name.trim_matches('.')
        .to_ascii_lowercase()
        .replace(['_', '.'], "-")
}

fn pyproject(scan: &Scan<'_>, into: &mut Vec<Requirement>) {
    const PATH: &str = "pyproject.toml";
    let Some(value) = scan.toml(PATH) else { return };
    let lists = [
        value.pointer("/project/dependencies"),
        value.pointer("/tool/pdm/dependencies"),
    ];
    for list in lists.into_iter().flatten().filter_map(Value::as_array) {
        for text in list.iter().filter_map(Value::as_str) {
            push(text, PATH, scan.line_of(PATH, text), into);
        }
    }
    if let Some(table) = value
        .pointer("/tool/poetry/dependencies")
        .and_then(Value::as_object)
    {
        for (name, wanted) in table.iter().filter(|(name, _)| *name != "python") {
            let line = scan
                .line_of(PATH, &format!("\n{name}"))
                .map(|line| line + 1);
            let before = into.len();
            push(name, PATH, line, into);
            let extras = wanted
                .get("extras")
                .and_then(Value::as_array)
                .map(|extras| {
                    extras
                        .iter()
                        .filter_map(Value::as_str)
                        .collect::<Vec<_>>()
                        .join(",")
                });
            if let (Some(added), Some(extras)) = (into.get_mut(before), extras) {
                added.extras = extras;
            }
        }
    }
    // Groups that a deployment installs by convention; development groups are left out.
    for group in ["/project/optional-dependencies", "/dependency-groups"] {
        let Some(groups) = value.pointer(group).and_then(Value::as_object) else {
            continue;
        };
        for (name, list) in groups {
            if ["prod", "production", "server", "web", "app", "main"].contains(&name.as_str()) {
                for text in list
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                {
                    push(text, PATH, scan.line_of(PATH, text), into);
                }
            }
        }
    }
}

fn pipfile(scan: &Scan<'_>, into: &mut Vec<Requirement>) {
    let Some(value) = scan.toml("Pipfile") else {
        return;
    };
    for name in value
        .get("packages")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|table| table.keys())
    {
        let line = scan
            .line_of("Pipfile", &format!("\n{name}"))
            .map(|line| line + 1);
        push(name, "Pipfile", line, into);
    }
}

/// Quoted or listed names after `install_requires`; code is never run.
fn setup(scan: &Scan<'_>, path: &str, into: &mut Vec<Requirement>) {
    let Some(text) = scan.text(path) else { return };
    let Some(at) = text.find("install_requires") else {
        return;
    };
    let start = super::line_at(&text, at).unwrap_or(1);
    let is_code = base_name(path) == "setup.py";
    for (index, line) in text[at..].lines().enumerate().take(200) {
        let line_number = u32::try_from(index).ok().map(|index| start + index);
        if is_code {
            for quoted in line.split(['"', '\'']).skip(1).step_by(2) {
                push(quoted, path, line_number, into);
            }
            if line.contains(']') {
                break;
            }
        } else if index > 0 {
            if !line.starts_with(char::is_whitespace) {
                break;
            }
            push(line, path, line_number, into);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn follows_includes_and_knows_lines() {
        let tree = MemoryTree::new([
            (
                "requirements.txt",
                "# x\n-r requirements/base.txt\nuvicorn[standard]>=0.3 # y\n",
            ),
            (
                "requirements/base.txt",
                "Flask_SQLAlchemy==3\n-r base.txt\n",
            ),
            (
                "pyproject.toml",
                "[project]\ndependencies = [\n \"fastapi[all]\",\n]\n",
            ),
            ("setup.py", "setup(install_requires=[\n 'gunicorn',\n])"),
        ]);
        let found = Scan::new(&tree).python();
        assert_eq!(found.get("uvicorn").unwrap().extras, "standard");
        assert_eq!(found.get("uvicorn").unwrap().line, Some(3));
        assert!(found.has("flask-sqlalchemy"));
        assert_eq!(found.get("fastapi").unwrap().line, Some(3));
        assert_eq!(found.get("gunicorn").unwrap().line, Some(2));
    }
}
