//! Start commands and ports in the files of hosting platforms. They say how the authors deploy, as a `Procfile`
//! does; a `Procfile` goes before them.

use devopser_core::model::report::{Evidence, Fact};
use serde_json::Value;

use super::Scan;
use crate::stack::health::sound;

/// The files that are read.
pub(crate) const FILES: &[&str] = &[
    "railway.json",
    "railway.toml",
    "railpack.json",
    "nixpacks.toml",
    "nixpacks.json",
    "render.yaml",
    "fly.toml",
    "heroku.yml",
    "app.json",
    ".do/app.yaml",
    "vercel.json",
    "netlify.toml",
];

/// Where a file keeps its start command.
const STARTS: &[(&str, &[&str])] = &[
    ("railway.json", &["/deploy/startCommand"]), // https://docs.railway.com/reference/config-as-code
    ("railway.toml", &["/deploy/startCommand"]),
    ("railpack.json", &["/deploy/startCommand"]), // https://railpack.com/config/file/
    ("nixpacks.toml", &["/start/cmd"]),           // https://nixpacks.com/docs/configuration/file
    ("nixpacks.json", &["/start/cmd"]),
    ("fly.toml", &["/processes/web", "/processes/app"]), // https://fly.io/docs/reference/configuration/#the-processes-section
    ("heroku.yml", &["/run/web"]), // https://devcenter.heroku.com/articles/build-docker-images-heroku-yml
    ("app.json", &["/formation/web/command"]),
];

/// The start command of the web process.
pub(crate) fn start(scan: &Scan<'_>) -> Option<Fact<String>> {
    let named = STARTS.iter().find_map(|(path, pointers)| {
        let value = read(scan, path)?;
        let command = pointers
            .iter()
            .find_map(|pointer| value.pointer(pointer)?.as_str().map(str::to_owned))?;
        Some((*path, command))
    });
    let (path, command) = named
        .or_else(|| {
            Some((
                "render.yaml",
                in_service(scan, "render.yaml", "startCommand")?,
            ))
        })
        .or_else(|| {
            Some((
                ".do/app.yaml",
                in_service(scan, ".do/app.yaml", "run_command")?,
            ))
        })?;
    let command = command.trim().to_owned();
    let first = command.lines().next().unwrap_or_default().to_owned();
    (!command.is_empty() && !command.contains('\n')).then(|| {
        Fact::new(
            command,
            93,
            scan.evidence(path, &first, "the start command of the platform's file"),
        )
    })
}

/// What the platform runs before it starts a new release.
pub(crate) fn release(scan: &Scan<'_>) -> Option<Fact<String>> {
    const RELEASES: &[(&str, &str)] = &[
        ("fly.toml", "/deploy/release_command"), // https://fly.io/docs/reference/configuration/#run-one-off-commands-before-releasing-a-deployment
        ("railway.json", "/deploy/preDeployCommand"), // https://docs.railway.com/reference/config-as-code
        ("railway.toml", "/deploy/preDeployCommand"),
        ("heroku.yml", "/release/command"), // https://devcenter.heroku.com/articles/build-docker-images-heroku-yml#release-configuring-release-phase
    ];
    let named = RELEASES.iter().find_map(|(path, pointer)| {
        let value = read(scan, path)?;
        let commands: Vec<&str> = match value.pointer(pointer)? {
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            other => other.as_str().into_iter().collect(),
        };
        Some((*path, commands.join(" && ")))
    });
    let (path, command) = named.or_else(|| {
        let path = "render.yaml";
        Some((path, in_service(scan, path, "preDeployCommand")?))
    })?;
    let command = command.trim();
    (!command.is_empty() && !command.contains('\n')).then(|| {
        Fact::new(
            command.to_owned(),
            93,
            scan.evidence(path, command, "what its platform runs before each release"),
        )
    })
}

/// The path that the platform asks whether the app is well.
pub(crate) fn health(scan: &Scan<'_>) -> Option<Fact<String>> {
    const CHECKS: &[(&str, &[&str])] = &[
        // https://fly.io/docs/reference/configuration/#http_service-checks, #services-http_checks, #the-checks-section
        (
            "fly.toml",
            &["/http_service/checks", "/services/0/http_checks", "/checks"],
        ),
        ("railway.json", &["/deploy/healthcheckPath"]), // https://docs.railway.com/reference/config-as-code
        ("railway.toml", &["/deploy/healthcheckPath"]),
        (".do/app.yaml", &["/services/0/health_check/http_path"]), // https://docs.digitalocean.com/products/app-platform/reference/app-spec/
        ("app.json", &["/healthchecks/web"]), // https://dokku.com/docs/deployment/zero-downtime-deploys/
    ];
    let named = CHECKS.iter().find_map(|(path, pointers)| {
        let value = read(scan, path)?;
        let mut found = pointers.iter().filter_map(|pointer| value.pointer(pointer));
        Some((*path, found.find_map(path_of_check)?))
    });
    let (file, path) = named.or_else(|| {
        let file = "render.yaml";
        Some((file, sound(&in_service(scan, file, "healthCheckPath")?)?))
    })?;
    let evidence = scan.evidence(file, &path, "what its platform asks whether it is well");
    Some(Fact::new(path, 93, evidence))
}

/// The path itself, or that of the first check of a list or a table that has one.
fn path_of_check(check: &Value) -> Option<String> {
    let of_one = |check: &Value| sound(check.get("path")?.as_str()?);
    match check {
        Value::String(path) => sound(path),
        Value::Array(all) => all.iter().find_map(of_one),
        Value::Object(all) => all.values().find_map(of_one),
        _ => None,
    }
}

/// The folder that the platform mounts a disk at.
pub(crate) fn disk(scan: &Scan<'_>) -> Option<Fact<Vec<String>>> {
    const DISKS: &[(&str, &[&str])] = &[
        // https://fly.io/docs/reference/configuration/#the-mounts-section
        (
            "fly.toml",
            &["/mounts/destination", "/mounts/0/destination"],
        ),
        ("railway.json", &["/deploy/requiredMountPath"]), // https://docs.railway.com/reference/config-as-code
        ("railway.toml", &["/deploy/requiredMountPath"]),
        ("render.yaml", &["/services/0/disk/mountPath"]), // https://render.com/docs/blueprint-spec
    ];
    let (file, path) = DISKS.iter().find_map(|(file, pointers)| {
        let value = read(scan, file)?;
        let mut found = pointers.iter().filter_map(|pointer| value.pointer(pointer));
        Some((*file, found.find_map(Value::as_str)?.to_owned()))
    })?;
    let evidence = scan.evidence(file, &path, "its platform mounts a disk there");
    // Where Render puts the sources (https://render.com/docs/disks).
    let below = path.strip_prefix("/opt/render/project/src/");
    let folder = below.unwrap_or(&path).trim_end_matches('/').to_owned();
    let is_sound = devopser_core::id::DataFolder::new(&folder).is_ok();
    is_sound.then(|| Fact::new(vec![folder], 90, evidence))
}

/// The port that the platform's file says the app listens on.
pub(crate) fn port(scan: &Scan<'_>) -> Option<Fact<u16>> {
    let fly = read(scan, "fly.toml").and_then(|value| {
        value
            .pointer("/http_service/internal_port")
            .or_else(|| value.pointer("/services/0/internal_port"))
            .cloned()
    });
    let of_fly = fly.map(|port| ("fly.toml", "internal_port", port));
    let found = of_fly.or_else(|| {
        let value = read(scan, ".do/app.yaml")?;
        let port = value.pointer("/services/0/http_port")?.clone();
        Some((".do/app.yaml", "http_port", port))
    });
    let (path, key, port) = found?;
    let port = u16::try_from(port.as_u64()?)
        .ok()
        .filter(|port| *port > 0)?;
    Some(Fact::new(
        port,
        90,
        scan.evidence(path, key, "the port in the platform's file"),
    ))
}

/// The folder that a site's host publishes, and what says it
/// (<https://vercel.com/docs/project-configuration#outputdirectory>,
/// <https://docs.netlify.com/configure-builds/file-based-configuration/#sample-netlify-toml-file>).
pub(crate) fn published(scan: &Scan<'_>) -> Option<(String, Evidence)> {
    let of_vercel = read(scan, "vercel.json").and_then(|value| {
        let folder = value.get("outputDirectory")?.as_str()?.to_owned();
        Some((folder, "vercel.json", "outputDirectory"))
    });
    let (folder, path, key) = of_vercel.or_else(|| {
        let value = read(scan, "netlify.toml")?;
        let build = value.get("build")?;
        let folder = build.get("publish")?.as_str()?.to_owned();
        // Below a base, the folder is named from there or from the root, as the build tool likes.
        build
            .get("base")
            .is_none()
            .then_some((folder, "netlify.toml", "publish"))
    })?;
    let folder = folder
        .trim()
        .trim_start_matches("./")
        .trim_matches('/')
        .to_owned();
    let sound = |char: char| char.is_ascii_alphanumeric() || "._-/".contains(char);
    let is_folder = !folder.is_empty()
        && !["..", "."].contains(&folder.as_str())
        && !folder.starts_with("../")
        && folder.chars().all(sound);
    is_folder.then(|| {
        (
            folder,
            scan.evidence(path, key, "the folder that its host publishes"),
        )
    })
}

/// A key of the only web service of the repository's root in a list of services
/// (<https://render.com/docs/blueprint-spec>, <https://docs.digitalocean.com/products/app-platform/reference/app-spec/>).
fn in_service(scan: &Scan<'_>, path: &str, key: &str) -> Option<String> {
    let value = read(scan, path)?;
    let services = value.get("services")?.as_array()?;
    let text = |service: &Value, key: &str| {
        service
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut here = services.iter().filter(|service| {
        let kind = text(service, "type");
        let folder = format!(
            "{}{}",
            text(service, "rootDir"),
            text(service, "source_dir")
        );
        (kind.is_empty() || kind == "web")
            && ["", ".", "/", "./"].contains(&folder.as_str())
            && service.get(key).is_some()
    });
    let only = here.next().filter(|_| here.next().is_none())?;
    only.get(key)?.as_str().map(str::to_owned)
}

fn read(scan: &Scan<'_>, path: &str) -> Option<std::rc::Rc<Value>> {
    if !scan.has(path) {
        return None;
    }
    match path.rsplit('.').next() {
        Some("toml") => scan.toml(path),
        Some("json") => scan.json(path),
        _ => scan.yaml(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    fn of(path: &str, text: &str) -> (Option<String>, Option<u16>) {
        let tree = MemoryTree::new([(path, text)]);
        let scan = Scan::new(&tree);
        (
            start(&scan).map(|fact| fact.value),
            port(&scan).map(|fact| fact.value),
        )
    }

    #[test]
    fn reads_each_platform() {
        let wanted = Some("gunicorn a:b".to_owned());
        for (path, text) in [
            (
                "railway.json",
                r#"{"deploy": {"startCommand": "gunicorn a:b"}}"#,
            ),
            (
                "railway.toml",
                "[deploy]\nstartCommand = \"gunicorn a:b\"\n",
            ),
            ("nixpacks.toml", "[start]\ncmd = 'gunicorn a:b'\n"),
            ("fly.toml", "[processes]\napp = 'gunicorn a:b'\n"),
            ("heroku.yml", "run:\n  web: gunicorn a:b\n"),
            (
                "render.yaml",
                "services:\n - type: web\n   startCommand: gunicorn a:b\n - type: worker\n   startCommand: x\n",
            ),
            (
                ".do/app.yaml",
                "services:\n - name: web\n   run_command: gunicorn a:b\n",
            ),
        ] {
            assert_eq!(of(path, text).0, wanted, "{path}");
        }
        assert_eq!(
            of("fly.toml", "[http_service]\ninternal_port = 8081\n").1,
            Some(8081)
        );
        assert_eq!(
            of("fly.toml", "[[services]]\ninternal_port = 8082\n").1,
            Some(8082)
        );
    }

    #[test]
    fn the_path_of_a_check_is_read_of_each_platform() {
        for (path, text) in [
            ("fly.toml", "[[http_service.checks]]\npath = '/up'\n"),
            (
                "fly.toml",
                "[[services]]\n[[services.http_checks]]\npath = '/up'\n",
            ),
            (
                "fly.toml",
                "[checks]\n[checks.tcp]\ntype = 'tcp'\n[checks.web]\npath = '/up'\n",
            ),
            ("railway.json", r#"{"deploy": {"healthcheckPath": "/up"}}"#),
            ("railway.toml", "[deploy]\nhealthcheckPath = \"/up\"\n"),
            (
                "render.yaml",
                "services:\n - type: web\n   healthCheckPath: /up\n",
            ),
            (
                ".do/app.yaml",
                "services:\n - health_check:\n     http_path: /up\n",
            ),
            (
                "app.json",
                r#"{"healthchecks": {"web": [{"type": "startup", "path": "/up"}]}}"#,
            ),
        ] {
            let tree = MemoryTree::new([(path, text)]);
            let found = health(&Scan::new(&tree)).map(|fact| fact.value);
            assert_eq!(found.as_deref(), Some("/up"), "{text}");
        }
        let tree = MemoryTree::new([("render.yaml", "services:\n - healthCheckPath: /\n")]);
        assert!(health(&Scan::new(&tree)).is_none());
    }

    #[test]
    fn published_folders_are_sound() {
        for (path, text, wanted) in [
            (
                "vercel.json",
                r#"{"outputDirectory": "./site/build/"}"#,
                Some("site/build"),
            ),
            (
                "netlify.toml",
                "[build]\npublish = \"public\"\n",
                Some("public"),
            ),
            (
                "netlify.toml",
                "[build]\nbase = \"web\"\npublish = \"public\"\n",
                None,
            ),
            ("vercel.json", r#"{"outputDirectory": "../x"}"#, None),
        ] {
            let tree = MemoryTree::new([(path, text)]);
            let found = published(&Scan::new(&tree)).map(|(folder, _)| folder);
            assert_eq!(found.as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn several_web_services_or_other_folders_are_no_answer() {
        for text in [
            "services:\n - type: web\n   startCommand: a\n - type: web\n   startCommand: b\n",
            "services:\n - type: web\n   rootDir: api\n   startCommand: a\n",
            "services: 3\n",
        ] {
            assert_eq!(of("render.yaml", text).0, None, "{text}");
        }
    }
}
