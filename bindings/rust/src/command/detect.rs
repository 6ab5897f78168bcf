//! `devopser detect`.

use devopser::detect::{detect_folder, explain, summary};
use devopser::model::report::Report;
use devopser::{Error, Result, Source};

use super::args::{Arguments, DetectArguments};
use super::output::Output;
use super::{BAD_INPUT, DONE, git_program, runtime, source};

/// Says what a source is, and why. A folder is looked at where it lies; an archive or a commit is unpacked for the while.
pub(crate) fn detect(
    arguments: &Arguments,
    given: &DetectArguments,
    output: &Output,
) -> Result<u8> {
    let report = match source::named(&given.source, given.revision.as_deref())? {
        Source::Folder { path } => detect_folder(&path)?,
        other => detect_elsewhere(arguments, &other)?,
    };
    output.result(&summary(&report), || explain(&report));
    Ok(if report.stack.is_some() || report.dockerfile.is_some() {
        DONE
    } else {
        BAD_INPUT
    })
}

fn detect_elsewhere(arguments: &Arguments, source: &Source) -> Result<Report> {
    let scratch = tempfile::tempdir().map_err(|source| {
        Error::unexpected("a temporary folder cannot be made").with_source(source)
    })?;
    let limits = devopser::source::SnapshotLimits::default();
    let git = git_program(arguments)?;
    let quiet = devopser::memory::MemoryServices::default();
    let cancel = devopser::CancellationToken::new();
    let folder = devopser::source::lay_out(source, scratch.path(), &limits, &git, &quiet, &cancel);
    detect_folder(&runtime()?.block_on(folder)?)
}
