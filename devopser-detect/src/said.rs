//! What a caller says instead of what was found.

use devopser_core::model::report::{Detection, Fact, Report};
use devopser_core::{Error, Result};

use crate::generate::lines::{exec, exec_after, json};

/// The commands of an app. `None`: what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commands<'c> {
    /// Builds it.
    pub build: Option<&'c str>,
    /// Starts it.
    pub start: Option<&'c str>,
    /// Runs before each start. Empty: nothing does.
    pub release: Option<&'c str>,
}

/// Puts a caller's commands into a report, so that generation uses nothing else in their place. An app that is started is
/// no site, whatever was found.
///
/// # Errors
/// [`devopser_core::ErrorKind::InvalidInput`] when a start command is given for files that no program serves.
pub fn with_commands(report: &mut Report, commands: &Commands<'_>) -> Result<()> {
    let Some(stack) = &mut report.stack else {
        return Ok(());
    };
    if let Some(build) = commands.build {
        stack.build_command = Some(said(build));
        // The workspace's own way to build a member.
        stack.hints.remove("builds-above");
        mark(stack, TOLD_BUILD);
    }
    if let Some(start) = commands.start {
        if ["sitegen", "static"].contains(&stack.detector.as_str()) {
            return Err(Error::invalid(
                "start_command",
                "the source is a site of files, which the image's own server serves",
            )
            .with_remedy("Leave it out, or bring a Dockerfile that starts your own server."));
        }
        stack.start_command = Some(said(start));
        if let Some(site) = &mut stack.is_static {
            site.value = false;
        }
        // What the found command stands for, and what was left out of the image as it does not need it.
        stack.hints.remove("start");
        stack.hints.remove("standalone");
        stack.hints.insert("keep-dev".to_owned(), "true".to_owned());
        mark(stack, TOLD_START);
    }
    match commands.release {
        Some("") => stack.release_command = None,
        Some(release) => stack.release_command = Some(said(release)),
        None => {}
    }
    Ok(())
}

/// The hints of what a caller gave.
pub(crate) const TOLD_BUILD: &str = "told-build";
pub(crate) const TOLD_START: &str = "told-start";

fn mark(stack: &mut Detection, hint: &str) {
    stack.hints.insert(hint.to_owned(), "true".to_owned());
}

fn said(command: &str) -> Fact<String> {
    Fact {
        value: command.to_owned(),
        confidence: 100,
        evidence: Vec::new(),
    }
}

/// A Dockerfile of the caller's or the repository's own with another command to start: it takes the place of `ENTRYPOINT` and
/// `CMD` of the last stage.
#[must_use]
pub fn started_by(dockerfile: &str, commands: &Commands<'_>) -> String {
    let Some(start) = commands.start else {
        return dockerfile.to_owned();
    };
    let words = match commands.release.filter(|release| !release.is_empty()) {
        Some(release) => exec_after(release, start),
        None => exec(start),
    };
    format!(
        "{}\nENTRYPOINT []\nCMD {}\n",
        dockerfile.trim_end(),
        json(&words)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{GenerateOptions, generate};
    use crate::tree::MemoryTree;

    fn generated(files: &[(&str, &str)], commands: Commands<'_>) -> Result<String> {
        let mut report = crate::detect(&MemoryTree::new(files.iter().copied()));
        with_commands(&mut report, &commands)?;
        let made = generate(&report, &GenerateOptions::default())?;
        Ok(made.dockerfile)
    }

    fn start(start: &str) -> Commands<'_> {
        Commands {
            start: Some(start),
            ..Commands::default()
        }
    }

    #[test]
    fn the_callers_start_is_what_the_image_runs_whatever_was_found() {
        let node = [
            (
                "package.json",
                r#"{"scripts": {"start": "NODE_ENV=production node a.js"}}"#,
            ),
            ("a.js", ""),
        ];
        let php = [("index.php", "<?php\n")];
        let go = [
            ("go.mod", "module a\n\ngo 1.26\n"),
            ("main.go", "package main\n\nfunc main() {}\n"),
        ];
        let java = [("pom.xml", "<project><artifactId>a</artifactId></project>")];
        for files in [&node[..], &php, &go, &java] {
            let made = generated(files, start("./other --now")).unwrap();
            let last = made.lines().last();
            assert_eq!(last, Some(r#"CMD ["./other", "--now"]"#), "{}", files[0].0);
        }
    }

    #[test]
    fn a_site_that_is_told_a_start_becomes_a_server_unless_nothing_could_start_it() {
        let vite = [(
            "package.json",
            r#"{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "7"}}"#,
        )];
        assert!(
            generated(&vite, Commands::default())
                .unwrap()
                .contains("nginx")
        );
        let made = generated(&vite, start("node server.js")).unwrap();
        assert!(!made.contains("nginx") && made.ends_with("CMD [\"node\", \"server.js\"]\n"));
        let page = [("index.html", "<p>\n")];
        let refused = generated(&page, start("node server.js")).unwrap_err();
        assert!(refused.to_string().contains("start_command"), "{refused}");
    }

    #[test]
    fn the_release_command_is_the_callers_or_none() {
        let files = [
            ("requirements.txt", "django\ngunicorn\n"),
            (
                "manage.py",
                "os.environ['DJANGO_SETTINGS_MODULE'] = 'a.settings'\n",
            ),
            ("a/settings.py", "DATABASES = {'default': {}}\n"),
            ("a/wsgi.py", "application = get_wsgi_application()\n"),
        ];
        let last = |release: Option<&str>| {
            let commands = Commands {
                release,
                ..Commands::default()
            };
            let made = generated(&files, commands).unwrap();
            made.lines().last().unwrap().to_owned()
        };
        assert!(last(None).contains("migrate --noinput && "));
        assert!(last(Some("./prepare")).contains("./prepare && "));
        assert!(!last(Some("")).contains("migrate"));
    }

    #[test]
    fn a_build_command_is_refused_where_the_image_is_compiled_by_other_means() {
        let files = [
            ("go.mod", "module a\n\ngo 1.26\n"),
            ("main.go", "package main\n\nfunc main() {}\n"),
        ];
        let commands = Commands {
            build: Some("make"),
            ..Commands::default()
        };
        let refused = generated(&files, commands).unwrap_err();
        assert!(refused.to_string().contains("build_command"), "{refused}");
    }

    #[test]
    fn an_own_dockerfile_gets_the_callers_start_in_place_of_its_own() {
        let own = "FROM a\nENTRYPOINT [\"./a\"]\nCMD [\"b\"]\n";
        assert_eq!(started_by(own, &Commands::default()), own);
        let commands = Commands {
            start: Some("./c"),
            release: Some("./d"),
            build: None,
        };
        let ends = "ENTRYPOINT []\nCMD [\"/bin/sh\", \"-c\", \"./d && exec ./c\"]\n";
        assert!(started_by(own, &commands).ends_with(ends));
    }
}
