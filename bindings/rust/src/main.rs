//! The `devopser` command: a thin host of the library.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
