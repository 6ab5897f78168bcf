//! The native half of the npm package. It speaks JSON with the facade in `lib/`, which is the public one; work is done
//! on Node's own pool of threads, never on the event loop.

use std::path::PathBuf;

use devopser_core::{Error, Result};
use devopser_detect::GenerateOptions;
use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Task};
use napi_derive::napi;

/// What a task does with its folder.
#[derive(Clone, Copy, Debug)]
enum Work {
    Detect,
    Explain,
    Generate,
}

/// A piece of work on a folder.
#[derive(Debug)]
pub struct FolderTask {
    path: PathBuf,
    work: Work,
}

impl FolderTask {
    fn run(&self) -> Result<String> {
        let report = devopser_detect::detect_folder(&self.path)?;
        match self.work {
            Work::Detect => {
                serde_json::to_string(&devopser_detect::summary(&report)).map_err(|source| {
                    Error::unexpected("a report cannot be written").with_source(source)
                })
            }
            Work::Explain => Ok(devopser_detect::explain(&report)),
            Work::Generate => {
                let files = devopser_detect::generate(&report, &GenerateOptions::default())?;
                let value = serde_json::json!({
                    "dockerfile": files.dockerfile,
                    "ownDockerfile": files.own_dockerfile,
                    "dockerignore": files.dockerignore,
                    "compose": files.compose,
                    "port": files.port,
                });
                Ok(value.to_string())
            }
        }
    }
}

impl Task for FolderTask {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> napi::Result<String> {
        self.run().map_err(|error| {
            // An asynchronous function cannot reject with a code of its own, so the reason carries the report.
            let report = serde_json::to_string(&error.to_report());
            napi::Error::from_reason(report.unwrap_or_else(|_| error.to_string()))
        })
    }

    fn resolve(&mut self, _env: Env, output: String) -> napi::Result<String> {
        Ok(output)
    }
}

fn task(path: String, work: Work) -> AsyncTask<FolderTask> {
    let path = PathBuf::from(path);
    AsyncTask::new(FolderTask { path, work })
}

/// What a folder holds, as `devopser detect --json` prints it.
#[napi]
pub fn detect(path: String) -> AsyncTask<FolderTask> {
    task(path, Work::Detect)
}

/// The same in words.
#[napi]
pub fn explain(path: String) -> AsyncTask<FolderTask> {
    task(path, Work::Explain)
}

/// The files that are generated for a folder.
#[napi]
pub fn generate(path: String) -> AsyncTask<FolderTask> {
    task(path, Work::Generate)
}

/// The version of the package.
#[napi]
#[must_use]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
