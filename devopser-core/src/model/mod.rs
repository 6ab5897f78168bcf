//! The nouns of devopser as plain data. `docs/concepts.md` has the table of terms.

pub mod report;
