//! Trees of files: copied, linked, removed.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use devopser_core::{Context, Result};

use super::error;

/// How a tree is copied.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CopyOptions {
    /// Files are linked where that is possible: for sources that nobody changes any more.
    pub(super) link: bool,
    /// What begins with a dot is left out, but for `.well-known`.
    pub(super) visible_only: bool,
}

/// Copies the tree at `from` to `to`, which does not exist. Links that lead out of the tree, devices, sockets and pipes are
/// left out; their paths are returned. Ends early when the call is cancelled.
pub(super) fn copy(
    ctx: &Context,
    from: &Path,
    to: &Path,
    options: CopyOptions,
) -> Result<Vec<PathBuf>> {
    let root = fs::canonicalize(from).map_err(|source| error::file("read", from, source))?;
    let mut left_out = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        ctx.check_cancelled()?;
        let target = to.join(&folder);
        fs::create_dir_all(&target).map_err(|source| error::file("make", &target, source))?;
        let from = root.join(&folder);
        let entries = fs::read_dir(&from).map_err(|source| error::file("read", &from, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| error::file("read", &from, source))?;
            let path = folder.join(entry.file_name());
            if options.visible_only && is_hidden(&path) {
                continue;
            }
            let kind = entry
                .file_type()
                .map_err(|source| error::file("read", &entry.path(), source))?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                copy_file(&entry.path(), &to.join(&path), options.link)?;
            } else if !(kind.is_symlink() && copy_link(&root, &path, to)?) {
                left_out.push(path);
            }
        }
    }
    Ok(left_out)
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && path != Path::new(".well-known")
}

fn copy_file(from: &Path, to: &Path, link: bool) -> Result<()> {
    if link && fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)
        .map(drop)
        .map_err(|source| error::file("copy to", to, source))
}

/// Copies a link when it leads to a place inside the tree.
fn copy_link(root: &Path, path: &Path, to: &Path) -> Result<bool> {
    let from = root.join(path);
    let Ok(target) = fs::read_link(&from) else {
        return Ok(false);
    };
    if target.is_absolute() || !stays_inside(path.parent().unwrap_or(Path::new("")), &target) {
        return Ok(false);
    }
    // The way there may lead over other links.
    if fs::canonicalize(&from).is_ok_and(|real| !real.starts_with(root)) {
        return Ok(false);
    }
    let to = to.join(path);
    std::os::unix::fs::symlink(&target, &to)
        .map(|()| true)
        .map_err(|source| error::file("make", &to, source))
}

fn stays_inside(folder: &Path, target: &Path) -> bool {
    let mut depth = folder.components().count();
    for component in target.components() {
        match component {
            Component::ParentDir if depth == 0 => return false,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

/// Removes the tree at `path`; one that is absent is fine. Folders that were made read-only (as Go's module cache is) are
/// made writable first.
pub(super) fn remove(path: &Path) -> Result<()> {
    let removed = match fs::remove_dir_all(path) {
        Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(path);
            fs::remove_dir_all(path)
        }
        other => other,
    };
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(error::file("remove", path, source))
        }
        _ => Ok(()),
    }
}

fn make_writable(path: &Path) {
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        // What cannot be changed fails when it is removed, with a better error.
        let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
}

/// Writes a file as a whole or not at all, whatever happens.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let failed = |source| error::file("write", path, source);
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file = fs::File::create(&new).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&new, path).map_err(failed)?;
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use devopser_core::id::{AppName, EnvironmentName, Target, TenantId};
    use devopser_core::model::resource::Owner;
    use std::os::unix::fs::symlink;

    fn context() -> Context {
        let target = Target {
            tenant: TenantId::new("acme").unwrap(),
            app: AppName::new("shop").unwrap(),
            environment: EnvironmentName::production(),
        };
        let owner = Owner {
            installation: "test".into(),
            target,
        };
        Context::detached(owner, "/nonexistent")
    }

    #[test]
    fn a_copy_has_everything_but_what_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(folder.path().join("etc")).unwrap();
        fs::write(folder.path().join("etc/passwd"), "").unwrap();
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::create_dir_all(from.join(".well-known")).unwrap();
        for file in ["x", "a/run", ".env", ".well-known/y", "a/.hidden"] {
            fs::write(from.join(file), file).unwrap();
        }
        fs::set_permissions(from.join("a/run"), fs::Permissions::from_mode(0o755)).unwrap();
        for (target, link) in [
            ("../x", "a/inside"),
            ("missing", "broken"),
            ("/etc/passwd", "absolute"),
            ("../../etc", "a/out"),
            ("a/out/passwd", "over"),
            ("loop", "loop"),
        ] {
            symlink(target, from.join(link)).unwrap();
        }
        nix::unistd::mkfifo(&from.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut left_out = copy(&context(), &from, &to, CopyOptions::default()).unwrap();
        left_out.sort();
        let expected = ["a/out", "absolute", "over", "pipe"].map(PathBuf::from);
        assert_eq!(left_out, expected);
        assert_eq!(fs::read_to_string(to.join("a/inside")).unwrap(), "x");
        assert!(to.join("a/b").is_dir() && to.join(".env").is_file());
        assert!(fs::symlink_metadata(to.join("loop")).unwrap().is_symlink());
        let mode = fs::metadata(to.join("a/run")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);

        let options = CopyOptions {
            link: true,
            visible_only: true,
        };
        let to = folder.path().join("visible");
        copy(&context(), &from, &to, options).unwrap();
        assert!(to.join(".well-known/y").is_file());
        assert!(!to.join(".env").exists() && !to.join("a/.hidden").exists());
    }

    #[test]
    fn a_tree_that_was_made_read_only_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::set_permissions(tree.join("a"), fs::Permissions::from_mode(0o500)).unwrap();
        remove(&tree).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.exists());
    }
}
