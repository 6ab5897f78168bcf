//! `devopser generate`.

use std::fmt::Write as _;

use devopser::detect::{self, GenerateOptions, detect_folder_at};
use devopser::model::service::HealthPath;
use devopser::source::inside;
use devopser::{Error, FileOutcome, Result, write_deployment_files};

use super::DONE;
use super::args::GenerateArguments;
use super::output::Output;
use super::source::health_path;

/// Writes the generated files to `.deployment/`, and says which were kept.
pub(crate) fn generate(given: &GenerateArguments, output: &Output) -> Result<u8> {
    let root = given.root.as_deref().unwrap_or_default();
    if !given.folder.is_dir() {
        let said = format!("{} is no folder", given.folder.display());
        return Err(Error::invalid("folder", said)
            .with_remedy("Files are generated in a folder; unpack or clone anything else first."));
    }
    let folder = inside(&given.folder, root)?;
    let options = GenerateOptions {
        port: given.app_port,
        health_path: match &given.health_path {
            Some(path) => health_path(path)?,
            None => HealthPath::Detected,
        },
        use_own_dockerfile: false,
        in_folder: true,
        build_env: given.build_env.iter().cloned().collect(),
        build_secrets: given.build_secrets.iter().cloned().collect(),
        ..GenerateOptions::default()
    };
    let report = detect_folder_at(&given.folder, root)?;
    let generated = detect::generate(&report, &options)?;
    let files = write_deployment_files(&folder, &generated, given.force)?;
    output.result(
        &serde_json::json!({ "folder": folder, "port": generated.port, "files": files }),
        || {
            let mut text = String::new();
            for file in &files {
                let said = match file.outcome {
                    FileOutcome::Written => "written",
                    FileOutcome::Unchanged => "unchanged",
                    _ => "kept, as it was edited (--force replaces it)",
                };
                let _ = writeln!(text, "{:<36}{said}", file.path);
            }
            text.push_str("Edit them freely: `devopser up` uses what you edited.");
            text
        },
    );
    Ok(DONE)
}
