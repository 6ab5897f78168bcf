//! Names of things at code hosts, registries, name servers and server providers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{is_label, refused};
use crate::{Error, Result};

text_id! {
    /// The name of a repository in a registry, such as `shop` or `acme/shop`.
    RepositoryName, "repository", "2 to 255 lower-case letters and digits, parted by single '.', '_', '-' or '/', or by '__'",
    |t| (2..=255).contains(&t.len()) && t.split('/').all(is_path_component)
}
text_id! {
    /// A tag of a container image.
    ImageTag, "tag", "1 to 128 letters, digits, '_', '.' or '-', not beginning with '.' or '-'",
    |t| (1..=128).contains(&t.len()) && !t.starts_with(['.', '-'])
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}
text_id! {
    /// The name of a record at a name server: a host name whose labels may begin with `_` and whose first may be `*`.
    RecordName, "record_name", "labels of 1 to 63 lower-case letters, digits, '-' or '_' joined by dots, the first may be '*', at most 253 characters",
    |t| t.len() <= 253 && t.strip_prefix("*.").unwrap_or(t).split('.').all(|l| (1..=63).contains(&l.len())
        && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        && !l.starts_with('-') && !l.ends_with('-'))
}
text_id! {
    /// A commit of a git repository: its whole hash.
    CommitSha, "commit", "40 or 64 lower-case hexadecimal digits",
    |t| (t.len() == 40 || t.len() == 64) && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
text_id! {
    /// A repository at a code host, such as `acme/shop`.
    CodeRepository, "code_repository", "2 to 10 parts of 1 to 100 letters, digits, '.', '_' or '-' joined by '/', none of them '.' or '..'",
    |t| (2..=10).contains(&t.split('/').count()) && t.split('/').all(|p| (1..=100).contains(&p.len())
        && p != "." && p != ".." && !p.starts_with('-')
        && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)))
}
text_id! {
    /// The path of a file in a tree, relative to its root.
    TreePath, "path", "a relative path with '/', without '.', '..' or empty parts, control characters and '\\', at most 4096 bytes",
    |t| (1..=4096).contains(&t.len()) && !t.chars().any(|c| c.is_control() || c == '\\')
        && t.split('/').all(|p| !p.is_empty() && p != "." && p != "..")
}
text_id! {
    /// A folder of an app that keeps its data, absolute in its container or relative to the app's own folder there.
    DataFolder, "data_folder", "a path of at most 200 letters, digits, '.', '_', '-' and '/', without '.', '..' or empty parts, and outside of /dev, /proc, /run and /sys",
    |t| t.len() <= 200 && t.strip_prefix('/').unwrap_or(t).split('/').all(|p| !p.is_empty() && p != "." && p != ".."
        && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)))
        && !is_of_the_system(t)
}
text_id! {
    /// The file of a workflow, such as `deploy.yml`.
    WorkflowFile, "workflow", "1 to 100 letters, digits, '.', '_' or '-', ending in '.yml' or '.yaml'",
    |t| (5..=100).contains(&t.len()) && !t.starts_with(['.', '-'])
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && (t.ends_with(".yml") || t.ends_with(".yaml"))
}
text_id! {
    /// The name of a secret at a code host.
    CiSecretName, "ci_secret", "1 to 100 upper-case letters, digits or '_', not beginning with a digit or 'GITHUB_'",
    |t| (1..=100).contains(&t.len()) && !t.as_bytes()[0].is_ascii_digit() && !t.starts_with("GITHUB_")
        && t.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}
text_id! {
    /// The name of a server.
    ServerName, "server", "1 to 63 lower-case letters, digits or '-', beginning with a letter, not ending in '-'", |t| is_label(t, 63)
}
text_id! {
    /// The name of a snapshot of a server.
    SnapshotName, "snapshot", "1 to 63 lower-case letters, digits or '-', beginning with a letter, not ending in '-'", |t| is_label(t, 63)
}
text_id! {
    /// A region of a provider, such as `eu-central-1` or `ams3`.
    Region, "region", "1 to 40 lower-case letters, digits or '-', beginning with a letter, not ending in '-'", |t| is_label(t, 40)
}
text_id! {
    /// A size of a server as its provider names it, such as `s-1vcpu-1gb`.
    ServerSize, "size", "1 to 60 lower-case letters, digits, '.', '_' or '-', beginning with a letter or digit",
    |t| (1..=60).contains(&t.len()) && t.as_bytes()[0].is_ascii_alphanumeric()
        && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

/// Whether a path lies in a folder that the system fills.
fn is_of_the_system(path: &str) -> bool {
    let top = path.strip_prefix('/').map(|rest| rest.split('/').next());
    top.flatten()
        .is_some_and(|top| ["dev", "proc", "run", "sys"].contains(&top))
}

fn is_path_component(part: &str) -> bool {
    let bytes = part.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(b);
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(plain)
        && !part.contains("..")
        && !part.contains("___")
        && !["._", "_.", ".-", "-.", "_-", "-_"]
            .iter()
            .any(|mix| part.contains(mix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &[&str] = &[
        "",
        " ",
        "; id",
        "$(id)",
        "`id`",
        "a|id",
        "a\nid",
        "a\0",
        "--upload-pack=x",
        "-x",
        "../../etc",
        "a/../b",
        "..\\x",
        "/etc/passwd",
        "a//b",
        "a\u{202e}\u{0}b",
    ];

    #[test]
    fn hostile_text_is_no_name() {
        for text in HOSTILE {
            assert!(RepositoryName::new(*text).is_err(), "{text:?}");
            assert!(ImageTag::new(*text).is_err(), "{text:?}");
            assert!(RecordName::new(*text).is_err(), "{text:?}");
            assert!(CommitSha::new(*text).is_err(), "{text:?}");
            assert!(CodeRepository::new(*text).is_err(), "{text:?}");
            assert!(WorkflowFile::new(*text).is_err(), "{text:?}");
            assert!(CiSecretName::new(*text).is_err(), "{text:?}");
            assert!(ServerName::new(*text).is_err(), "{text:?}");
            assert!(SnapshotName::new(*text).is_err(), "{text:?}");
            assert!(Region::new(*text).is_err(), "{text:?}");
            assert!(ServerSize::new(*text).is_err(), "{text:?}");
        }
        for text in HOSTILE.iter().filter(|text| !text.starts_with(['/', '-'])) {
            assert!(DataFolder::new(*text).is_err(), "{text:?}");
        }
        for text in [
            "/",
            "/proc/self",
            "/dev",
            "/a/../b",
            "a:b",
            "a b",
            "./a",
            "a/",
        ] {
            assert!(DataFolder::new(text).is_err(), "{text:?}");
        }
        assert!(
            ["data", "/data", "/usr/src/app/data", "db/.files"]
                .map(DataFolder::new)
                .iter()
                .all(Result::is_ok)
        );
        for text in [
            "",
            "..",
            "a/../b",
            "/etc/passwd",
            "a//b",
            "..\\x",
            "a\0",
            "a\nb",
            "./a",
            "a/",
        ] {
            assert!(TreePath::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn usual_names_are_accepted() {
        for name in ["shop", "acme/shop", "a1/b.c/d__e", "my-app--x"] {
            assert!(RepositoryName::new(name).is_ok(), "{name}");
        }
        for name in [
            "*.example.com",
            "_devopser.www.example.com",
            "example.com",
            "_acme-challenge.a.b",
        ] {
            assert!(RecordName::new(name).is_ok(), "{name}");
        }
        for path in ["a b/ü.txt", ".github/workflows/x.yml", "-x", "$(id)"] {
            assert!(TreePath::new(path).is_ok(), "{path}");
        }
        assert!(CodeRepository::new("Acme-Inc/shop.js").is_ok());
        assert!(CodeRepository::new("group/sub/project").is_ok());
        assert!(CommitSha::new("a".repeat(40)).is_ok());
        assert!(WorkflowFile::new("deploy.yml").is_ok());
        assert!(CiSecretName::new("AWS_ROLE_ARN").is_ok());
        assert!(CiSecretName::new("GITHUB_TOKEN").is_err());
        assert!(ServerSize::new("s-1vcpu-1gb").is_ok());
        assert!(Region::new("eu-central-1").is_ok());
    }
}
