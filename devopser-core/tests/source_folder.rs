//! The snapshot of a folder, and back.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use devopser_core::source::{Snapshot, SnapshotLimits, snapshot_folder, unpack};
use devopser_core::{Error, ErrorKind, Result};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.source()).unwrap();
        place
    }

    fn source(&self) -> PathBuf {
        self.0.path().join("source")
    }

    fn tar(&self) -> PathBuf {
        self.0.path().join("out/snapshot.tar")
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.source().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn take(&self) -> Result<Snapshot> {
        self.take_within(&SnapshotLimits::default())
    }

    fn take_within(&self, limits: &SnapshotLimits) -> Result<Snapshot> {
        snapshot_folder(&self.source(), &self.tar(), limits)
    }

    /// The refusal, after which nothing may be left behind.
    fn refusal(&self, limits: &SnapshotLimits) -> Error {
        let error = self.take_within(limits).unwrap_err();
        let left = fs::read_dir(self.0.path().join("out")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "files are left after {error}");
        error
    }
}

fn assert_says(error: &Error, words: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    for word in words {
        assert!(
            error.to_string().contains(word),
            "{word:?} is not in: {error}"
        );
    }
}

fn listing(root: &Path) -> Vec<String> {
    let mut ahead = vec![root.to_owned()];
    let mut out = Vec::new();
    while let Some(folder) = ahead.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if metadata.is_dir() {
                out.push(format!("{name}/"));
                ahead.push(path);
            } else if metadata.is_symlink() {
                out.push(format!(
                    "{name} -> {}",
                    fs::read_link(&path).unwrap().display()
                ));
            } else {
                out.push(format!(
                    "{name} {:o} {:?}",
                    metadata.permissions().mode() & 0o7777,
                    fs::read_to_string(&path).unwrap()
                ));
            }
        }
    }
    out.sort();
    out
}

/// One of everything that a snapshot holds.
fn one_of_everything() -> Place {
    let place = Place::new();
    place.write("index.js", "one");
    place.write("run.sh", "two");
    place.write("a b/é/😀.txt", "three");
    place.write("empty.txt", "");
    place.write(
        &format!("{}/{}.txt", "d".repeat(120), "n".repeat(200)),
        "long",
    );
    place.write(
        &format!("{}/file.txt", ["x"; 60].join("/").replace('x', "folder")),
        "deep",
    );
    fs::create_dir(place.source().join("uploads")).unwrap();
    symlink("index.js", place.source().join("link.js")).unwrap();
    symlink("../index.js", place.source().join("a b/up.js")).unwrap();
    symlink("missing", place.source().join("dangling")).unwrap();
    symlink("t/".repeat(100), place.source().join("long-link")).unwrap();
    fs::set_permissions(
        place.source().join("run.sh"),
        fs::Permissions::from_mode(0o4711),
    )
    .unwrap();
    fs::set_permissions(
        place.source().join("index.js"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    place
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let place = one_of_everything();
    let snapshot = place.take().unwrap();
    assert_eq!((snapshot.files, snapshot.bytes), (10, 19));
    let content = fs::read(place.tar()).unwrap();
    assert_eq!(devopser_core::id::Digest::of(&content), snapshot.digest);

    let back = place.0.path().join("back");
    unpack(&place.tar(), &back).unwrap();
    let listed = listing(&back);
    for line in [
        "index.js 644 \"one\"",
        "run.sh 755 \"two\"",
        "uploads/",
        "link.js -> index.js",
        "a b/up.js -> ../index.js",
        "dangling -> missing",
    ] {
        assert!(
            listed.contains(&line.to_owned()),
            "{line} is not in {listed:#?}"
        );
    }
    let again = snapshot_folder(
        &back,
        &place.0.path().join("again.tar"),
        &SnapshotLimits::default(),
    )
    .unwrap();
    assert_eq!(again, snapshot);
    fs::write(back.join("index.js"), "changed").unwrap();
    unpack(&place.tar(), &back).unwrap();
    assert_eq!(
        fs::read_to_string(back.join("index.js")).unwrap(),
        "changed",
        "an existing folder is left as it is"
    );
}

#[test]
fn the_system_tar_reads_a_snapshot() {
    let place = Place::new();
    place.write("a/b.txt", "b");
    place.write(
        &format!("{}/{}.txt", "d".repeat(120), "n".repeat(200)),
        "long",
    );
    symlink("a/b.txt", place.source().join("link")).unwrap();
    place.take().unwrap();
    let listed = std::process::Command::new("tar")
        .arg("-tf")
        .arg(place.tar())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), 3);
}

#[test]
fn the_digest_depends_on_content_alone() {
    let (one, two) = (Place::new(), Place::new());
    for name in ["b", "a", "c/d", "c.txt"] {
        one.write(name, name);
    }
    for name in ["c.txt", "c/d", "a", "b"] {
        two.write(name, name);
    }
    for left_out in [
        ".git/HEAD",
        "node_modules/x/index.js",
        "web/node_modules/y",
        "__pycache__/m.pyc",
        ".venv/bin/python",
        ".devopser/state",
        ".DS_Store",
        "c/.DS_Store",
    ] {
        two.write(left_out, "x");
    }
    let file = fs::File::options()
        .write(true)
        .open(two.source().join("a"))
        .unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    fs::remove_dir_all(two.source().join("web")).unwrap();
    let digest = one.take().unwrap().digest;
    assert_eq!(two.take().unwrap().digest, digest);
    two.write("a", "b");
    assert_ne!(two.take().unwrap().digest, digest);
}

#[test]
fn target_is_left_out_beside_a_cargo_toml_only() {
    let place = Place::new();
    place.write("target/page.html", "kept");
    let before = place.take().unwrap();
    place.write("Cargo.toml", "");
    place.write("src/main.rs", "");
    let after = place.take().unwrap();
    assert_eq!((before.files, after.files), (1, 2));
}

#[test]
fn what_is_no_folder_is_refused() {
    let place = Place::new();
    place.write("file", "x");
    let limits = SnapshotLimits::default();
    let error = snapshot_folder(&place.source().join("file"), &place.tar(), &limits).unwrap_err();
    assert_says(&error, &["is not a folder"]);
    let error = snapshot_folder(&place.source().join("none"), &place.tar(), &limits).unwrap_err();
    assert_says(&error, &["does not exist"]);
}

#[test]
fn an_empty_folder_is_refused() {
    let place = Place::new();
    assert_says(&place.refusal(&SnapshotLimits::default()), &["is empty"]);
    place.write(".git/HEAD", "x");
    fs::create_dir_all(place.source().join("a/b")).unwrap();
    assert_says(&place.refusal(&SnapshotLimits::default()), &["is empty"]);
}

#[test]
fn links_that_leave_or_loop_are_refused() {
    for (links, name, rule) in [
        (&[("self", "self")][..], "self", "leads back to itself"),
        (&[("a", "b"), ("b", "a")], "\"a\"", "leads back to itself"),
        (
            &[("a", "b/x"), ("b", "a/y")],
            "\"a\"",
            "leads back to itself",
        ),
        (
            &[("passwd", "/etc/passwd")],
            "passwd",
            "outside of the source",
        ),
        (&[("up", "../secret")], "up", "outside of the source"),
        (&[("d/e", "../../secret")], "d/e", "outside of the source"),
        (
            &[("p/q/d", "../../p"), ("p/q/e", "d/../../secret")],
            "p/q/e",
            "outside of the source",
        ),
    ] {
        let place = Place::new();
        place.write("file", "x");
        for (link, target) in links {
            let link = place.source().join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(target, link).unwrap();
        }
        assert_says(&place.refusal(&SnapshotLimits::default()), &[name, rule]);
    }
}

#[test]
fn a_link_to_a_folder_above_is_kept_and_not_followed() {
    let place = Place::new();
    place.write("a/file", "x");
    symlink("..", place.source().join("a/up")).unwrap();
    assert_eq!(place.take().unwrap().files, 2);
}

#[test]
fn every_limit_is_named() {
    let place = Place::new();
    place.write("a/one", "12345");
    place.write("a/two", "12345");
    let limits = SnapshotLimits::default();
    let few = SnapshotLimits {
        files: 1,
        ..limits.clone()
    };
    assert_says(&place.refusal(&few), &["more than 1 files"]);
    let small = SnapshotLimits {
        bytes: 9,
        ..limits.clone()
    };
    assert_says(&place.refusal(&small), &["more than 9 bytes"]);
    let small = SnapshotLimits {
        file_bytes: 4,
        ..limits.clone()
    };
    assert_says(
        &place.refusal(&small),
        &["is 5 bytes large", "4 bytes", "a/"],
    );
    let flat = SnapshotLimits { depth: 1, ..limits };
    assert_says(&place.refusal(&flat), &["more than 1 folders deep", "a/"]);
}

#[test]
fn a_hundred_thousand_and_one_files_are_too_many() {
    let place = Place::new();
    for folder in 0..101 {
        let folder = place.source().join(folder.to_string());
        fs::create_dir(&folder).unwrap();
        for file in 0..if folder.ends_with("100") { 1 } else { 1000 } {
            fs::File::create(folder.join(file.to_string())).unwrap();
        }
    }
    assert_says(
        &place.refusal(&SnapshotLimits::default()),
        &["more than 100000 files"],
    );
    fs::remove_file(place.source().join("100/0")).unwrap();
    assert_eq!(place.take().unwrap().files, 100_000);
}

#[test]
fn names_and_files_that_cannot_be_taken_are_named() {
    use std::os::unix::ffi::OsStrExt as _;
    let place = Place::new();
    place.write("ok", "x");
    let odd = place.source().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    fs::write(&odd, "x").unwrap();
    assert_says(
        &place.refusal(&SnapshotLimits::default()),
        &["caf\u{fffd}", "not UTF-8"],
    );
    fs::remove_file(odd).unwrap();
    place.write("locked", "x");
    fs::set_permissions(
        place.source().join("locked"),
        fs::Permissions::from_mode(0o000),
    )
    .unwrap();
    // The superuser reads everything.
    if fs::File::open(place.source().join("locked")).is_err() {
        assert_says(
            &place.refusal(&SnapshotLimits::default()),
            &["locked", "cannot be read"],
        );
    }
}

#[test]
fn sockets_and_pipes_are_left_out() {
    let place = Place::new();
    place.write("ok", "x");
    let _socket = std::os::unix::net::UnixListener::bind(place.source().join("app.sock")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(place.source().join("pipe"))
        .status()
        .unwrap();
    assert!(made.success());
    assert_eq!(place.take().unwrap().files, 1);
}
