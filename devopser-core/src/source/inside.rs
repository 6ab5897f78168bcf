//! [`inside`]: a folder of a source.

use std::path::{Component, Path, PathBuf};

use crate::{Error, Result};

/// The folder `root` inside the folder of a source, without a way out of it: no `..`, no absolute path, no link that leads
/// elsewhere.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) naming `root`.
pub fn inside(folder: &Path, root: &str) -> Result<PathBuf> {
    let plain = Path::new(root)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let path = folder.join(root);
    let stays = path
        .canonicalize()
        .ok()
        .zip(folder.canonicalize().ok())
        .is_some_and(|(path, folder)| path.starts_with(folder));
    if plain && stays && path.is_dir() {
        Ok(path)
    } else {
        Err(Error::invalid(
            "root",
            format!("\"{root}\" is not a folder inside the source"),
        ))
    }
}
