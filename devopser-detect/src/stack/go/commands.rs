//! Programs that do something only when they are told what: the commands of cobra and urfave/cli.

use devopser_core::model::report::Evidence;

use crate::scan::{Scan, code, folder_of};

/// Names of commands that serve; a program with several is asked in this order.
const NAMES: &[&str] = &["serve", "server", "web", "start", "run", "api", "http"];

/// Sources that hold commands, however deep they lie.
const FILES: &[&str] = &[
    "app.go",
    "cli.go",
    "cmd.go",
    "command.go",
    "commands.go",
    "main.go",
    "root.go",
    "run.go",
    "serve.go",
    "server.go",
    "start.go",
    "web.go",
];

/// How many commands of one source are looked at, and how many bytes of each: a source may be anything.
const MAX_COMMANDS: usize = 100;
const MAX_BYTES: usize = 32 * 1024;

/// A command as a source writes it down.
struct Command<'s> {
    name: &'s str,
    /// What it is assigned to.
    variable: &'s str,
    runs: bool,
    has_commands: bool,
    /// Where it stands, to the end.
    range: (usize, usize),
}

/// The command that serves, where the program does nothing without one.
///
/// A root of cobra without `Run` prints its help (<https://pkg.go.dev/github.com/spf13/cobra#Command>), and so does one of urfave/cli
/// without `Action` (<https://cli.urfave.org/v3/examples/subcommands/basics/>).
pub(super) fn serving(scan: &Scan<'_>, package: &str) -> Option<(&'static str, Evidence)> {
    let near = code::each(scan, &[".go"], 3).map(str::to_owned);
    let named = code::named(scan, FILES, 5).map(str::to_owned);
    let mut paths: Vec<String> = near.chain(named).collect();
    paths.sort();
    paths.dedup();
    let mut roots = Vec::new();
    let mut serving: Vec<(&'static str, Evidence)> = Vec::new();
    for path in paths {
        let Some(text) = scan.text(&path) else {
            continue;
        };
        let is_main = text.starts_with("package main") || text.contains("\npackage main");
        if is_main && folder_of(&path) != package {
            continue;
        }
        let (kind, found) = match (
            text.contains("cobra.Command{"),
            text.contains("/urfave/cli"),
        ) {
            (true, _) => (COBRA, commands(&text, COBRA)),
            (_, true) => (URFAVE, commands(&text, URFAVE)),
            _ => continue,
        };
        roots.extend(root_of(&text, kind, &found));
        for command in &found {
            let is_inside = found.iter().any(|other| {
                other.has_commands
                    && !is_root(&text, kind, other)
                    && other.range.0 < command.range.0
                    && command.range.1 < other.range.1
            });
            let known = NAMES.iter().find(|name| **name == command.name);
            if let (Some(name), true, false) = (known, command.runs, is_inside) {
                let why = format!("the program serves when it is told to {name}");
                let sign = format!("\"{name}");
                serving.push((name, scan.evidence(&path, &sign, why)));
            }
        }
    }
    if roots.is_empty() || roots.contains(&true) {
        return None;
    }
    let place = |name: &str| NAMES.iter().position(|known| *known == name);
    serving.into_iter().min_by_key(|(name, _)| place(name))
}

/// How a library writes its commands.
#[derive(Clone, Copy)]
struct Kind {
    signs: &'static [&'static str],
    name: &'static str,
    runs: &'static [&'static str],
}

const COBRA: Kind = Kind {
    signs: &["cobra.Command{"],
    name: "Use",
    runs: &["Run", "RunE"],
};

const URFAVE: Kind = Kind {
    signs: &["cli.Command{", "cli.App{"],
    name: "Name",
    runs: &["Action", "DefaultCommand"],
};

/// Whether each root of a source runs without a command.
fn root_of(text: &str, kind: Kind, found: &[Command<'_>]) -> Vec<bool> {
    let assigned = |variable: &str| {
        let mut set = kind.runs.iter();
        set.any(|field| text.contains(&format!("{variable}.{field} = ")))
    };
    let roots = found.iter().filter(|command| is_root(text, kind, command));
    let mut runs: Vec<bool> = roots
        .map(|root| root.runs || assigned(root.variable))
        .collect();
    if text.contains("cli.NewApp()") {
        runs.push(assigned("app") || assigned("App"));
    }
    runs
}

/// Whether a command is the program itself: cobra's is called so, that of urfave/cli is handed the arguments.
fn is_root(text: &str, kind: Kind, command: &Command<'_>) -> bool {
    if kind.name == COBRA.name {
        command.variable.to_ascii_lowercase().contains("root")
    } else {
        command.has_commands && text.contains("os.Args")
    }
}

/// The commands that a source writes down.
fn commands(text: &str, kind: Kind) -> Vec<Command<'_>> {
    let mut found = Vec::new();
    for sign in kind.signs {
        for (at, _) in text.match_indices(sign).take(MAX_COMMANDS) {
            let open = at + sign.len() - 1;
            let Some(end) = closing(text, open) else {
                continue;
            };
            let before = text[..at].trim_end_matches(['&', '*']);
            if before.ends_with(']') {
                // A list, the elements of which may leave out the type.
                let elements = fields(text, open + 1, end).into_iter();
                let bare = elements.filter(|(from, to)| text[*from..*to].starts_with('{'));
                found.extend(bare.map(|(from, to)| command(text, kind, "", from, to - 1)));
                continue;
            }
            let line = before.rsplit('\n').next().unwrap_or_default();
            let assigned = line.split(['=', ':']).next().unwrap_or_default();
            let variable = assigned.trim().trim_start_matches("var ").trim();
            found.push(command(text, kind, variable, open, end));
        }
    }
    found
}

fn command<'s>(
    text: &'s str,
    kind: Kind,
    variable: &'s str,
    open: usize,
    end: usize,
) -> Command<'s> {
    let mut command = Command {
        name: "",
        variable,
        runs: false,
        has_commands: false,
        range: (open, end),
    };
    for (from, to) in fields(text, open + 1, end) {
        let Some((key, value)) = text[from..to].split_once(':') else {
            continue;
        };
        // A comment may stand before it.
        let key = key.rsplit('\n').next().unwrap_or_default().trim();
        if key == kind.name {
            let name = value.trim().trim_matches(['"', '`']);
            command.name = name.split_whitespace().next().unwrap_or_default();
        } else if kind.runs.contains(&key) {
            // A root that only prints its help does nothing.
            command.runs |= !(value.contains(".Help()") && value.lines().count() < 8);
        } else if ["Commands", "Subcommands"].contains(&key) {
            command.has_commands = true;
        }
    }
    command
}

/// The parts between the commas of a literal: where each begins and ends.
fn fields(text: &str, from: usize, end: usize) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = from;
    let mut depth = 0_i32;
    walk(text, from, |at, byte| {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            b',' if depth == 0 => {
                found.push((start, at));
                start = at + 1;
            }
            _ => {}
        }
        at < end
    });
    found.push((start, end));
    let trimmed = found
        .into_iter()
        .filter(|(from, to)| from < to)
        .map(|(from, to)| {
            let part = text[from..to].trim_start();
            (to - part.len(), from + text[from..to].trim_end().len())
        });
    trimmed.filter(|(from, to)| from < to).collect()
}

/// Where the brace that opens at a place is closed.
fn closing(text: &str, open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    let mut end = None;
    walk(text, open, |at, byte| {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        end = (depth == 0).then_some(at);
        end.is_none() && at - open < MAX_BYTES
    });
    end
}

/// Goes through the code from a place, over texts and comments; ends where `visit` says no.
fn walk(text: &str, from: usize, mut visit: impl FnMut(usize, u8) -> bool) {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let skipped = match byte {
            b'/' if rest.starts_with(b"//") => memchr::memchr(b'\n', rest),
            b'/' if rest.starts_with(b"/*") => memchr::memmem::find(rest, b"*/").map(|end| end + 2),
            b'`' => memchr::memchr(b'`', &rest[1..]).map(|end| end + 2),
            b'"' | b'\'' => quoted(rest),
            byte => {
                if !visit(at, *byte) {
                    return;
                }
                Some(1)
            }
        };
        let Some(skipped) = skipped else { return };
        at += skipped;
    }
}

/// The length of the text that begins with a quote; nothing where it is not closed on its line.
fn quoted(rest: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match rest.get(at)? {
            b'\\' => at += 2,
            b'\n' => return None,
            byte if *byte == rest[0] => return Some(at + 1),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    fn serving_of(files: &[(&str, &str)]) -> Option<&'static str> {
        let tree = MemoryTree::new(files.iter().copied());
        serving(&Scan::new(&tree), "").map(|(name, _)| name)
    }

    #[test]
    fn cobra_serves_when_it_is_told_to() {
        let serve = "package cmd\n\nfunc serveCmd() *cobra.Command {\n\treturn &cobra.Command{\n\t\tUse: \"serve [flags]\", // {\n\t\tRunE: run,\n\t}\n}\n";
        let root = |run: &str| {
            format!(
                "package cmd\n\nvar rootCmd = &cobra.Command{{\n\tUse: \"notes\",\n\tLong: `a }} b`,\n{run}}}\n"
            )
        };
        let told = |run: &str| serving_of(&[("cmd/root.go", &root(run)), ("cmd/serve.go", serve)]);
        assert_eq!(told(""), Some("serve"));
        let help = "\tRun: func(cmd *cobra.Command, args []string) {\n\t\t_ = cmd.Help()\n\t},\n";
        assert_eq!(told(help), Some("serve"));
        assert_eq!(told("\tRun: serve,\n"), None);
        assert_eq!(serving_of(&[("cmd/serve.go", serve)]), None);
    }

    #[test]
    fn urfave_serves_when_it_is_told_to() {
        let app = |field: &str| {
            format!(
                "package main\n\nimport \"github.com/urfave/cli\"\n\nfunc main() {{\n\tapp := cli.App{{\n\t\tName: \"notes\",\n\t\t{field}\n\t\tCommands: []cli.Command{{\n\t\t\t{{Name: \"user\", Subcommands: []cli.Command{{{{Name: \"run\", Action: add}}}}}},\n\t\t\t{{Name: \"web\", Action: serve}},\n\t\t}},\n\t}}\n\tapp.Run(os.Args)\n}}\n"
            )
        };
        let told = |field: &str| serving_of(&[("main.go", &app(field))]);
        assert_eq!(told(""), Some("web"));
        assert_eq!(told("Action: serve,"), None);
        assert_eq!(told("DefaultCommand: \"web\","), None);
        let variable = "package main\n\nimport \"github.com/urfave/cli/v3\"\n\nvar webCommand = cli.Command{\n\tName:   \"web\",\n\tAction: func(_ context.Context, cmd *cli.Command) error { return serve() },\n}\n\nfunc main() {\n\tcmd := &cli.Command{\n\t\tName:     \"Notes\",\n\t\tCommands: []*cli.Command{&webCommand},\n\t}\n\tcmd.Run(context.Background(), os.Args)\n}\n";
        assert_eq!(serving_of(&[("main.go", variable)]), Some("web"));
    }

    #[test]
    fn code_that_does_not_end_says_nothing() {
        for text in [
            "package cmd\nvar rootCmd = &cobra.Command{",
            "x := \"cobra.Command{",
            "cobra.Command{}}}",
            "rootCmd := cobra.Command{,:,\"'",
        ] {
            assert_eq!(serving_of(&[("main.go", text)]), None, "{text}");
        }
    }
}
