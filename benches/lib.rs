//! Benchmarks of devopser; `README.md` beside this file has the commands and the figures.
