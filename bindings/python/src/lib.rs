//! The native half of the Python package. It speaks JSON with the facade in `devopser/`, which is the public one.

use std::path::PathBuf;

use devopser_core::{Error, Result};
use devopser_detect::GenerateOptions;
use pyo3::prelude::*;

pyo3::create_exception!(
    _devopser,
    NativeError,
    pyo3::exceptions::PyException,
    "An error of the engine as JSON; the facade raises its own class from it."
);

fn raise(error: &Error) -> PyErr {
    let report = serde_json::to_string(&error.to_report());
    NativeError::new_err(report.unwrap_or_else(|_| error.to_string()))
}

fn json(value: &serde_json::Value) -> String {
    value.to_string()
}

fn detected(path: &std::path::Path) -> Result<serde_json::Value> {
    let report = devopser_detect::detect_folder(path)?;
    serde_json::to_value(devopser_detect::summary(&report))
        .map_err(|source| Error::unexpected("a report cannot be written").with_source(source))
}

fn generated(path: &std::path::Path) -> Result<serde_json::Value> {
    let report = devopser_detect::detect_folder(path)?;
    let files = devopser_detect::generate(&report, &GenerateOptions::default())?;
    Ok(serde_json::json!({
        "dockerfile": files.dockerfile,
        "own_dockerfile": files.own_dockerfile,
        "dockerignore": files.dockerignore,
        "compose": files.compose,
        "port": files.port,
    }))
}

/// What a folder holds, as `devopser detect --json` prints it.
#[pyfunction]
fn detect(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    let found = py.detach(|| detected(&path));
    found
        .map(|value| json(&value))
        .map_err(|error| raise(&error))
}

/// The same in words.
#[pyfunction]
fn explain(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    let found = py.detach(|| devopser_detect::detect_folder(&path));
    found
        .map(|report| devopser_detect::explain(&report))
        .map_err(|error| raise(&error))
}

/// The files that are generated for a folder.
#[pyfunction]
fn generate(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    let found = py.detach(|| generated(&path));
    found
        .map(|value| json(&value))
        .map_err(|error| raise(&error))
}

/// The module.
#[pymodule]
fn _devopser(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("NativeError", module.py().get_type::<NativeError>())?;
    module.add_function(wrap_pyfunction!(detect, module)?)?;
    module.add_function(wrap_pyfunction!(explain, module)?)?;
    module.add_function(wrap_pyfunction!(generate, module)?)
}
