//! Archives as people make them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use devopser_core::source::{SnapshotLimits, snapshot_archive, snapshot_folder, unpack};

use super::raw::*;

fn example(root: &Path) {
    fs::create_dir_all(root.join("src/empty")).unwrap();
    fs::create_dir_all(root.join("node_modules/x")).unwrap();
    fs::write(root.join("index.html"), "<h1>Hi</h1>").unwrap();
    fs::write(root.join("node_modules/x/i.js"), "x").unwrap();
    fs::write(
        root.join("src").join("long-name-".repeat(20)),
        "é".repeat(70_000),
    )
    .unwrap();
    fs::write(root.join("src/run.sh"), "#!/bin/sh").unwrap();
    fs::set_permissions(
        root.join("src/run.sh"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    symlink("src/run.sh", root.join("run")).unwrap();
}

/// The archives that the programs of the system make.
#[test]
fn a_folder_and_its_archives_have_the_same_digest() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("app-1.0");
    example(&folder);
    let limits = SnapshotLimits::default();
    let out = place.path().join("out.tar");
    let expected = snapshot_folder(&folder, &out, &limits).unwrap();
    for (format, inside) in [("gnu", true), ("pax", true), ("gnu", false), ("pax", false)] {
        for gzip in [false, true] {
            let archive = place.path().join("made");
            let mut command = Command::new("tar");
            command
                .arg(format!("--format={format}"))
                .arg(if gzip { "-czf" } else { "-cf" })
                .arg(&archive);
            if inside {
                command.current_dir(&folder).arg(".");
            } else {
                command.current_dir(place.path()).arg("app-1.0");
            }
            assert!(command.status().unwrap().success());
            assert_eq!(
                snapshot_archive(&archive, &out, &limits).unwrap(),
                expected,
                "{format} {inside} {gzip}"
            );
        }
    }
    let back = place.path().join("back");
    unpack(&out, &back).unwrap();
    assert_eq!(
        fs::read_link(back.join("run")).unwrap(),
        Path::new("src/run.sh")
    );
    assert!(back.join("src/empty").is_dir() && !back.join("node_modules").exists());
}

#[test]
fn a_zip_by_another_writer_has_the_same_digest() {
    use zip::CompressionMethod::{Deflated, Stored};
    use zip::write::SimpleFileOptions;

    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("folder");
    example(&folder);
    let limits = SnapshotLimits::default();
    let out = place.path().join("out.tar");
    let expected = snapshot_folder(&folder, &out, &limits).unwrap();
    for (method, top, large) in [
        (Deflated, "app/", false),
        (Stored, "", false),
        (Deflated, "", true),
    ] {
        let archive = place.path().join("made.zip");
        let mut writer = zip::ZipWriter::new(fs::File::create(&archive).unwrap());
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .large_file(large);
        writer
            .add_directory(format!("{top}src/empty"), options)
            .unwrap();
        let long = format!("src/{}", "long-name-".repeat(20));
        for (name, mode) in [
            ("src/run.sh", 0o755),
            ("index.html", 0o644),
            (long.as_str(), 0o600),
            ("node_modules/x/i.js", 0o644),
        ] {
            writer
                .start_file(format!("{top}{name}"), options.unix_permissions(mode))
                .unwrap();
            std::io::Write::write_all(&mut writer, &fs::read(folder.join(name)).unwrap()).unwrap();
        }
        writer
            .add_symlink(format!("{top}run"), "src/run.sh", options)
            .unwrap();
        writer.start_file("__MACOSX/._index.html", options).unwrap();
        writer.finish().unwrap();
        assert_eq!(
            snapshot_archive(&archive, &out, &limits).unwrap(),
            expected,
            "{method} {top:?} {large}"
        );
    }
}

#[test]
fn hard_links_become_files_and_special_bits_are_dropped() {
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar");
    let hard = tar_entry(b"h", b'1', b"./f", b"");
    fs::write(
        &archive,
        tar(&[tar_file("f"), hard, tar_entry(b"old/", b'0', b"", b"")]),
    )
    .unwrap();
    let out = place.path().join("out.tar");
    let snapshot = snapshot_archive(&archive, &out, &SnapshotLimits::default()).unwrap();
    assert_eq!((snapshot.files, snapshot.bytes), (2, 14));
    unpack(&out, &place.path().join("back")).unwrap();
    let metadata = fs::metadata(place.path().join("back/h")).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777,
        0o755
    );
    assert!(place.path().join("back/old").is_dir());
}
