//! Names and ids as validated newtypes: what was accepted once is safe in a path, a label, a host name or an argument.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $field:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[doc = concat!("\n\nRule: ", $rule, ".")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks `text` against the rule.
            ///
            /// # Errors
            /// [`InvalidInput`](crate::ErrorKind::InvalidInput) that names the field and the rule.
            pub fn new(text: impl Into<String>) -> Result<Self> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err(refused($field, $rule, &text)) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

mod names;

pub use names::{
    CiSecretName, CodeRepository, CommitSha, DataFolder, ImageTag, RecordName, Region,
    RepositoryName, ServerName, ServerSize, SnapshotName, TreePath, WorkflowFile,
};

fn refused(field: &str, rule: &str, text: &str) -> Error {
    let shown: String = text
        .chars()
        .take(40)
        .flat_map(char::escape_default)
        .collect();
    Error::invalid(
        field,
        format!("\"{shown}\" is not allowed; it must be {rule}"),
    )
}

fn is_label(text: &str, longest: usize) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= longest
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && bytes[0].is_ascii_lowercase()
        && bytes[bytes.len() - 1] != b'-'
}

fn is_token(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !text.starts_with('-')
}

text_id! {
    /// The customer on whose behalf everything is done. Every public store call takes one.
    TenantId, "tenant", "1 to 64 letters, digits, '-' or '_', not beginning with '-'", is_token
}
text_id! {
    /// The name of an app, unique within its tenant.
    AppName, "app", "1 to 40 lower-case letters, digits or '-', beginning with a letter, not ending in '-'", |t| is_label(t, 40)
}
text_id! {
    /// The name of an environment, such as `production` or `pr-12`.
    EnvironmentName, "environment", "1 to 40 lower-case letters, digits or '-', beginning with a letter, not ending in '-'", |t| is_label(t, 40)
}
text_id! {
    /// The id of a provider in kebab case, equal to its Cargo feature and folder.
    ProviderId, "provider", "1 to 40 lower-case letters, digits or '-', beginning with a letter, not ending in '-'", |t| is_label(t, 40)
}
text_id! {
    /// The id of one deployment: one attempt to make a source live.
    DeploymentId, "deployment", "1 to 64 letters, digits, '-' or '_', not beginning with '-'", is_token
}
text_id! {
    /// The id of one release: one version of a service.
    ReleaseId, "release", "1 to 64 letters, digits, '-' or '_', not beginning with '-'", is_token
}
text_id! {
    /// The id of a row of the resource ledger.
    ResourceId, "resource", "1 to 64 letters, digits, '-' or '_', not beginning with '-'", is_token
}
text_id! {
    /// What a caller chooses so that the same call made twice does one thing.
    IdempotencyKey, "idempotency_key", "1 to 200 printable ASCII characters",
    |t| (1..=200).contains(&t.len()) && t.bytes().all(|b| (0x20..0x7f).contains(&b))
}
text_id! {
    /// The name of an environment variable.
    EnvName, "env", "1 to 200 letters, digits or '_', not beginning with a digit",
    |t| (1..=200).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !t.as_bytes()[0].is_ascii_digit()
}
text_id! {
    /// A host name in lower case, such as `shop.example.com`.
    HostName, "host_name", "labels of 1 to 63 lower-case letters, digits or '-' joined by dots, at most 253 characters",
    |t| t.len() <= 253 && t.split('.').all(|l| (1..=63).contains(&l.len())
        && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !l.starts_with('-') && !l.ends_with('-'))
}
text_id! {
    /// A branch, tag or commit of a git repository.
    GitRevision, "revision", "1 to 250 letters, digits or ./_- characters, without '..', '//', '@{', a leading '-' or '/', or a trailing '/', '.' or '.lock'",
    |t| (1..=250).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"./_-+#@".contains(&b))
        && !t.starts_with(['-', '/', '.']) && !t.ends_with(['/', '.']) && !t.ends_with(".lock")
        && !t.contains("..") && !t.contains("//") && !t.contains("@{")
}
text_id! {
    /// A reference to a container image: `name`, `name:tag`, `host/name@sha256:…`, or `:service.label.7` for one that
    /// a container service stores itself.
    ImageRef, "image", "a lower-case image name with an optional registry host, tag and digest, at most 400 characters",
    is_image_ref
}
text_id! {
    /// The content hash of a blob: `sha256:` and 64 hexadecimal digits.
    Digest, "digest", "'sha256:' and 64 lower-case hexadecimal digits",
    |t| t.strip_prefix("sha256:").is_some_and(|h| h.len() == 64 && h.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
}

fn is_image_ref(text: &str) -> bool {
    if text.is_empty() || text.len() > 400 || text.starts_with('-') {
        return false;
    }
    if let Some(stored) = text.strip_prefix(':') {
        return is_stored_image(stored);
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    if digest.is_some_and(|d| Digest::new(d).is_err()) {
        return false;
    }
    let last_slash = rest.rfind('/').map_or(0, |i| i + 1);
    let (name, tag) = match rest[last_slash..].split_once(':') {
        Some((name, tag)) => (&rest[..last_slash + name.len()], Some(tag)),
        None => (rest, None),
    };
    let tag_ok = tag.is_none_or(|t| {
        (1..=128).contains(&t.len())
            && t.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && !t.starts_with(['.', '-'])
    });
    let mut parts = name.split('/').peekable();
    let first_is_host = name.contains('/')
        && parts
            .peek()
            .is_some_and(|p| p.contains(['.', ':']) || *p == "localhost");
    tag_ok
        && parts.enumerate().all(|(index, part)| {
            let allowed: &[u8] = if index == 0 && first_is_host {
                b"._-:"
            } else {
                b"._-"
            };
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || allowed.contains(&b))
                && part.as_bytes()[0].is_ascii_alphanumeric()
        })
}

/// `service.label.7`, as Lightsail names the images that it stores.
fn is_stored_image(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_name = |part: &str| {
        (1..=63).contains(&part.len())
            && !part.starts_with('-')
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    matches!(parts[..], [service, label, number] if is_name(service) && is_name(label)
        && (1..=9).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()))
}

impl AppName {
    /// A valid name made from any text, such as a folder's name: lower case, other characters become `-`. What begins
    /// with a digit gets `app-` before it; where nothing remains, it is `app`.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let mut name = String::new();
        for c in text.chars().map(|c| c.to_ascii_lowercase()) {
            if c.is_ascii_digit() && name.is_empty() {
                name.push_str("app-");
            }
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                name.push(c);
            } else if !name.is_empty() && !name.ends_with('-') {
                name.push('-');
            }
            if name.len() >= 40 {
                break;
            }
        }
        name.truncate(40);
        let name = name.trim_end_matches('-');
        Self(if name.is_empty() {
            "app".into()
        } else {
            name.into()
        })
    }
}

impl EnvironmentName {
    /// The environment `production`.
    #[must_use]
    pub fn production() -> Self {
        Self("production".into())
    }
}

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self::from_hash(&sha2::Sha256::digest(bytes))
    }

    /// The digest whose 32 bytes are `hash`.
    pub(crate) fn from_hash(hash: &[u8]) -> Self {
        let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        Self(format!("sha256:{hex}"))
    }

    /// The hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0[7..]
    }
}

macro_rules! generated_id {
    ($name:ident, $prefix:literal) => {
        impl $name {
            #[doc = concat!("A new id: `", $prefix, "` and a time-ordered unique part.")]
            #[must_use]
            pub fn generate() -> Self {
                Self(format!(
                    concat!($prefix, "{}"),
                    uuid::Uuid::now_v7().simple()
                ))
            }
        }
    };
}
generated_id!(DeploymentId, "dep_");
generated_id!(ReleaseId, "rel_");
generated_id!(ResourceId, "res_");

/// What a deployment is for: one app of one tenant in one environment. One deployment at a time is live for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The tenant.
    pub tenant: TenantId,
    /// The app.
    pub app: AppName,
    /// The environment.
    pub environment: EnvironmentName,
}

impl Target {
    /// The target as one text, `tenant/app/environment`; no part can contain a slash.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.tenant, self.app, self.environment)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
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
        "a&&id",
        "a\nid",
        "a\rid",
        "a\0",
        "--upload-pack=x",
        "-oProxyCommand=x",
        "../../etc",
        "..\\x",
        "%2e%2e/",
        "a b",
        "a\u{202e}b",
        "é",
        "😀",
        "a'b",
        "a\"b",
        "${IFS}",
        "a>b",
    ];

    #[test]
    fn hostile_text_is_no_id() {
        for text in HOSTILE {
            assert!(AppName::new(*text).is_err(), "{text:?}");
            assert!(TenantId::new(*text).is_err(), "{text:?}");
            assert!(EnvironmentName::new(*text).is_err(), "{text:?}");
            assert!(ImageRef::new(*text).is_err(), "{text:?}");
            assert!(GitRevision::new(*text).is_err(), "{text:?}");
            assert!(EnvName::new(*text).is_err(), "{text:?}");
            assert!(HostName::new(*text).is_err(), "{text:?}");
        }
        assert!(AppName::new("a".repeat(41)).is_err());
        assert!(AppName::new("Shop").is_err());
        assert!(HostName::new(format!("{}.com", "a".repeat(64))).is_err());
    }

    #[test]
    fn usual_names_are_accepted() {
        assert!(AppName::new("my-shop2").is_ok());
        for image in [
            "nginx",
            "node:22-slim",
            "oven/bun:1",
            "localhost:5000/a/b:1.2",
            "ghcr.io/x/y",
            ":devopser-shop.web.17",
        ] {
            assert!(ImageRef::new(image).is_ok(), "{image}");
        }
        assert!(ImageRef::new(format!("nginx@{}", Digest::of(b""))).is_ok());
        for image in [
            "nginx@sha256:12",
            "a//b",
            "UPPER",
            "a:b:c",
            "a:",
            ":",
            ":a.b",
            ":a.b.c",
            ":-a.b.1",
        ] {
            assert!(ImageRef::new(image).is_err(), "{image}");
        }
        for revision in ["main", "feature/a-b", "v1.2.3", "0a1b2c3"] {
            assert!(GitRevision::new(revision).is_ok(), "{revision}");
        }
    }

    #[test]
    fn a_refusal_names_field_and_rule() {
        let error = AppName::new("a;b").unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
        assert!(
            error.message().contains("app") && error.message().contains("lower-case"),
            "{error}"
        );
    }

    #[test]
    fn a_name_is_made_from_any_text() {
        for (text, name) in [
            ("My Shop!", "my-shop"),
            ("123abc", "app-123abc"),
            ("…", "app"),
            ("a--b__c", "a-b-c"),
        ] {
            assert_eq!(AppName::from_text(text).as_str(), name);
            assert!(AppName::new(name).is_ok());
        }
    }

    #[test]
    fn an_id_is_checked_when_read_from_json() {
        assert!(serde_json::from_str::<AppName>("\"../x\"").is_err());
    }
}
