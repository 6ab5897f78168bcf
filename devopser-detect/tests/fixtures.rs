//! Every folder of `fixtures/` is a test: `tree/` is detected, and the summary without its evidence must equal
//! `expected.json`. `DEVOPSER_BLESS=1 cargo test -p devopser-detect` writes the files anew; read the difference.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests may unwrap as tests do"
)]

use std::fs;
use std::path::{Path, PathBuf};

use devopser_core::id::EnvName;
use devopser_detect::{
    GenerateOptions, check_dockerfile, database_names, database_servers, detect_folder,
    dockerfile_policy, explain, generate, stacks_table, summary,
};
use serde_json::Value;

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut folders: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    folders
}

fn answer(folder: &Path) -> String {
    let report = detect_folder(&folder.join("tree")).unwrap();
    let mut value = serde_json::to_value(summary(&report)).unwrap();
    let fields = value.as_object_mut().unwrap();
    let evidence = fields.remove("evidence").unwrap();
    for (field, proofs) in evidence.as_object().unwrap() {
        assert!(
            !proofs.as_array().unwrap().is_empty(),
            "{}: {field} has no evidence",
            folder.display()
        );
    }
    for field in ["confidences", "not_chosen"] {
        fields.remove(field);
    }
    if let Some(Value::Array(services)) = fields.get_mut("service_answers") {
        for service in services {
            *service = in_short(service);
        }
    }
    serde_json::to_string_pretty(&value).unwrap() + "\n"
}

/// A service's answer: the fields that are there, without proofs.
fn in_short(service: &Value) -> Value {
    let answer = service["answer"].as_object().unwrap();
    let mut short: serde_json::Map<String, Value> = answer
        .iter()
        .filter(|(_, value)| value.is_string() || value.is_number())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    short.insert("root".to_owned(), service["root"].clone());
    short.insert("context".to_owned(), service["context"].clone());
    Value::Object(short)
}

#[test]
fn every_folder_gives_its_expected_summary() {
    let folders = fixtures();
    let bless = std::env::var_os("DEVOPSER_BLESS").is_some();
    let mut wrong = Vec::new();
    for folder in &folders {
        let file = folder.join("expected.json");
        let answer = answer(folder);
        if bless {
            fs::write(&file, &answer).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        // As values: the order of names in the text depends on how serde_json was built.
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
        if read(&answer) != read(&expected) {
            wrong.push(format!(
                "{}\nexpected {expected}\nanswered {answer}",
                folder.display()
            ));
        }
    }
    let expected = folders
        .iter()
        .filter(|folder| folder.join("expected.json").is_file())
        .count();
    assert_eq!(folders.len(), expected, "each folder has its expected.json");
    assert!(folders.len() >= 35);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The ids in the frameworks' column of the stacks' table.
fn framework_ids() -> Vec<String> {
    let table = stacks_table();
    let cells = table
        .lines()
        .skip(2)
        .filter_map(|line| line.split('|').nth(2));
    let ids = cells.flat_map(|cell| cell.split(','));
    let ids = ids.map(|id| id.trim().to_owned());
    ids.filter(|id| !id.is_empty()).collect()
}

#[test]
fn every_framework_has_a_fixture() {
    // The answers are those of `expected.json`: another test compares them.
    let answers = fixtures()
        .iter()
        .map(|folder| answer(folder))
        .collect::<Vec<_>>();
    let mut answered = Vec::new();
    for text in &answers {
        let answer: serde_json::Value = serde_json::from_str(text).unwrap();
        // Languages of which nothing more is known stand in the same column.
        let fields = ["framework", "runtime"].map(|field| answer[field].as_str());
        answered.extend(fields.into_iter().flatten().map(str::to_owned));
    }
    let ids = framework_ids();
    assert!(ids.len() > 120, "{ids:?}");
    let missing: Vec<String> = ids
        .into_iter()
        .filter(|id| !answered.contains(id))
        .collect();
    assert!(missing.is_empty(), "no fixture answers {missing:?}");
}

#[test]
fn what_is_generated_is_sound_and_the_same_each_time() {
    for folder in fixtures() {
        let report = detect_folder(&folder.join("tree")).unwrap();
        assert!(!explain(&report).is_empty());
        let options = GenerateOptions::default();
        let Ok(files) = generate(&report, &options) else {
            continue;
        };
        assert_eq!(
            files,
            generate(&report, &options).unwrap(),
            "{}",
            folder.display()
        );
        let compose: serde_yaml_ng::Value = serde_yaml_ng::from_str(&files.compose).unwrap();
        assert!(compose.get("services").is_some(), "{}", files.compose);
        if files.own_dockerfile.is_some() {
            continue;
        }
        let text = &files.dockerfile;
        check_dockerfile(text)
            .unwrap_or_else(|problems| panic!("{}: {problems:?}\n{text}", folder.display()));
        for part in ["\nUSER ", "\nHEALTHCHECK ", "\nCMD [", "PORT="] {
            assert!(
                text.contains(part),
                "{} lacks {part:?}:\n{text}",
                folder.display()
            );
        }
        assert!(!text.contains("syntax=") && !text.contains("<<"), "{text}");
        assert!(files.dockerignore.contains(".git\n"));
    }
}

#[test]
fn reports_survive_being_stored() {
    for folder in fixtures() {
        let report = detect_folder(&folder.join("tree")).unwrap();
        let text = serde_json::to_string(&report).unwrap();
        let again: devopser_core::model::report::Report = serde_json::from_str(&text).unwrap();
        assert_eq!(report, again);
    }
}

fn report_of(fixture: &str) -> devopser_core::model::report::Report {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    detect_folder(&root.join(fixture).join("tree")).unwrap()
}

fn dockerfile_of(fixture: &str) -> String {
    let options = GenerateOptions::default();
    generate(&report_of(fixture), &options).unwrap().dockerfile
}

#[test]
fn a_site_built_for_a_path_is_served_there() {
    let text = dockerfile_of("node-vite-base");
    for part in [
        "dist /usr/share/nginx/html/notes\n",
        "location = / { return 302 /notes/; }",
        "/notes/index.html; }",
    ] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    let elsewhere = report_of("node-vite-elsewhere");
    assert!(
        elsewhere
            .warnings
            .iter()
            .any(|warning| warning.contains("https://someone.github.io/notes/")),
        "{:?}",
        elsewhere.warnings
    );
    assert!(!dockerfile_of("node-vite-elsewhere").contains("return 302"));
    assert!(report_of("node-vite").warnings.is_empty());
}

#[test]
fn collectstatic_gets_placeholders_and_a_second_try() {
    let text = dockerfile_of("python-django");
    for part in [
        "    PGDATABASE=app \\\n",
        "DATABASE_URL=postgres://app:build@postgres:5432/app",
        "[ ! -e /app/.collectstatic-later ] || python manage.py collectstatic --noinput",
    ] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
}

#[test]
fn pinned_requirements_bound_the_python_line() {
    let text = dockerfile_of("python-django-old");
    assert!(text.contains("FROM python:3.10-slim"), "{text}");
    assert!(!text.contains("migrate"), "there is no database:\n{text}");
}

#[test]
fn dependencies_of_what_is_no_package_are_installed_without_building_it() {
    let text = dockerfile_of("python-pyproject-app");
    assert!(text.contains("\nCOPY pyproject.toml ./\n"), "{text}");
    assert!(
        text.contains("pip install uv && uv pip install -r pyproject.toml\n"),
        "{text}"
    );
}

#[test]
fn a_port_in_the_source_is_taken_as_it_is() {
    assert!(dockerfile_of("go-no-module").contains("\nEXPOSE 80\n"));
    assert!(dockerfile_of("php-plain").contains("\nEXPOSE 8080\n"));
}

#[test]
fn a_build_for_a_platform_is_started_with_the_preview_server() {
    let report = report_of("node-sveltekit-vercel");
    let warned = |text: &str| report.warnings.iter().any(|warning| warning.contains(text));
    assert!(warned("@sveltejs/adapter-node"), "{:?}", report.warnings);
    let text = dockerfile_of("node-sveltekit-vercel");
    assert!(
        text.contains("vite preview --host 0.0.0.0 --port $PORT"),
        "{text}"
    );
    assert!(!text.contains("npm prune"), "vite is needed:\n{text}");
}

#[test]
fn files_that_a_go_program_reads_are_beside_it() {
    let text = dockerfile_of("go-reads-a-template");
    assert!(text.contains("/src/index.html ./index.html"), "{text}");
    assert!(!text.contains("other.html"), "{text}");
}

#[test]
fn tools_that_the_program_asks_for_stay() {
    let text = dockerfile_of("node-tools-at-run-time");
    assert!(text.contains("npm ci --no-audit --no-fund"), "{text}");
    assert!(!text.contains("--omit=dev"), "{text}");
}

#[test]
fn what_a_program_without_a_manifest_imports_is_installed() {
    let text = dockerfile_of("python-no-manifest");
    assert!(text.contains("pip install flask gunicorn"), "{text}");
}

#[test]
fn what_an_installation_reads_is_there_before_it() {
    for (name, install) in [
        ("node-pnpm-patched", "pnpm install"),
        ("ruby-gems-of-a-gemspec", "bundle install"),
    ] {
        let text = dockerfile_of(name);
        let (sources, installed) = (text.find("COPY . ."), text.find(install));
        assert!(sources.is_some() && sources < installed, "{text}");
    }
}

#[test]
fn what_an_old_gunicorn_imports_is_installed() {
    let text = dockerfile_of("python-old-gunicorn");
    assert!(text.contains("\"setuptools<82\""), "{text}");
}

#[test]
fn a_command_of_a_module_is_built_in_its_folder() {
    let report = report_of("services-go-commands");
    let worker = report.services.iter().find(|of| of.root == "cmd/worker");
    let report = devopser_core::model::report::Report {
        stack: worker.unwrap().detection.clone(),
        services: Vec::new(),
        ..report
    };
    let text = generate(&report, &GenerateOptions::default())
        .unwrap()
        .dockerfile;
    assert!(text.contains("WORKDIR /src/cmd/worker"), "{text}");
    assert!(!text.contains("go mod init"), "{text}");
}

#[test]
fn pages_are_built_before_the_program_that_has_them() {
    for (name, install, build, taken) in [
        (
            "go-embeds-pages",
            "COPY web/package.json web/pnpm-lock.yaml ./",
            "pnpm build",
            "server/pages/dist",
        ),
        (
            "go-embeds-pages-of-a-script",
            "COPY ui/package.json ./",
            "npm run release",
            "server/dist",
        ),
        (
            "go-embeds-pages-of-its-own",
            "COPY package.json package-lock.json ./",
            "npm run build",
            "dist",
        ),
        (
            "go-serves-pages",
            "COPY client/package.json client/yarn.lock ./",
            "yarn build",
            "client/build",
        ),
        (
            "rust-embeds-pages",
            "COPY frontend/package.json frontend/bun.lock ./",
            "bun run build",
            "frontend/dist",
        ),
    ] {
        let text = dockerfile_of(name);
        let taken = format!("COPY --from=pages /src/{taken} /src/{taken}");
        let compiles = if name.starts_with("go") {
            "go build"
        } else {
            "cargo build"
        };
        let steps = [install, build, &taken, compiles];
        let places = steps.map(|step| {
            text.find(step)
                .unwrap_or_else(|| panic!("{step} in {text}"))
        });
        assert!(places.is_sorted(), "{text}");
        // The sources of the pages are no part of what runs.
        assert!(!text.contains("/src/web ./web"), "{text}");
        let is_read = text.contains("/src/client/build ./client/build");
        assert_eq!(is_read, name == "go-serves-pages", "{text}");
    }
    let text = dockerfile_of("python-serves-pages");
    assert!(text.contains("/src/client/dist ./client/dist"), "{text}");
    let text = dockerfile_of("go-embeds-committed-pages");
    assert!(!text.contains("FROM node"), "{text}");
}

#[test]
fn no_server_is_made_where_a_file_will_do() {
    let made = |name: &str| {
        let generated = generate(&report_of(name), &GenerateOptions::default()).unwrap();
        let databases = generated.databases.iter();
        databases.map(|made| made.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(made("go-file-or-server"), [""; 0]);
    assert_eq!(made("go-file-or-server-of-gorm-1"), [""; 0]);
    assert_eq!(made("laravel-database-of-its-settings"), ["mysql"]);
    assert_eq!(made("java-embedded-beside-servers"), [""; 0]);
    let text = explain(&report_of("go-file-or-server"));
    assert!(
        text.contains("not sure: postgres or mysql or sqlite"),
        "{text}"
    );
}

#[test]
fn a_redis_asks_for_no_password_where_the_app_has_none_to_give() {
    for (name, asks) in [("redis-without-password", false), ("python-flask", true)] {
        let generated = generate(&report_of(name), &GenerateOptions::default()).unwrap();
        let mut databases = generated.databases.iter();
        let redis = databases.find(|made| made.name == "redis").unwrap();
        let command = redis.command.join(" ");
        assert_eq!(command.contains("requirepass"), asks, "{command}");
        assert_eq!(redis.app_env.contains_key("REDIS_PASSWORD"), asks);
    }
}

#[test]
fn an_app_is_told_of_its_databases_in_the_words_of_its_framework() {
    let names = |name: &str| {
        let stack = report_of(name).stack.unwrap();
        let made = database_servers(&stack);
        // What is not made is the caller's to name.
        assert!(database_names(&stack, &[]).is_empty());
        database_names(&stack, &made)
    };
    let laravel = names("laravel-database-of-its-settings");
    assert_eq!(laravel["DB_CONNECTION"], "mysql");
    assert_eq!(laravel["DB_DATABASE"], "${MYSQL_DATABASE}");
    let own = names("database-names-of-its-example");
    let address = "postgres://${POSTGRES_USER}:${POSTGRES_PASSWORD}@${POSTGRES_HOST}:${POSTGRES_PORT}/${POSTGRES_DB}?sslmode=disable";
    assert_eq!(own["CORE_DATABASE_URL"], address);
    assert_eq!(own["SHOP_DB_PASS"], "${POSTGRES_PASSWORD}");
    assert_eq!(
        own["QUEUE_REDIS"],
        "redis://:${REDIS_PASSWORD}@${REDIS_HOST}:${REDIS_PORT}/2"
    );
    assert!(!own.contains_key("SMTP_HOST"));
    let report = report_of("database-names-of-its-example");
    let made = generate(&report, &GenerateOptions::default()).unwrap();
    let text = made.compose.replace('"', "");
    assert!(text.contains("SHOP_DB_HOST: postgres\n"), "{text}");
    // Alternatives are told to nobody.
    assert!(names("java-embedded-beside-servers").is_empty());
    assert!(names("go-file-or-server").is_empty());
}

#[test]
fn browsers_of_tests_are_not_downloaded() {
    let text = dockerfile_of("node-browser-tests");
    let skips = " CYPRESS_INSTALL_BINARY=0 PUPPETEER_SKIP_DOWNLOAD=true npm ci";
    assert!(text.contains(skips), "{text}");
    let report = report_of("node-browser-tests");
    let options = with_inputs(&["CYPRESS_INSTALL_BINARY"], &[]);
    let text = generate(&report, &options).unwrap().dockerfile;
    assert!(!text.contains("CYPRESS_INSTALL_BINARY=0"), "{text}");
}

fn with_inputs(variables: &[&str], secrets: &[&str]) -> GenerateOptions {
    let names = |names: &[&str]| {
        let names = names.iter().map(|name| EnvName::new(*name).unwrap());
        names.collect()
    };
    GenerateOptions {
        build_env: names(variables),
        build_secrets: names(secrets),
        ..GenerateOptions::default()
    }
}

#[test]
fn build_variables_and_secrets_reach_own_commands_only() {
    let mount = "--mount=type=secret,id=DEPLOY_TOKEN,mode=0444,required=true ";
    let read = "\\\n    DEPLOY_TOKEN=\"$(cat /run/secrets/DEPLOY_TOKEN)\" || exit 1; export DEPLOY_TOKEN; \\\n    ";
    let options = with_inputs(&["PUBLIC_MODE"], &["DEPLOY_TOKEN"]);
    let mut reached = 0;
    for folder in fixtures() {
        let report = detect_folder(&folder.join("tree")).unwrap();
        let Ok(plain) = generate(&report, &GenerateOptions::default()) else {
            continue;
        };
        let files = generate(&report, &options).unwrap();
        let compose: serde_yaml_ng::Value = serde_yaml_ng::from_str(&files.compose).unwrap();
        assert_eq!(
            compose["secrets"]["DEPLOY_TOKEN"]["environment"].as_str(),
            Some("DEPLOY_TOKEN")
        );
        assert_eq!(
            compose["services"]["app"]["build"]["args"][0].as_str(),
            Some("PUBLIC_MODE")
        );
        let text = &files.dockerfile;
        if text.is_empty() {
            continue;
        }
        check_dockerfile(text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        assert_eq!(dockerfile_policy(text), [], "{text}");
        let without: String = text.replace(mount, "").replace(read, "");
        let without = without.replace("ARG PUBLIC_MODE\n", "");
        let flat = |text: &str| {
            text.replace("\\\n", "")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            flat(&without),
            flat(&plain.dockerfile),
            "{}",
            folder.display()
        );
        for stage in text.split("FROM ").skip(1) {
            let args = stage.matches("ARG PUBLIC_MODE\n").count();
            assert_eq!(args, usize::from(stage.contains(mount)), "{stage}");
            reached += args;
        }
    }
    assert!(reached >= 40, "{reached} stages");
}

#[test]
fn names_that_would_break_the_build_are_refused() {
    let report = report_of("node-express");
    for (variables, secrets, field) in [
        (&["PATH"][..], &[][..], "build_env"),
        (&["LD_PRELOAD"], &[], "build_env"),
        (&["PORT"], &[], "build_env"),
        (&["buildkit_syntax"], &[], "build_env"),
        (&[], &["HOME"], "build_secrets"),
        (&["TOKEN"], &["TOKEN"], "build_secrets"),
    ] {
        let error = generate(&report, &with_inputs(variables, secrets)).unwrap_err();
        assert_eq!(error.kind(), devopser_core::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[test]
fn what_migrates_runs_before_the_start_with_its_tools() {
    for (name, start) in [
        (
            "node-migrates-with-drizzle",
            "dotenv -- drizzle-kit migrate && exec node dist/server.js",
        ),
        (
            "bun-builds-and-migrates",
            "drizzle-kit migrate && exec bun run start",
        ),
        (
            "python-migrates-with-alembic",
            "alembic upgrade head && exec uvicorn",
        ),
        (
            "python-migrates-with-flask",
            "FLASK_APP=wsgi:app flask db upgrade && exec gunicorn",
        ),
        (
            "elixir-phoenix-migrates",
            "./bin/shop eval Shop.Release.migrate && exec ./bin/shop start",
        ),
    ] {
        let text = dockerfile_of(name);
        let last = text.lines().last().unwrap();
        assert!(last.contains(start), "{last}");
    }
    // Its tools are for development only, so nothing is pruned; Bun's are not.
    let text = dockerfile_of("node-migrates-with-drizzle");
    assert!(!text.contains("npm prune"), "{text}");
    let text = dockerfile_of("bun-builds-and-migrates");
    assert!(text.contains("bun install --production"), "{text}");
    let text = dockerfile_of("bun-bundles-when-it-runs");
    assert!(!text.contains("--production"), "{text}");
    let text = dockerfile_of("ruby-rails-without-tables");
    assert!(!text.contains("db:prepare"), "{text}");
}

#[test]
fn a_standalone_server_of_next_lies_beside_what_its_migrations_need() {
    let text = dockerfile_of("node-migrates-standalone-next");
    assert!(text.contains("cp -r public .next/standalone/"), "{text}");
    assert!(
        text.contains("COPY --from=build --chown=node:node /app ./"),
        "{text}"
    );
    let start = "prisma migrate deploy && exec node .next/standalone/server.js";
    assert!(text.lines().last().unwrap().contains(start), "{text}");
}

#[test]
fn dependencies_get_what_they_need_of_the_system_where_they_need_it() {
    let text = dockerfile_of("node-compiled-dependencies");
    let (runtime, build) = text.split_once("AS base").unwrap();
    assert!(runtime.contains(" libpq5 ") && !runtime.contains("g++"));
    for package in [" g++ ", " make ", " python3 ", " libpq-dev ", " git "] {
        assert!(build.contains(package), "{package} in {text}");
    }
    let text = dockerfile_of("rust-linker-of-its-own");
    assert!(
        text.contains(" clang lld ") && !text.contains("mold"),
        "{text}"
    );
    let text = dockerfile_of("node-yarn-in-the-repository");
    let (before, _) = text.split_once("yarn install").unwrap();
    assert!(
        before.contains("COPY .yarn/releases ./.yarn/releases"),
        "{text}"
    );
    let text = dockerfile_of("python-needs-of-the-system");
    let (build, last) = text.rsplit_once("FROM ").unwrap();
    assert!(build.contains("libldap2-dev"), "{text}");
    for package in ["gdal-bin", "libldap2 ", "tesseract-ocr"] {
        assert!(last.contains(package), "{package} in {text}");
    }
}
