//! `devopser detect`.

use devopser::detect::{detect_folder, explain, summary};
use devopser::{Error, Result};

use super::args::DetectArguments;
use super::output::Output;
use super::{BAD_INPUT, DONE};

/// Says what a folder is, and why.
pub(crate) fn detect(arguments: &DetectArguments, output: &Output) -> Result<u8> {
    let folder = &arguments.folder;
    if !folder.is_dir() {
        return Err(Error::invalid(
            "folder",
            format!("\"{}\" is not a folder", folder.display()),
        ));
    }
    let report = detect_folder(folder)?;
    output.result(&summary(&report), || explain(&report));
    Ok(if report.stack.is_some() || report.dockerfile.is_some() {
        DONE
    } else {
        BAD_INPUT
    })
}
