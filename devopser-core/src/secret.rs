//! Values that must not be seen: a wrapper that cannot be printed or serialised, and a redactor for text.

use std::fmt;

use zeroize::Zeroizing;

/// A credential or password. It has no `Display`, no `Serialize`, prints as `Secret(***)` and is wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `value`.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value itself. Use it where it is handed to the other side, and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A new password of `length` letters and digits from the system's random source.
    #[must_use]
    pub fn generate(length: usize) -> Self {
        const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
        let text = (0..length)
            .map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]))
            .collect::<String>();
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Replaces every known secret in a text by `***`. Secrets of fewer than four bytes are left alone: they would
/// make every text unreadable.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<Secret>,
}

impl Redactor {
    /// Adds a secret; every line of a secret of several lines counts by itself too.
    pub fn add(&mut self, secret: &Secret) {
        for part in std::iter::once(secret.expose()).chain(secret.expose().lines()) {
            if part.len() >= 4 && !self.secrets.iter().any(|known| known.expose() == part) {
                self.secrets.push(Secret::new(part));
            }
        }
        // The longest first, so that a secret inside another leaves no rest behind.
        self.secrets
            .sort_by_key(|known| std::cmp::Reverse(known.expose().len()));
    }

    /// `text` with every known secret replaced.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), "***");
            }
        }
        text
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("sentinel-1234");
        assert!(!format!("{secret:?} {:#?}", Some(&secret)).contains("sentinel"));
    }

    #[test]
    fn the_redactor_takes_every_line_and_the_longest_first() {
        let mut redactor = Redactor::default();
        redactor.add(&Secret::new("pass"));
        redactor.add(&Secret::new("password-long\nsecond-line"));
        assert_eq!(
            redactor.redact("a password-long b second-line c pass"),
            "a *** b *** c ***"
        );
        assert!(!format!("{redactor:?}").contains("pass"));
    }

    #[test]
    fn generated_passwords_differ() {
        assert_ne!(Secret::generate(24).expose(), Secret::generate(24).expose());
        assert_eq!(Secret::generate(24).expose().len(), 24);
    }
}
