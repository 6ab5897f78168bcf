//! `Procfile` (<https://devcenter.heroku.com/articles/procfile>): one process type a line.

use devopser_core::model::report::{Evidence, Fact};

use super::Scan;

/// The command of a process type, such as `web`; for that one the files of platforms are asked as well.
pub(crate) fn process(scan: &Scan<'_>, kind: &str) -> Option<Fact<String>> {
    let found = in_procfile(scan, kind);
    if found.is_some() || kind != "web" {
        return found;
    }
    super::platform::start(scan)
}

fn in_procfile(scan: &Scan<'_>, kind: &str) -> Option<Fact<String>> {
    let text = scan.text("Procfile")?;
    for (index, line) in text.lines().enumerate() {
        let Some((name, command)) = line.split_once(':') else {
            continue;
        };
        let command = command.trim();
        if name.trim() == kind && !command.is_empty() {
            let line = u32::try_from(index + 1).ok();
            let why = format!("the {kind} process of the Procfile");
            return Some(Fact::new(
                command.to_owned(),
                95,
                Evidence::line("Procfile", line, why),
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn finds_the_web_process_with_its_line() {
        let tree = MemoryTree::new([("Procfile", "worker: x\nweb: gunicorn a:b --bind 0:1\n")]);
        let fact = process(&Scan::new(&tree), "web").unwrap();
        assert_eq!(fact.value, "gunicorn a:b --bind 0:1");
        assert_eq!(fact.evidence[0].line, Some(2));
    }
}
