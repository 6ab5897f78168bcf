//! Generated files that a person may edit: the first line tells whether someone did.

use devopser_core::id::Digest;

/// The folder of the generated files, beside the app's own.
pub const FOLDER: &str = ".deployment";
/// The Dockerfile in it.
pub const FOLDER_DOCKERFILE: &str = ".deployment/Dockerfile";
/// What the build context of that Dockerfile leaves out; BuildKit looks for it under this name.
pub const FOLDER_DOCKERIGNORE: &str = ".deployment/Dockerfile.dockerignore";
/// The compose file in it.
pub const FOLDER_COMPOSE: &str = ".deployment/compose.yaml";

const MARK: &str = "# Unedited since devopser generated it: ";

/// The text behind a first line that holds its digest.
#[must_use]
pub fn stamped(text: &str) -> String {
    format!("{MARK}{}\n{text}", digest(text))
}

/// Whether a file is a person's: it was edited after it was generated, or was never generated. Line ends do not count, as
/// git may change them.
#[must_use]
pub fn is_edited(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    match first.trim_end().strip_prefix(MARK) {
        Some(said) => said != digest(rest).as_str(),
        None => true,
    }
}

fn digest(text: &str) -> Digest {
    Digest::of(text.replace("\r\n", "\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_seen_and_line_ends_are_none() {
        let text = stamped("FROM a\nCMD [\"b\"]\n");
        assert!(!is_edited(&text), "{text}");
        assert!(!is_edited(&text.replace('\n', "\r\n")));
        assert!(!is_edited(&stamped("")));
        for edited in [
            text.replace("FROM a", "FROM c"),
            format!("{text}USER x\n"),
            text.replacen("sha256:", "sha256:0", 1),
            "FROM a\n".to_owned(),
            String::new(),
            format!("FROM a\n{text}"),
        ] {
            assert!(is_edited(&edited), "{edited}");
        }
    }
}
