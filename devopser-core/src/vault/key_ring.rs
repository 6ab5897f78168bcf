//! [`KeyRing`]: the keys that wrap data keys.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::envelope;
use crate::store::files;
use crate::{Error, ErrorKind, Result};

/// The key-encryption keys by id: the current one, which wraps what is written, and older ones, which are only read with.
/// It prints its ids, never a key, and is wiped when dropped.
#[derive(Clone)]
pub struct KeyRing {
    current: String,
    keys: BTreeMap<String, Zeroizing<[u8; 32]>>,
}

impl KeyRing {
    /// A ring of one key that the host keeps elsewhere, such as in a secret manager.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) unless the id has 1 to 64 letters, digits, `-` or `_`.
    pub fn from_bytes(id: impl Into<String>, key: [u8; 32]) -> Result<Self> {
        let id = checked_id(id.into())?;
        Ok(Self {
            current: id.clone(),
            keys: BTreeMap::from([(id, Zeroizing::new(key))]),
        })
    }

    /// A ring of one new random key.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the system gives no random bytes.
    pub fn generate() -> Result<Self> {
        let key = envelope::random_key()?;
        Self::from_bytes(format!("k{}", uuid::Uuid::now_v7().simple()), *key)
    }

    /// The ring with an older key, to read with.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes), and when the ring has another key of that id.
    pub fn with_older(mut self, id: impl Into<String>, key: [u8; 32]) -> Result<Self> {
        let id = checked_id(id.into())?;
        let key = Zeroizing::new(key);
        if self.keys.get(&id).is_some_and(|known| *known != key) {
            return Err(Error::invalid("key", "the ring has another key of that id"));
        }
        self.keys.insert(id, key);
        Ok(self)
    }

    /// The ring with a new random key as the current one; the others become older ones. [`save`](Self::save) it, hand it to
    /// every process, then [`rotate`](super::rotate).
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn rotated(&self) -> Result<Self> {
        let mut next = Self::generate()?;
        for (id, key) in &self.keys {
            next = next.with_older(id.clone(), **key)?;
        }
        Ok(next)
    }

    /// The ring without its older keys: once a rotation was complete.
    #[must_use]
    pub fn only_current(&self) -> Self {
        let mut ring = self.clone();
        ring.keys.retain(|id, _| *id == self.current);
        ring
    }

    /// The id of the current key.
    #[must_use]
    pub fn current_id(&self) -> &str {
        &self.current
    }

    /// The ring in the file; a missing file is made with a new key, for this user only (mode 0600). Of several processes that
    /// come first, one makes it and all have the same ring.
    ///
    /// # Errors
    /// [`ConfigInvalid`](ErrorKind::ConfigInvalid) when others may read the file, or when it is no key ring.
    pub async fn open_or_create(path: impl AsRef<Path> + Send) -> Result<Self> {
        let path = path.as_ref();
        if let Some(ring) = Self::read(path).await? {
            return Ok(ring);
        }
        files::write_new(path, Self::generate()?.to_text()?.as_bytes()).await?;
        // Another process may have been faster: what is in the file counts.
        let ring = Self::read(path).await?;
        ring.ok_or_else(|| invalid(path, "it disappeared while it was made"))
    }

    /// Writes the ring to the file, for this user only, in one piece.
    ///
    /// # Errors
    /// What writing fails with.
    pub async fn save(&self, path: impl AsRef<Path> + Send) -> Result<()> {
        files::replace(path.as_ref(), self.to_text()?.as_bytes()).await
    }

    /// The current key with its id.
    pub(super) fn current(&self) -> Result<(&str, &[u8; 32])> {
        let key = self.key(&self.current);
        let key = key.ok_or_else(|| Error::unexpected("the key ring lost its current key"))?;
        Ok((&self.current, key))
    }

    /// A key.
    pub(super) fn key(&self, id: &str) -> Option<&[u8; 32]> {
        self.keys.get(id).map(|key| &**key)
    }

    async fn read(path: &Path) -> Result<Option<Self>> {
        let Some(text) = files::read_private(path).await? else {
            return Ok(None);
        };
        let file: RingFile =
            serde_json::from_slice(&text).map_err(|_| invalid(path, "it is no key ring"))?;
        let mut keys = BTreeMap::new();
        for (id, key) in file.keys {
            let key = Zeroizing::new(key);
            let bytes = Zeroizing::new(BASE64.decode(key.as_bytes()).unwrap_or_default());
            let bytes = <[u8; 32]>::try_from(bytes.as_slice())
                .map_err(|_| invalid(path, "a key is not base64 of 32 bytes"))?;
            keys.insert(checked_id(id)?, Zeroizing::new(bytes));
        }
        if !keys.contains_key(&file.current) {
            return Err(invalid(path, "its current key is missing"));
        }
        Ok(Some(Self {
            current: file.current,
            keys,
        }))
    }

    fn to_text(&self) -> Result<Zeroizing<String>> {
        let encode =
            |(id, key): (&String, &Zeroizing<[u8; 32]>)| (id.clone(), BASE64.encode(**key));
        let file = RingFile {
            current: self.current.clone(),
            keys: self.keys.iter().map(encode).collect(),
        };
        let text = serde_json::to_string_pretty(&file).map_err(|source| {
            Error::unexpected("a key ring cannot be written as JSON").with_source(source)
        });
        file.keys
            .into_values()
            .for_each(|key| drop(Zeroizing::new(key)));
        text.map(Zeroizing::new)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("current", &self.current)
            .field("ids", &self.keys.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// The file of a ring: keys as base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RingFile {
    current: String,
    keys: BTreeMap<String, String>,
}

fn checked_id(id: String) -> Result<String> {
    let fits = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits {
        Ok(id)
    } else {
        Err(Error::invalid(
            "key",
            "an id has 1 to 64 letters, digits, '-' or '_'",
        ))
    }
}

fn invalid(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::ConfigInvalid,
        format!("the key file {} cannot be used: {why}", path.display()),
    )
}
