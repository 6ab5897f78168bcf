//! The services of a monorepo. A stub until the search is written.

use devopser_core::model::report::{Report, ServiceFound};

use crate::scan::Scan;

pub(crate) const fn find(_scan: &Scan<'_>, _report: &Report) -> Vec<ServiceFound> {
    Vec::new()
}

pub(crate) const fn promote(_report: &mut Report) {}
