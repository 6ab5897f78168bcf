//! Variables of the app's own that say where it listens: it is told through them as it is through `PORT`.

use devopser_core::model::report::Detection;

use crate::scan::{Scan, env};

/// The hint that names the variables that hold the port.
const HINT: &str = "port-names";

/// Sets the variables of the app's own that hold its port to the one that it is given; `None` where that changes with each start,
/// so that they say nothing else than `PORT` does.
pub fn tell_port(stack: &mut Detection, port: Option<u16>) {
    let names = stack.hints.get(HINT).cloned().unwrap_or_default();
    for name in names.split_whitespace() {
        match port {
            Some(port) => stack.run_env.insert(name.to_owned(), port.to_string()),
            None => stack.run_env.remove(name),
        };
    }
}

/// What a variable is about that holds a port but not the app's own.
const OTHERS: &[&str] = &[
    "ADMIN",
    "AMQP",
    "CACHE",
    "DATABASE",
    "DB",
    "DEBUG",
    "DOCKER",
    "EXTERNAL",
    "FORWARD",
    "GRPC",
    "HOST",
    "KAFKA",
    "MAIL",
    "MANAGEMENT",
    "METRICS",
    "MONGO",
    "MYSQL",
    "NEXT",
    "PG",
    "POSTGRES",
    "PUBLIC",
    "REDIS",
    "REMOTE",
    "SMTP",
    "TEST",
    "VITE",
    "WORKER",
];

/// Sets the variables whose example is the port that was found, and the address of one machine beside them to every interface.
pub(crate) fn settle(scan: &Scan<'_>, stack: &mut Detection) {
    let is_static = stack.is_static.as_ref().is_some_and(|fact| fact.value);
    let sure = stack.port.as_ref();
    let sure = sure.filter(|fact| !is_static && fact.confidence > crate::summary::GUESS);
    let Some(port) = sure.map(|fact| fact.value) else {
        return;
    };
    let settings: Vec<(String, String)> = env::settings(scan)
        .map(|(name, value, _)| (name, value))
        .collect();
    let mut names = Vec::new();
    for (name, value) in &settings {
        let Some(prefix) = name.strip_suffix("_PORT") else {
            continue;
        };
        let is_other = prefix.split('_').any(|word| OTHERS.contains(&word));
        if is_other || value.parse() != Ok(port) || !is_plain(prefix) {
            continue;
        }
        names.push(name.as_str());
        stack
            .run_env
            .entry(name.clone())
            .or_insert(port.to_string());
        for part in ["HOST", "ADDRESS", "BIND"] {
            let beside = format!("{prefix}_{part}");
            let is_address = |value: &str| ["127.0.0.1", "0.0.0.0"].contains(&value);
            if settings
                .iter()
                .any(|(name, value)| *name == beside && is_address(value))
            {
                stack.run_env.entry(beside).or_insert("0.0.0.0".to_owned());
            }
        }
    }
    if !names.is_empty() {
        stack.hints.insert(HINT.to_owned(), names.join(" "));
    }
}

fn is_plain(name: &str) -> bool {
    name.starts_with(|char: char| char.is_ascii_uppercase())
        && name
            .chars()
            .all(|char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tree::MemoryTree;

    fn told(example: &str) -> BTreeMap<String, String> {
        let files = [
            ("go.mod", "module a\n\ngo 1.26\n"),
            (
                "main.go",
                "package main\n\nfunc main() {\n\thttp.ListenAndServe(os.Getenv(\"A\"), nil)\n}\n",
            ),
            (".env.example", example),
        ];
        let tree = MemoryTree::new(files);
        let stack = crate::report_of(&Scan::new(&tree)).stack.unwrap();
        stack.run_env
    }

    #[test]
    fn the_apps_own_variable_gets_the_port_and_every_interface() {
        let found = told(
            "PORT=5000\nSERVER_HOST=\"127.0.0.1\"\nSERVER_PORT=5000\nDB_PORT=5000\nADMIN_PORT=5001\n",
        );
        let made = [("SERVER_HOST", "0.0.0.0"), ("SERVER_PORT", "5000")];
        let made = made.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, BTreeMap::from(made));
    }

    #[test]
    fn another_port_is_told_under_the_same_name() {
        let mut stack = Detection::default();
        stack
            .hints
            .insert(HINT.to_owned(), "SERVER_PORT".to_owned());
        tell_port(&mut stack, Some(8080));
        assert_eq!(stack.run_env["SERVER_PORT"], "8080");
        tell_port(&mut stack, None);
        assert!(stack.run_env.is_empty());
    }

    #[test]
    fn a_name_of_a_machine_stays_as_it_is() {
        let found = told("PORT=5000\nAPP_HOST=example.com\nAPP_PORT=5000\n");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["APP_PORT"]);
    }
}
