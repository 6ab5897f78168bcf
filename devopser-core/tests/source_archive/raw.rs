//! Archives written byte by byte, so that they can break every rule.

use std::io::Write as _;

/// One entry of a tar archive.
pub(crate) fn tar_entry(name: &[u8], kind: u8, target: &[u8], content: &[u8]) -> Vec<u8> {
    tar_entry_of_size(name, kind, target, content, content.len() as u64)
}

/// One entry of a tar archive whose header gives another size than its content has.
pub(crate) fn tar_entry_of_size(
    name: &[u8],
    kind: u8,
    target: &[u8],
    content: &[u8],
    size: u64,
) -> Vec<u8> {
    let mut block = [0_u8; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..107].copy_from_slice(b"0004755");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = kind;
    block[157..157 + target.len()].copy_from_slice(target);
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut bytes = block.to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

pub(crate) fn tar_file(name: &str) -> Vec<u8> {
    tar_entry(name.as_bytes(), b'0', b"", b"content")
}

pub(crate) fn tar_link(name: &str, target: &str) -> Vec<u8> {
    tar_entry(name.as_bytes(), b'2', target.as_bytes(), b"")
}

/// A record before an entry that gives it a value.
pub(crate) fn pax(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    tar_entry(b"pax", b'x', b"", &record)
}

pub(crate) fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One entry of a zip archive: stored, with its true size and checksum unless a test changes them.
#[derive(Clone)]
pub(crate) struct ZipEntry {
    pub(crate) name: Vec<u8>,
    pub(crate) name_before_content: Vec<u8>,
    pub(crate) content: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) size: u32,
    pub(crate) crc: u32,
}

impl ZipEntry {
    pub(crate) fn new(name: &[u8], mode: u32, content: &[u8]) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        Self {
            name: name.to_vec(),
            name_before_content: name.to_vec(),
            content: content.to_vec(),
            mode,
            flags: 0,
            method: 0,
            size: content.len() as u32,
            crc: crc.sum(),
        }
    }

    pub(crate) fn file(name: &str) -> Self {
        Self::new(name.as_bytes(), 0o100_644, b"content")
    }

    pub(crate) fn link(name: &str, target: &str) -> Self {
        Self::new(name.as_bytes(), 0o120_777, target.as_bytes())
    }

    /// The fields that the header before the content and the record in the table share.
    fn shared(&self, name: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in [20, self.flags, self.method, 0, 0x21] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        for value in [self.crc, self.content.len() as u32, self.size] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes
    }
}

pub(crate) fn zip(entries: &[ZipEntry]) -> Vec<u8> {
    let (mut bytes, mut table) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = bytes.len() as u32;
        bytes.extend_from_slice(b"PK\x03\x04");
        bytes.extend(entry.shared(&entry.name_before_content));
        bytes.extend_from_slice(&entry.name_before_content);
        bytes.extend_from_slice(&entry.content);
        table.extend_from_slice(b"PK\x01\x02\x14\x03");
        table.extend(entry.shared(&entry.name));
        table.extend_from_slice(&[0; 6]);
        table.extend_from_slice(&(entry.mode << 16).to_le_bytes());
        table.extend_from_slice(&offset.to_le_bytes());
        table.extend_from_slice(&entry.name);
    }
    zip_end(bytes, &table, entries.len() as u16)
}

pub(crate) fn zip_end(mut bytes: Vec<u8>, table: &[u8], entries: u16) -> Vec<u8> {
    let start = bytes.len() as u32;
    bytes.extend_from_slice(table);
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    bytes.extend_from_slice(&entries.to_le_bytes());
    bytes.extend_from_slice(&entries.to_le_bytes());
    bytes.extend_from_slice(&(table.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&start.to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes
}
