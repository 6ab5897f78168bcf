//! A sealed secret as text: `v1.key-id.wrapped-data-key.secret`, the last two as base64 of nonce and ciphertext.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::KeyRing;
use crate::id::TenantId;
use crate::{Error, ErrorKind, Result, Secret};

const VERSION: &str = "v1";
const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;

/// Encrypts a secret for its place.
pub(super) fn seal(
    keys: &KeyRing,
    tenant: &TenantId,
    name: &str,
    secret: &Secret,
) -> Result<String> {
    let data_key = random_key()?;
    let sealed = encrypt(
        &data_key,
        secret.expose().as_bytes(),
        &place("secret", tenant, name),
    )?;
    wrapped(keys, tenant, name, &data_key, &BASE64.encode(sealed))
}

/// Decrypts a secret at its place.
pub(super) fn open(keys: &KeyRing, tenant: &TenantId, name: &str, sealed: &str) -> Result<Secret> {
    let parts = Parts::of(name, sealed)?;
    let data_key = parts.data_key(keys, tenant, name)?;
    let secret = decode(name, parts.secret)?;
    let secret =
        decrypt(&data_key, &secret, &place("secret", tenant, name)).ok_or_else(|| damaged(name))?;
    let secret = std::str::from_utf8(&secret).map_err(|_| damaged(name))?;
    Ok(Secret::new(secret))
}

/// The same secret with its data key wrapped by the current key; `None` when it is so already.
pub(super) fn rewrap(
    keys: &KeyRing,
    tenant: &TenantId,
    name: &str,
    sealed: &str,
) -> Result<Option<String>> {
    let parts = Parts::of(name, sealed)?;
    let data_key = parts.data_key(keys, tenant, name)?;
    if parts.key_id == keys.current_id() {
        return Ok(None);
    }
    wrapped(keys, tenant, name, &data_key, parts.secret).map(Some)
}

/// The parts of a sealed secret.
struct Parts<'a> {
    key_id: &'a str,
    data_key: &'a str,
    secret: &'a str,
}

impl<'a> Parts<'a> {
    fn of(name: &str, sealed: &'a str) -> Result<Self> {
        match sealed.split('.').collect::<Vec<_>>()[..] {
            [VERSION, key_id, data_key, secret] => Ok(Self {
                key_id,
                data_key,
                secret,
            }),
            _ => Err(damaged(name)),
        }
    }

    fn data_key(
        &self,
        keys: &KeyRing,
        tenant: &TenantId,
        name: &str,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>> {
        let key = keys.key(self.key_id).ok_or_else(|| {
            Error::new(
                ErrorKind::ConfigInvalid,
                format!(
                    "the key ring has no key {:?}, which encrypted the secret \"{name}\"",
                    self.key_id
                ),
            )
            .with_remedy("give the engine the key ring with its older keys")
        })?;
        let wrapped = decode(name, self.data_key)?;
        let data_key = decrypt(key, &wrapped, &key_place(self.key_id, tenant, name))
            .ok_or_else(|| damaged(name))?;
        let data_key = data_key.as_slice().try_into();
        data_key.map(Zeroizing::new).map_err(|_| damaged(name))
    }
}

fn wrapped(
    keys: &KeyRing,
    tenant: &TenantId,
    name: &str,
    data_key: &[u8; KEY_BYTES],
    secret: &str,
) -> Result<String> {
    let (key_id, key) = keys.current()?;
    let data_key = encrypt(key, data_key, &key_place(key_id, tenant, name))?;
    Ok(format!(
        "{VERSION}.{key_id}.{}.{secret}",
        BASE64.encode(data_key)
    ))
}

/// The associated data: what for, whose and which. Each part has its length before it, so that no two places are alike.
fn place(purpose: &str, tenant: &TenantId, name: &str) -> Vec<u8> {
    let mut place = Vec::new();
    for part in ["devopser", VERSION, purpose, tenant.as_str(), name] {
        place.extend((part.len() as u64).to_be_bytes());
        place.extend(part.as_bytes());
    }
    place
}

fn key_place(key_id: &str, tenant: &TenantId, name: &str) -> Vec<u8> {
    place(&format!("data-key/{key_id}"), tenant, name)
}

/// A new random key.
pub(super) fn random_key() -> Result<Zeroizing<[u8; KEY_BYTES]>> {
    let key = Key::try_generate().map_err(no_randomness)?;
    Ok(Zeroizing::new(key.into()))
}

fn no_randomness(source: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("the system gives no random bytes: {source}"),
    )
}

fn encrypt(key: &[u8; KEY_BYTES], plain: &[u8], place: &[u8]) -> Result<Vec<u8>> {
    let nonce = XNonce::try_generate().map_err(no_randomness)?;
    let payload = Payload {
        msg: plain,
        aad: place,
    };
    let sealed = XChaCha20Poly1305::new(&Key::from(*key))
        .encrypt(&nonce, payload)
        .map_err(|_| Error::invalid("secret", "it is too long to be encrypted"))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

fn decrypt(key: &[u8; KEY_BYTES], sealed: &[u8], place: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
    let nonce = XNonce::try_from(nonce).ok()?;
    let payload = Payload {
        msg: sealed,
        aad: place,
    };
    let plain = XChaCha20Poly1305::new(&Key::from(*key)).decrypt(&nonce, payload);
    plain.ok().map(Zeroizing::new)
}

fn decode(name: &str, text: &str) -> Result<Vec<u8>> {
    BASE64.decode(text).map_err(|_| damaged(name))
}

fn damaged(name: &str) -> Error {
    Error::unexpected(format!(
        "the secret \"{name}\" cannot be decrypted: it was changed, or it was moved from another place"
    ))
}
