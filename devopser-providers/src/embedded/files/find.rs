//! From the path of a request to a file that may be served.

use std::fs;
use std::path::{Path, PathBuf};

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A file.
    File(PathBuf),
    /// A folder with an index, but the path lacks the slash at its end.
    Folder,
    /// No file; the site has a page of its own for that.
    NotFoundPage(PathBuf),
    /// No file.
    Nothing,
}

/// Finds what `path`, as the request has it, leads to inside `folder`. What begins with a dot does not exist (but for
/// `.well-known`), and neither does what a link leads to outside of the folder.
pub(super) fn find(folder: &Path, path: &str, single_page_app: bool) -> Found {
    let Ok(root) = fs::canonicalize(folder) else {
        return Found::Nothing;
    };
    let site = Site { root };
    let Some(parts) = parts(path) else {
        return site.missing();
    };
    if let Some(found) = site.named(&parts, path.ends_with('/')) {
        return found;
    }
    let is_page = parts.last().is_none_or(|last| !last.contains('.'));
    if single_page_app
        && is_page
        && let Some(index) = site.file(Path::new("index.html"))
    {
        return Found::File(index);
    }
    site.missing()
}

/// The folder with every link resolved.
struct Site {
    root: PathBuf,
}

impl Site {
    fn named(&self, parts: &[String], slash: bool) -> Option<Found> {
        let path: PathBuf = parts.iter().collect();
        let target = self.resolve(&path);
        if target.as_ref().is_some_and(|target| target.is_dir()) {
            let index = self.file(&path.join("index.html"));
            if let Some(index) = index {
                return Some(if slash || parts.is_empty() {
                    Found::File(index)
                } else {
                    Found::Folder
                });
            }
        } else if let Some(file) = target
            && !slash
            && file.is_file()
        {
            return Some(Found::File(file));
        }
        // `/about` for `about.html`, as site generators link.
        let last = parts.last().filter(|last| !slash && !last.contains('.'))?;
        self.file(&path.with_file_name(format!("{last}.html")))
            .map(Found::File)
    }

    fn missing(&self) -> Found {
        self.file(Path::new("404.html"))
            .map_or(Found::Nothing, Found::NotFoundPage)
    }

    fn file(&self, path: &Path) -> Option<PathBuf> {
        self.resolve(path).filter(|path| path.is_file())
    }

    /// The path with every link resolved, when it is inside the folder.
    fn resolve(&self, path: &Path) -> Option<PathBuf> {
        fs::canonicalize(self.root.join(path))
            .ok()
            .filter(|target| {
                target.strip_prefix(&self.root).is_ok_and(|inside| {
                    !inside
                        .components()
                        .enumerate()
                        .any(|(n, part)| is_hidden(n, &part.as_os_str().to_string_lossy()))
                })
            })
    }
}

fn is_hidden(position: usize, name: &str) -> bool {
    name.starts_with('.') && !(position == 0 && name == ".well-known")
}

/// The parts of a request's path, decoded; `None` for a path that names nothing that may be served.
fn parts(path: &str) -> Option<Vec<String>> {
    let decoded = decode(path)?;
    if decoded.contains('\0') {
        return None;
    }
    let parts: Vec<String> = decoded
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .map(str::to_owned)
        .collect();
    let hidden = parts.iter().enumerate().any(|(n, part)| is_hidden(n, part));
    (!hidden).then_some(parts)
}

fn decode(path: &str) -> Option<String> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
            u8::try_from(value).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path().join("site");
        for (path, text) in [
            ("index.html", "home"),
            ("about.html", "about"),
            ("docs/index.html", "docs"),
            ("a b.txt", "space"),
            (".env", "SECRET"),
            (".git/config", "SECRET"),
            (".well-known/security.txt", "ok"),
            ("empty/file.txt", "x"),
            ("../outside.txt", "SECRET"),
        ] {
            let path = site.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let link = std::os::unix::fs::symlink::<&str, PathBuf>;
        link("../outside.txt", site.join("out.txt")).unwrap();
        link("..", site.join("up")).unwrap();
        link(".env", site.join("env.txt")).unwrap();
        link("about.html", site.join("inside.html")).unwrap();
        link("loop", site.join("loop")).unwrap();
        folder
    }

    fn text(found: Found) -> String {
        match found {
            Found::File(path) => fs::read_to_string(path).unwrap(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn files_are_found_as_site_generators_link_them() {
        let folder = site();
        let root = folder.path().join("site");
        for (path, expected) in [
            ("/", "home"),
            ("/index.html", "home"),
            ("//index.html", "home"),
            ("/about", "about"),
            ("/about.html", "about"),
            ("/docs/", "docs"),
            ("/docs", "Folder"),
            ("/a%20b.txt", "space"),
            ("/inside.html", "about"),
            ("/.well-known/security.txt", "ok"),
            ("/empty/", "Nothing"),
            ("/about/", "Nothing"),
            ("/index.html/", "Nothing"),
            ("/index.html/x", "Nothing"),
            ("/nothing", "Nothing"),
        ] {
            assert_eq!(text(find(&root, path, false)), expected, "{path}");
        }
    }

    #[test]
    fn nothing_outside_and_nothing_hidden_is_found() {
        let folder = site();
        let root = folder.path().join("site");
        for path in [
            "/../outside.txt",
            "/%2e%2e/outside.txt",
            "/..%2foutside.txt",
            "/docs/..%2f..%2foutside.txt",
            "/docs/../../outside.txt",
            "/%2e%2e%2foutside.txt",
            "/..%5coutside.txt",
            "/out.txt",
            "/up/outside.txt",
            "/.env",
            "/%2eenv",
            "/env.txt",
            "/.git/config",
            "/docs/.well-known",
            "/loop",
            "/index.html%00.txt",
            "/%ff",
            "/%",
            "/%zz",
            "/%2",
        ] {
            assert_eq!(text(find(&root, path, false)), "Nothing", "{path}");
        }
        let name = "x".repeat(5000);
        assert_eq!(find(&root, &name, false), Found::Nothing);
        assert_eq!(find(&folder.path().join("no"), "/", true), Found::Nothing);
    }

    #[test]
    fn an_unknown_path_of_an_app_is_its_page_and_of_a_site_its_404() {
        let folder = site();
        let root = folder.path().join("site");
        assert_eq!(text(find(&root, "/deep/link", true)), "home");
        assert_eq!(text(find(&root, "/app.js", true)), "Nothing");
        fs::write(root.join("404.html"), "lost").unwrap();
        let page = Found::NotFoundPage(fs::canonicalize(root.join("404.html")).unwrap());
        assert_eq!(find(&root, "/deep/link", false), page);
        assert_eq!(find(&root, "/.env", true), page);
    }
}
