//! Migrations of Python apps: Django, Flask-Migrate, Alembic.

use devopser_core::model::report::{Detection, Evidence, Fact};

use super::{documented, is};
use crate::scan::{Scan, code};
use crate::stack::python::has_no_database;

pub(super) fn of(scan: &Scan<'_>, stack: &Detection) -> Option<Fact<String>> {
    django(scan, stack)
        .or_else(|| flask(scan, stack))
        .or_else(|| alembic(scan))
}

/// <https://docs.djangoproject.com/en/stable/ref/django-admin/#migrate>
fn django(scan: &Scan<'_>, stack: &Detection) -> Option<Fact<String>> {
    let entry = stack.hints.get("entry")?;
    if !is(stack, "django") || !entry.ends_with("manage.py") || has_no_database(scan) {
        return None;
    }
    let evidence = Evidence::file(entry.as_str(), "Django keeps the tables");
    documented(format!("python {entry} migrate --noinput"), evidence)
}

/// <https://flask-migrate.readthedocs.io/en/latest/#example>
fn flask(scan: &Scan<'_>, stack: &Detection) -> Option<Fact<String>> {
    let evidence = scan.python().evidence("flask-migrate")?;
    let own = |text: &str| {
        let mut lines = text.lines().filter(|line| line.contains("flask_migrate"));
        lines.any(|line| line.contains("upgrade"))
    };
    if !scan.has("migrations/env.py") || does_it_itself(scan, own) {
        return None;
    }
    // https://flask.palletsprojects.com/en/stable/cli/#environment-variables-from-dotenv
    let named = scan
        .text(".flaskenv")
        .is_some_and(|text| text.contains("FLASK_APP"));
    let command = match named {
        true => "flask db upgrade".to_owned(),
        false => format!("FLASK_APP={} flask db upgrade", application(stack)?),
    };
    documented(command, evidence)
}

/// The application as Flask's command takes it: what the server is given, else the entry file.
fn application(stack: &Detection) -> Option<String> {
    let start = stack
        .start_command
        .as_ref()
        .map_or("", |fact| fact.value.as_str());
    let sound = |char: char| char.is_ascii_alphanumeric() || "._/".contains(char);
    let served = start.split_whitespace().find(|word| {
        word.split_once(':').is_some_and(|(module, name)| {
            let starts = |text: &str| text.starts_with(|char: char| char.is_ascii_alphabetic());
            starts(module) && starts(name) && module.chars().chain(name.chars()).all(sound)
        })
    });
    let entry = || stack.hints.get("entry").map(String::as_str);
    let found = served.or_else(entry)?;
    found
        .chars()
        .all(|char| sound(char) || char == ':')
        .then(|| found.to_owned())
}

/// <https://alembic.sqlalchemy.org/en/latest/tutorial.html#running-our-first-migration>, where the environment script reads the
/// address from elsewhere than the file.
fn alembic(scan: &Scan<'_>) -> Option<Fact<String>> {
    const FILE: &str = "alembic.ini";
    const READS: &[&str] = &["set_main_option(", "environ", "getenv", "settings", "url ="];
    scan.python().evidence("alembic")?;
    let text = scan.text(FILE)?;
    let value = |key: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim().to_owned())
        })
    };
    let folder = value("script_location")?;
    let folder = folder.trim_start_matches("%(here)s/");
    let script = scan.text(&format!("{}/env.py", folder.trim_start_matches("./")))?;
    let reads = |line: &str| {
        let line = line.trim_start();
        !line.starts_with('#')
            && !line.contains("config.get_main_option(")
            && READS.iter().any(|sign| line.contains(sign))
    };
    let own = |text: &str| text.contains("alembic") && text.contains("command.upgrade(");
    if does_it_itself(scan, own) {
        return None;
    }
    let is_file = value("sqlalchemy.url").is_some_and(|url| url.starts_with("sqlite"));
    (is_file || script.lines().any(reads))
        .then(|| {
            documented(
                "alembic upgrade head",
                Evidence::file(FILE, "migrations of Alembic"),
            )
        })
        .flatten()
}

/// Whether the app's own sources migrate, perhaps after they have made the first tables by other means.
fn does_it_itself(scan: &Scan<'_>, migrates: impl Fn(&str) -> bool) -> bool {
    let mut texts = code::each(scan, &[".py"], 4).filter_map(|path| scan.text(path));
    texts.any(|text| migrates(&text))
}

#[cfg(test)]
mod tests {
    use super::super::tests::of;

    #[test]
    fn the_command_of_flask_gets_the_application_that_is_served() {
        let files = [
            ("requirements.txt", "flask\nflask-migrate\ngunicorn\n"),
            ("app.py", "from flask import Flask\napp = Flask(__name__)\n"),
        ];
        assert_eq!(of(&files).0, None);
        let kept = [files[0], files[1], ("migrations/env.py", "")];
        let found = of(&kept).0;
        assert_eq!(found.as_deref(), Some("FLASK_APP=app:app flask db upgrade"));
        let named = [
            kept[0],
            kept[1],
            kept[2],
            (".flaskenv", "FLASK_APP=app.py\n"),
        ];
        assert_eq!(of(&named).0.as_deref(), Some("flask db upgrade"));
    }

    #[test]
    fn alembic_is_asked_where_its_script_reads_the_address_from_elsewhere() {
        let app = ("requirements.txt", "fastapi\nalembic\nuvicorn\n");
        let main = ("main.py", "from fastapi import FastAPI\napp = FastAPI()\n");
        let ini = (
            "alembic.ini",
            "[alembic]\nscript_location = %(here)s/alembic\nsqlalchemy.url = driver://user:pass@localhost/dbname\n",
        );
        let fixed = "url = config.get_main_option(\"sqlalchemy.url\")\n";
        assert_eq!(of(&[app, main, ini, ("alembic/env.py", fixed)]).0, None);
        let read = "config.set_main_option(\"sqlalchemy.url\", os.environ[\"DATABASE_URL\"])\n";
        let script = ("alembic/env.py", read);
        let found = of(&[app, main, ini, script]).0;
        assert_eq!(found.as_deref(), Some("alembic upgrade head"));
        let own = (
            "shop/tables.py",
            "from alembic import command\n\ncommand.upgrade(settings, 'head')\n",
        );
        assert_eq!(of(&[app, main, ini, script, own]).0, None);
    }

    #[test]
    fn django_migrates_unless_it_has_no_database() {
        let files = [
            ("requirements.txt", "django\n"),
            (
                "manage.py",
                "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
            ),
            ("shop/settings.py", "DATABASES = {'default': {}}\n"),
        ];
        let found = of(&files).0;
        assert_eq!(found.as_deref(), Some("python manage.py migrate --noinput"));
        let none = [files[0], files[1], ("shop/settings.py", "DEBUG = True\n")];
        assert_eq!(of(&none).0, None);
    }
}
