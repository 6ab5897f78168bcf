//! The generated files that a person may edit, in `.deployment/` of the app's folder.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use devopser_core::{Error, Result};
use devopser_detect::{
    FOLDER, FOLDER_COMPOSE, FOLDER_DOCKERFILE, FOLDER_DOCKERIGNORE, Generated, is_edited, stamped,
};
use serde::Serialize;

use crate::planner::read;

/// What became of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FileOutcome {
    /// It is new, or replaces one that nobody had edited.
    Written,
    /// It was the same already.
    Unchanged,
    /// Somebody edited it: it was left alone.
    Kept,
}

/// One file of `.deployment/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeploymentFile {
    /// Its path, counted from the app's folder.
    pub path: &'static str,
    /// What became of it.
    pub outcome: FileOutcome,
}

/// What a person edited in `.deployment/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edited {
    /// The Dockerfile.
    pub(crate) dockerfile: Option<String>,
    /// What its build context leaves out.
    pub(crate) dockerignore: Option<String>,
    /// Whether the compose file is a person's.
    pub(crate) compose: bool,
}

/// Writes the generated files to `.deployment/` in `folder`. A file that somebody edited is kept, unless `force` is set;
/// each is replaced in one step. `generated` is made with [`in_folder`](devopser_detect::GenerateOptions::in_folder).
///
/// # Errors
/// [`InvalidInput`](devopser_core::ErrorKind::InvalidInput) when `.deployment` or one of the files is a link or no plain
/// file, is larger than 1 MiB, or cannot be written; what was written before stays.
pub fn write_deployment_files(
    folder: &Path,
    generated: &Generated,
    force: bool,
) -> Result<Vec<DeploymentFile>> {
    match fs::create_dir(folder.join(FOLDER)) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(unwritable(FOLDER, error));
        }
        _ => {}
    }
    if !is_there(folder)? {
        return Err(Error::invalid("source", format!("{FOLDER} is no folder")));
    }
    let texts = [
        (FOLDER_DOCKERFILE, &generated.dockerfile),
        (FOLDER_DOCKERIGNORE, &generated.dockerignore),
        (FOLDER_COMPOSE, &generated.compose),
    ];
    let mut written = Vec::new();
    for (path, text) in texts {
        let text = stamped(text);
        let outcome = match read(folder, path)? {
            Some(known) if known == text => FileOutcome::Unchanged,
            Some(known) if is_edited(&known) && !force => FileOutcome::Kept,
            _ => {
                replace(&folder.join(path), &text).map_err(|error| unwritable(path, error))?;
                FileOutcome::Written
            }
        };
        written.push(DeploymentFile { path, outcome });
    }
    Ok(written)
}

/// What somebody edited. Files as they were generated are none of it: they are generated anew.
pub(crate) fn edited(folder: &Path) -> Result<Edited> {
    if !is_there(folder)? {
        return Ok(Edited::default());
    }
    let edit = |path: &str| -> Result<Option<String>> {
        Ok(read(folder, path)?.filter(|text| is_edited(text)))
    };
    Ok(Edited {
        dockerfile: edit(FOLDER_DOCKERFILE)?,
        // A list as it was generated belongs to the Dockerfile that was edited.
        dockerignore: read(folder, FOLDER_DOCKERIGNORE)?,
        compose: edit(FOLDER_COMPOSE)?.is_some(),
    })
}

/// Whether the folder is there; a link could lead out of the source.
fn is_there(folder: &Path) -> Result<bool> {
    match fs::symlink_metadata(folder.join(FOLDER)) {
        Ok(meta) if meta.is_dir() => Ok(true),
        Ok(meta) if meta.is_symlink() => Err(Error::invalid(
            "source",
            format!("{FOLDER} is a link; it must be a folder of the source"),
        )),
        _ => Ok(false),
    }
}

/// Writes beside it and renames, so that nobody sees half a file.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let beside: PathBuf = path.with_extension(format!("new-{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn unwritable(path: &str, error: std::io::Error) -> Error {
    Error::invalid("source", format!("{path} cannot be written: {error}")).with_remedy(
        "Give this user the right to write there, or generate in a copy of the source.",
    )
}

#[cfg(test)]
mod tests {
    use devopser_detect::{GenerateOptions, detect_folder, generate};

    use super::*;

    fn source() -> (tempfile::TempDir, Generated) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("server.js"),
            "require('http').createServer().listen(process.env.PORT)",
        )
        .unwrap();
        let options = GenerateOptions {
            in_folder: true,
            ..GenerateOptions::default()
        };
        let generated = generate(&detect_folder(folder.path()).unwrap(), &options).unwrap();
        (folder, generated)
    }

    fn outcomes(files: &[DeploymentFile]) -> Vec<FileOutcome> {
        files.iter().map(|file| file.outcome).collect()
    }

    #[test]
    fn an_edit_is_kept_until_it_is_forced_away() {
        let (folder, generated) = source();
        let write =
            |force| outcomes(&write_deployment_files(folder.path(), &generated, force).unwrap());
        assert_eq!(write(false), [FileOutcome::Written; 3]);
        assert_eq!(write(false), [FileOutcome::Unchanged; 3]);
        assert_eq!(edited(folder.path()).unwrap().dockerfile, None);
        let path = folder.path().join(FOLDER_DOCKERFILE);
        let text = fs::read_to_string(&path).unwrap() + "LABEL a=b\n";
        fs::write(&path, &text).unwrap();
        assert_eq!(write(false)[0], FileOutcome::Kept);
        let found = edited(folder.path()).unwrap();
        assert_eq!(
            (found.dockerfile.as_ref(), found.compose),
            (Some(&text), false)
        );
        assert_eq!(write(true)[0], FileOutcome::Written);
        assert_eq!(edited(folder.path()).unwrap().dockerfile, None);
        let left: Vec<_> = fs::read_dir(folder.path().join(FOLDER)).unwrap().collect();
        assert_eq!(left.len(), 3, "{left:?}");
    }

    #[test]
    fn what_was_generated_by_another_version_is_replaced() {
        let (folder, generated) = source();
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        fs::write(folder.path().join(FOLDER_DOCKERFILE), stamped("FROM old\n")).unwrap();
        let files = write_deployment_files(folder.path(), &generated, false).unwrap();
        assert_eq!(files[0].outcome, FileOutcome::Written);
    }

    #[test]
    fn links_are_not_followed() {
        let (folder, generated) = source();
        let outside = tempfile::tempdir().unwrap();
        let link = folder.path().join(FOLDER);
        std::os::unix::fs::symlink(outside.path(), &link).unwrap();
        let refused = write_deployment_files(folder.path(), &generated, true).unwrap_err();
        assert!(refused.to_string().contains("is a link"), "{refused}");
        assert!(edited(folder.path()).is_err());
        fs::remove_file(&link).unwrap();
        fs::create_dir(&link).unwrap();
        let target = outside.path().join("file");
        fs::write(&target, "untouched").unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join(FOLDER_COMPOSE)).unwrap();
        assert!(write_deployment_files(folder.path(), &generated, true).is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
    }
}
