//! Zip archives that break a rule, and bombs.

use devopser_core::source::SnapshotLimits;

use super::assert_refused;
use super::raw::*;

#[test]
fn hostile_zip_entries_are_refused() {
    let file = ZipEntry::file("f");
    let with = |change: fn(&mut ZipEntry)| {
        let mut entry = file.clone();
        change(&mut entry);
        zip(&[entry])
    };
    let limits = SnapshotLimits::default();
    assert_refused(
        "device",
        &with(|f| f.mode = 0o020_644),
        &limits,
        &["\"f\"", "neither"],
    );
    assert_refused(
        "encrypted",
        &with(|f| f.flags = 1),
        &limits,
        &["\"f\"", "encrypted"],
    );
    assert_refused(
        "method",
        &with(|f| f.method = 93),
        &limits,
        &["\"f\"", "method 93"],
    );
    assert_refused(
        "two names",
        &with(|f| f.name_before_content = b"g".to_vec()),
        &limits,
        &["two different ways"],
    );
    assert_refused(
        "two sizes",
        &with(|f| f.size = 3),
        &limits,
        &["two different sizes"],
    );
    assert_refused(
        "checksum",
        &with(|f| f.crc ^= 1),
        &limits,
        &["\"f\"", "damaged"],
    );
    assert_refused(
        "deflate",
        &with(|f| f.method = 8),
        &limits,
        &["\"f\"", "damaged"],
    );
    assert_refused(
        "folder with content",
        &with(|f| {
            f.name = b"f/".to_vec();
            f.name_before_content = b"f/".to_vec();
        }),
        &limits,
        &["has content"],
    );
    let mut bytes = zip(std::slice::from_ref(&file));
    let end = bytes.len();
    bytes[end - 6..end - 2].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_refused("table outside", &bytes, &limits, &["damaged"]);
    assert_refused(
        "cut off",
        &zip(std::slice::from_ref(&file))[..60],
        &limits,
        &["damaged"],
    );
    assert_refused(
        "empty",
        &zip_end(Vec::new(), b"", 0),
        &limits,
        &["is empty"],
    );

    // Two records of the table that share one content.
    let one = zip(std::slice::from_ref(&file));
    let content = 30 + 1 + 7;
    let table = one[content..one.len() - 22].repeat(2);
    assert_refused(
        "overlap",
        &zip_end(one[..content].to_vec(), &table, 2),
        &limits,
        &["overlap"],
    );
}

fn deflated(name: &str, size: usize, said: u32) -> Vec<u8> {
    let content = vec![0; size];
    let mut crc = flate2::Crc::new();
    crc.update(&content);
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &content).unwrap();
    let mut entry = ZipEntry::new(name.as_bytes(), 0o100_644, &encoder.finish().unwrap());
    (entry.method, entry.size, entry.crc) = (8, said, crc.sum());
    zip(&[entry])
}

#[test]
fn bombs_are_refused() {
    let limits = SnapshotLimits::default();
    let large = 17 << 20;
    assert_refused(
        "zip ratio",
        &deflated("bomb", large, large as u32),
        &limits,
        &["200 times"],
    );
    assert_refused(
        "gzip ratio",
        &gzip(&tar(&[tar_entry(b"bomb", b'0', b"", &vec![0; large])])),
        &limits,
        &["200 times"],
    );
    assert_refused(
        "zip that says less",
        &deflated("bomb", 5000, 100),
        &limits,
        &["\"bomb\"", "damaged"],
    );
    assert_refused(
        "zip that says more",
        &deflated("bomb", 100, 5000),
        &limits,
        &["\"bomb\"", "damaged"],
    );
    let small = SnapshotLimits {
        bytes: 10,
        ..limits.clone()
    };
    assert_refused(
        "bytes",
        &tar(&[tar_file("a"), tar_file("b")]),
        &small,
        &["more than 10 bytes"],
    );
    let hard = tar_entry(b"h", b'1', b"a", b"");
    assert_refused(
        "hard links",
        &tar(&[tar_file("a"), hard]),
        &small,
        &["more than 10 bytes"],
    );
    let small = SnapshotLimits {
        file_bytes: 6,
        ..limits.clone()
    };
    assert_refused(
        "file",
        &zip(&[ZipEntry::file("a")]),
        &small,
        &["\"a\"", "7 bytes", "6 bytes"],
    );
    let few = SnapshotLimits { files: 2, ..limits };
    let names = ["a", "b", "c"];
    assert_refused(
        "count",
        &tar(&names.map(tar_file)),
        &few,
        &["more than 2 files"],
    );
    assert_refused(
        "count",
        &zip(&names.map(ZipEntry::file)),
        &few,
        &["more than 2 files"],
    );
    let many: Vec<_> = (0..21)
        .map(|n| ZipEntry::file(&format!("node_modules/{n}")))
        .collect();
    assert_refused("left out", &zip(&many), &few, &["more than 20 entries"]);
}
