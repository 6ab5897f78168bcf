//! Signatures of webhooks: HMAC-SHA256, compared in constant time.

use sha2::{Digest as _, Sha256};

use crate::Secret;

const BLOCK: usize = 64;

/// HMAC-SHA256 of `body`.
#[must_use]
pub fn hmac_sha256(key: &[u8], body: &[u8]) -> [u8; 32] {
    let mut padded = [0_u8; BLOCK];
    if key.len() > BLOCK {
        padded[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        padded[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new()
        .chain_update(padded.map(|byte| byte ^ 0x36))
        .chain_update(body)
        .finalize();
    Sha256::new()
        .chain_update(padded.map(|byte| byte ^ 0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

/// Whether both are the same; the time tells nothing about where they differ.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && std::hint::black_box(a.iter().zip(b).fold(0_u8, |sum, (a, b)| sum | (a ^ b))) == 0
}

/// The signature of a webhook's body: `sha256=` and 64 hexadecimal digits.
#[must_use]
pub fn sign_webhook(secret: &Secret, body: &[u8]) -> String {
    let hash = hmac_sha256(secret.expose().as_bytes(), body);
    hash.iter().fold("sha256=".to_owned(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// Whether `signature` was made with one of the secrets. An empty secret signs nothing.
#[must_use]
pub fn verify_webhook(secrets: &[Secret], body: &[u8], signature: &str) -> bool {
    // Every secret is tried, so that the time does not tell which one fits.
    secrets
        .iter()
        .filter(|secret| !secret.expose().is_empty())
        .map(|secret| constant_time_eq(sign_webhook(secret, body).as_bytes(), signature.as_bytes()))
        .fold(false, |found, fits| found | fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_known_vectors() {
        let secret = Secret::new("It's a Secret to Everybody");
        assert_eq!(
            sign_webhook(&secret, b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
        // RFC 4231, case 6: a key longer than a block.
        let long = hmac_sha256(
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
        );
        assert_eq!(long[..4], [0x60, 0xe4, 0x31, 0x59]);
    }

    #[test]
    fn a_wrong_signature_is_refused() {
        let (old, new) = (Secret::new("old"), Secret::new("new"));
        let signature = sign_webhook(&old, b"body");
        assert!(verify_webhook(
            &[new.clone(), old.clone()],
            b"body",
            &signature
        ));
        assert!(!verify_webhook(&[new], b"body", &signature));
        assert!(!verify_webhook(
            std::slice::from_ref(&old),
            b"bodY",
            &signature
        ));
        assert!(!verify_webhook(
            std::slice::from_ref(&old),
            b"body",
            &signature[..70]
        ));
        assert!(!verify_webhook(&[old], b"body", ""));
        assert!(!verify_webhook(&[], b"body", &signature));
        let empty = Secret::new("");
        let signature = sign_webhook(&empty, b"body");
        assert!(!verify_webhook(&[empty], b"body", &signature));
    }
}
