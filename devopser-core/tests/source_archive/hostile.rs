//! Archives that break a rule.

use std::fs;

use devopser_core::ErrorKind;
use devopser_core::source::{SnapshotLimits, unpack};

use super::raw::*;
use super::{assert_refused, take};

/// Names that no archive may hold, and the rule that is told.
const HOSTILE_NAMES: &[(&str, &str)] = &[
    ("../escape", "\"..\""),
    ("a/../../escape", "\"..\""),
    ("a/..", "\"..\""),
    ("/etc/cron.d/x", "absolute"),
    ("//etc/x", "absolute"),
    ("C:/Windows/x", "drive letter"),
    ("c:x", "drive letter"),
    ("./C:/x", "drive letter"),
    ("..\\..\\x", "backslash"),
    ("a\\b", "backslash"),
];

#[test]
fn hostile_names_are_refused_in_every_format() {
    let limits = SnapshotLimits::default();
    for (name, rule) in HOSTILE_NAMES {
        let entries = [tar_file("ok"), tar_file(name)];
        assert_refused(&format!("tar {name}"), &tar(&entries), &limits, &[rule]);
        assert_refused(
            &format!("gzip {name}"),
            &gzip(&tar(&entries)),
            &limits,
            &[rule],
        );
        let entries = [
            tar_file("ok"),
            pax("path", name.as_bytes()),
            tar_file("harmless"),
        ];
        assert_refused(&format!("pax {name}"), &tar(&entries), &limits, &[rule]);
        let long = tar_entry(b"././@LongLink", b'L', b"", name.as_bytes());
        assert_refused(
            &format!("gnu {name}"),
            &tar(&[tar_file("ok"), long, tar_file("harmless")]),
            &limits,
            &[rule],
        );
        let entries = [ZipEntry::file("ok"), ZipEntry::file(name)];
        assert_refused(&format!("zip {name}"), &zip(&entries), &limits, &[rule]);
    }
    let name = "a/".repeat(65) + "b";
    assert_refused(
        "depth",
        &zip(&[ZipEntry::file(&name)]),
        &limits,
        &["64 folders deep"],
    );
    let name = "n".repeat(256);
    assert_refused(
        "length",
        &tar(&[pax("path", name.as_bytes()), tar_file("x")]),
        &limits,
        &["too long"],
    );
    let name = "n/".repeat(30) + &"m".repeat(4096);
    assert_refused(
        "length",
        &zip(&[ZipEntry::file(&name)]),
        &limits,
        &["too long"],
    );
    assert_refused(
        "latin",
        &tar(&[tar_entry(b"caf\xe9", b'0', b"", b"")]),
        &limits,
        &["caf\u{fffd}", "UTF-8"],
    );
    assert_refused(
        "latin",
        &zip(&[ZipEntry::new(b"caf\xe9", 0, b"")]),
        &limits,
        &["caf\u{fffd}", "UTF-8"],
    );
    assert_refused("nul", &zip(&[ZipEntry::file("a\0b")]), &limits, &["NUL"]);
    assert_refused(
        "nul",
        &tar(&[pax("path", b"a\0b"), tar_file("x")]),
        &limits,
        &["NUL"],
    );
    let error = take(&zip(&[ZipEntry::file("\u{202e}/../x\n")]), &limits)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\\u{202e}") && error.contains("\\u{a}"),
        "{error}"
    );
}

#[test]
fn hostile_places_are_refused_in_every_format() {
    let cases: &[(&str, &[(&str, &str)], &[&str])] = &[
        (
            "write through a link",
            &[("a", "b"), ("a/file", "")],
            &["a/file", "below", "\"a\""],
        ),
        (
            "link over a folder",
            &[("a/file", ""), ("a", "b")],
            &["\"a\" appears twice"],
        ),
        (
            "write through a link in other case",
            &[("A", "b"), ("a/file", "")],
            &["a/file", "below"],
        ),
        ("below a file", &[("a", ""), ("a/b", "")], &["a/b", "below"]),
        ("twice", &[("a", ""), ("a", "")], &["\"a\" appears twice"]),
        (
            "twice by another spelling",
            &[("x/a", ""), ("x/./a", "")],
            &["\"x/a\" appears twice"],
        ),
        (
            "case",
            &[("README", ""), ("readme", "")],
            &["README", "upper and lower case"],
        ),
        (
            "case of folders",
            &[("Docs/a", ""), ("docs/b", "")],
            &["upper and lower case"],
        ),
        (
            "case beyond ASCII",
            &[("É", ""), ("é", "")],
            &["upper and lower case"],
        ),
        (
            "link to root",
            &[("a", "/etc/passwd")],
            &["\"a\"", "outside"],
        ),
        (
            "link above",
            &[("f", ""), ("a", "../x")],
            &["\"a\"", "outside"],
        ),
        (
            "link through a link",
            &[("f", ""), ("p/q/d", "../../p"), ("p/q/e", "d/../../x")],
            &["p/q/e", "outside"],
        ),
        (
            "link loop",
            &[("f", ""), ("a", "b"), ("b", "a")],
            &["leads back to itself"],
        ),
        (
            "link with a backslash",
            &[("f", ""), ("a", "..\\x")],
            &["no relative path"],
        ),
        (
            "link to a drive",
            &[("f", ""), ("a", "C:/x")],
            &["no relative path"],
        ),
        (
            "link out of the folder that is stripped",
            &[("top/f", ""), ("top/a", "../top/f")],
            &["outside"],
        ),
    ];
    for (case, entries, words) in cases {
        let limits = SnapshotLimits::default();
        let tar_entries: Vec<_> = entries
            .iter()
            .map(|(name, target)| {
                if target.is_empty() {
                    tar_file(name)
                } else {
                    tar_link(name, target)
                }
            })
            .collect();
        assert_refused(case, &tar(&tar_entries), &limits, words);
        let zip_entries: Vec<_> = entries
            .iter()
            .map(|(name, target)| {
                if target.is_empty() {
                    ZipEntry::file(name)
                } else {
                    ZipEntry::link(name, target)
                }
            })
            .collect();
        assert_refused(case, &zip(&zip_entries), &limits, words);
    }
}

#[test]
fn hostile_tar_entries_are_refused() {
    let hard = |name: &str, target: &str| tar_entry(name.as_bytes(), b'1', target.as_bytes(), b"");
    let cases: Vec<(&str, Vec<Vec<u8>>, &[&str])> = vec![
        (
            "character device",
            vec![tar_entry(b"null", b'3', b"", b"")],
            &["null", "device"],
        ),
        (
            "block device",
            vec![tar_entry(b"sda", b'4', b"", b"")],
            &["sda", "device"],
        ),
        (
            "pipe",
            vec![tar_entry(b"p", b'6', b"", b"")],
            &["named pipe"],
        ),
        ("sparse", vec![tar_entry(b"s", b'S', b"", b"")], &["sparse"]),
        (
            "volume",
            vec![tar_entry(b"v", b'V', b"", b"")],
            &["unknown type"],
        ),
        (
            "hard link out",
            vec![tar_file("f"), hard("h", "../../etc/passwd")],
            &["\"..\""],
        ),
        (
            "hard link to root",
            vec![tar_file("f"), hard("h", "/etc/passwd")],
            &["absolute"],
        ),
        (
            "hard link to nothing",
            vec![tar_file("f"), hard("h", "g")],
            &["\"h\"", "hard link", "\"g\""],
        ),
        (
            "hard link to a later file",
            vec![hard("h", "f"), tar_file("f")],
            &["hard link"],
        ),
        (
            "hard link to itself",
            vec![tar_file("f"), hard("h", "h")],
            &["hard link"],
        ),
        (
            "hard link to a link",
            vec![tar_link("l", "f"), tar_file("f"), hard("h", "l")],
            &["hard link"],
        ),
        (
            "link with content",
            vec![tar_entry(b"l", b'2', b"f", b"x")],
            &["has content"],
        ),
        (
            "folder with content",
            vec![tar_entry(b"d/", b'5', b"", b"x")],
            &["has content"],
        ),
        (
            "empty link",
            vec![tar_file("f"), tar_link("l", "")],
            &["target is empty"],
        ),
        (
            "two sizes",
            vec![pax("size", b"3"), tar_file("f")],
            &["two different sizes"],
        ),
        (
            "size in words",
            vec![pax("size", b"+3"), tar_file("f")],
            &["damaged"],
        ),
        (
            "sparse by pax",
            vec![pax("GNU.sparse.major", b"1"), tar_file("f")],
            &["GNU.sparse.major"],
        ),
        (
            "path for all",
            vec![
                {
                    let mut global = pax("path", b"x");
                    global.splice(..512, tar_entry_of_size(b"g", b'g', b"", b"", 10));
                    global
                },
                tar_file("f"),
            ],
            &["path", "not supported"],
        ),
        (
            "no name",
            vec![tar_file("f"), tar_file("./")],
            &["has content"],
        ),
        (
            "no name and no content",
            vec![tar_file("f"), tar_link("./", "f")],
            &["has no name"],
        ),
        (
            "cut off",
            vec![tar_entry_of_size(b"f", b'0', b"", b"x", 1 << 30)],
            &["\"f\"", "cut off"],
        ),
        (
            "huge description",
            vec![tar_entry_of_size(b"p", b'x', b"", b"", 1 << 30)],
            &["65536"],
        ),
        (
            "broken checksum",
            vec![tar_file("f"), vec![b'x'; 512]],
            &["damaged"],
        ),
    ];
    for (case, entries, words) in cases {
        let limits = SnapshotLimits {
            file_bytes: 2 << 30,
            ..SnapshotLimits::default()
        };
        assert_refused(case, &tar(&entries), &limits, words);
    }
}

#[test]
fn other_formats_are_named() {
    let limits = SnapshotLimits::default();
    for (start, words) in [
        (&b""[..], "empty file"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh9", "bzip2"),
        (b"Rar!", "rar"),
        (b"<html>not an archive</html>", "no archive"),
    ] {
        assert_refused(words, start, &limits, &[words, "Make it a .tar"]);
    }
    assert_refused("gzip of text", &gzip(b"text"), &limits, &["no tar archive"]);
    assert_refused(
        "cut off",
        &gzip(&tar(&[tar_file("a")]))[..40],
        &limits,
        &["damaged"],
    );
    assert_refused("no file", &tar(&[]), &limits, &["is empty"]);
}

#[test]
fn a_hostile_snapshot_unpacks_to_nothing() {
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("above", vec![tar_file("../escape")]),
        ("absolute", vec![tar_file("/escape")]),
        (
            "through a link",
            vec![tar_link("a", "../.."), tar_file("a/escape")],
        ),
        ("link out", vec![tar_link("a", "../..")]),
        ("twice", vec![tar_link("a", "b"), tar_file("a")]),
        ("device", vec![tar_entry(b"d", b'3', b"", b"")]),
    ];
    for (case, entries) in cases {
        let place = tempfile::tempdir().unwrap();
        let snapshot = place.path().join("s.tar");
        fs::write(&snapshot, tar(&entries)).unwrap();
        let error = unpack(&snapshot, &place.path().join("x/y")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{case}: {error}");
        let left = fs::read_dir(place.path()).unwrap().count();
        assert_eq!(left, 1, "{case}");
    }
}
