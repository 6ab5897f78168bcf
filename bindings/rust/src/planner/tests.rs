use std::fs;

use devopser_core::id::{AppName, DataFolder, EnvironmentName, ProviderId, Target, TenantId};
use devopser_core::model::service::HealthPath;
use devopser_core::model::source::Source;
use devopser_detect::{FOLDER, FOLDER_DOCKERFILE};

use super::*;
use crate::write_deployment_files;

/// A small app with its files in `.deployment/`.
fn source() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let server = "require('http').createServer().listen(process.env.PORT || 4000)";
    fs::write(folder.path().join("server.js"), server).unwrap();
    let options = GenerateOptions {
        in_folder: true,
        ..GenerateOptions::default()
    };
    let generated = generate(&detect_folder_at(folder.path(), "").unwrap(), &options).unwrap();
    write_deployment_files(folder.path(), &generated, false).unwrap();
    folder
}

fn spec(folder: &Path) -> DeploySpec {
    let target = Target {
        tenant: TenantId::new("t").unwrap(),
        app: AppName::new("app").unwrap(),
        environment: EnvironmentName::new("production").unwrap(),
    };
    let source = Source::Folder {
        path: folder.to_owned(),
    };
    DeploySpec::new(target, source, ProviderId::new("docker").unwrap())
}

fn edit(folder: &Path, path: &str, from: &str, to: &str) {
    let text = fs::read_to_string(folder.join(path)).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(folder.join(path), text.replacen(from, to, 1)).unwrap();
}

fn image(plan: &Plan) -> (&str, bool) {
    match &plan.build {
        BuildPlan::Image {
            dockerfile,
            own_dockerfile,
            ..
        } => (dockerfile, *own_dockerfile),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_edited_dockerfile_is_built_and_an_unedited_one_generated_anew() {
    let folder = source();
    let at = folder.path();
    let fresh = StackPlanner.plan(at, &spec(at)).unwrap();
    assert!(!image(&fresh).1);
    edit(
        at,
        FOLDER_DOCKERFILE,
        "EXPOSE 4000",
        "EXPOSE 4100\nLABEL edited=yes",
    );
    let edited = StackPlanner.plan(at, &spec(at)).unwrap();
    assert!(image(&edited).0.contains("LABEL edited=yes") && image(&edited).1);
    assert_eq!(edited.app_port, 4100);
    assert!(edited.makes.iter().any(|line| line.contains("was edited")));
    let aside = DeploySpec {
        own_dockerfile: false,
        ..spec(at)
    };
    assert_eq!(StackPlanner.plan(at, &aside).unwrap().build, fresh.build);
    // It goes before the repository's own.
    fs::write(at.join("Dockerfile"), "FROM scratch\n").unwrap();
    let both = StackPlanner.plan(at, &spec(at)).unwrap();
    assert_eq!(both.build, edited.build);
}

#[test]
fn an_edit_is_held_to_the_policy() {
    let folder = source();
    let at = folder.path();
    edit(
        at,
        FOLDER_DOCKERFILE,
        "EXPOSE",
        "RUN --network=host true\nEXPOSE",
    );
    let text = fs::read_to_string(at.join(FOLDER_DOCKERFILE)).unwrap();
    let line = 1 + text
        .lines()
        .position(|line| line.contains("--network"))
        .unwrap();
    let refused = StackPlanner.plan(at, &spec(at)).unwrap_err();
    let said = format!("{FOLDER_DOCKERFILE}:{line}: ");
    assert!(refused.to_string().contains(&said), "{refused}");
    fs::write(at.join(FOLDER_DOCKERFILE), "FROM a\nNONSENSE b\n").unwrap();
    let broken = StackPlanner.plan(at, &spec(at)).unwrap_err().to_string();
    assert!(broken.contains("does not parse: line 2"), "{broken}");
}

#[test]
fn an_edited_compose_file_is_carried_out_from_its_folder() {
    let folder = source();
    let at = folder.path();
    edit(
        at,
        FOLDER_COMPOSE,
        "restart: unless-stopped",
        "restart: always",
    );
    let plan = StackPlanner.plan(at, &spec(at)).unwrap();
    let text = fs::read_to_string(at.join(FOLDER_DOCKERFILE)).unwrap();
    assert_eq!(image(&plan), (text.as_str(), true));
    assert!(
        plan.makes.iter().any(|line| line.contains(FOLDER_COMPOSE)),
        "{:?}",
        plan.makes
    );
    edit(
        at,
        FOLDER_COMPOSE,
        "restart: always",
        "restart: always\n    privileged: true",
    );
    let refused = StackPlanner.plan(at, &spec(at)).unwrap_err().to_string();
    assert!(
        refused.contains(&format!("{FOLDER_COMPOSE}:")) && refused.contains("privileged"),
        "{refused}"
    );
    let aside = DeploySpec {
        own_compose: false,
        ..spec(at)
    };
    assert!(StackPlanner.plan(at, &aside).is_ok());
}

#[test]
fn a_link_in_the_place_of_the_folder_is_refused() {
    let folder = source();
    let at = folder.path();
    fs::rename(at.join(FOLDER), at.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", at.join(FOLDER)).unwrap();
    let refused = StackPlanner.plan(at, &spec(at)).unwrap_err().to_string();
    assert!(refused.contains("is a link"), "{refused}");
}

#[test]
fn a_member_is_built_in_its_workspace_wherever_that_lies() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for top in ["", ".hidden/"] {
        fs::create_dir_all(at.join(top).join("apps/web")).unwrap();
        fs::write(
            at.join(top).join("package.json"),
            r#"{"workspaces": ["apps/*"]}"#,
        )
        .unwrap();
        let manifest = r#"{"name": "web", "scripts": {"start": "node a.js"}}"#;
        fs::write(at.join(top).join("apps/web/package.json"), manifest).unwrap();
        fs::write(at.join(top).join("apps/web/a.js"), "").unwrap();
        let member = DeploySpec {
            root: Some(format!("{top}apps/web")),
            ..spec(at)
        };
        let plan = StackPlanner.plan(at, &member).unwrap();
        let BuildPlan::Image { options, .. } = &plan.build else {
            panic!("{:?}", plan.build);
        };
        assert_eq!(options.context, top.trim_end_matches('/'));
        let local = DeploySpec {
            provider: ProviderId::new("local").unwrap(),
            ..member
        };
        let warnings = StackPlanner.plan(at, &local).unwrap().warnings;
        assert!(
            warnings
                .iter()
                .any(|line| line.contains("member of a workspace")),
            "{warnings:?}"
        );
    }
}

#[test]
fn the_callers_commands_go_before_what_was_found_and_before_an_own_dockerfile() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let package = r#"{"scripts": {"start": "NODE_ENV=x node a.js", "migrate": "knex migrate:latest"}, "dependencies": {"knex": "3", "pg": "8"}}"#;
    fs::write(at.join("package.json"), package).unwrap();
    let last = |spec: &DeploySpec| {
        let plan = StackPlanner.plan(at, spec).unwrap();
        let (dockerfile, _) = image(&plan);
        dockerfile.lines().last().unwrap().to_owned()
    };
    let found = spec(at);
    assert!(last(&found).contains("knex migrate:latest && exec env NODE_ENV=x node a.js"));
    let mut told = spec(at);
    told.start_command = Some("node b.js".to_owned());
    told.release_command = Some(String::new());
    assert_eq!(last(&told), r#"CMD ["node", "b.js"]"#);
    fs::write(at.join("Dockerfile"), "FROM a\nENTRYPOINT [\"./a\"]\n").unwrap();
    assert_eq!(last(&found), r#"ENTRYPOINT ["./a"]"#);
    assert_eq!(last(&told), r#"CMD ["node", "b.js"]"#);
}

#[test]
fn a_command_that_a_file_of_the_source_rules_out_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("Dockerfile"), "FROM a\n").unwrap();
    let refused = |spec: &DeploySpec| StackPlanner.plan(at, spec).unwrap_err().to_string();
    let mut built = spec(at);
    built.build_command = Some("make".to_owned());
    assert!(refused(&built).contains("build_command"));
    let mut released = spec(at);
    released.release_command = Some("./migrate".to_owned());
    assert!(refused(&released).contains("release_command"));
    let compose = "services:\n  web:\n    build: .\n    ports: ['80']\n";
    fs::write(at.join("compose.yaml"), compose).unwrap();
    let mut started = spec(at);
    started.start_command = Some("./a".to_owned());
    assert!(refused(&started).contains("start_command"));
}

#[test]
fn on_this_machine_it_runs_before_the_start_where_no_shell_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("requirements.txt"), "flask\ngunicorn\n").unwrap();
    fs::write(
        at.join("app.py"),
        "from flask import Flask\napp = Flask(__name__)\n",
    )
    .unwrap();
    let mut spec = spec(at);
    spec.provider = ProviderId::new("local").unwrap();
    spec.release_command = Some("flask db upgrade".to_owned());
    let plan = StackPlanner.plan(at, &spec).unwrap();
    let BuildPlan::Process { release, .. } = &plan.build else {
        panic!("{:?}", plan.build);
    };
    assert_eq!(release.as_deref().unwrap(), ["flask", "db", "upgrade"]);
    spec.release_command = Some("a && b".to_owned());
    let plan = StackPlanner.plan(at, &spec).unwrap();
    assert!(matches!(
        &plan.build,
        BuildPlan::Process { release: None, .. }
    ));
    assert!(plan.warnings.iter().any(|said| said.contains("\"a && b\"")));
}

#[test]
fn the_apps_own_name_of_its_port_follows_the_port_and_says_nothing_where_that_changes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(
        at.join("server.js"),
        "require('http').createServer().listen(process.env.PORT || 5000)",
    )
    .unwrap();
    fs::write(at.join(".env.example"), "SERVER_PORT=5000\n").unwrap();
    let told = |spec: &DeploySpec| {
        let plan = StackPlanner.plan(at, spec).unwrap();
        plan.run_env.get("SERVER_PORT").cloned()
    };
    let mut spec = spec(at);
    assert_eq!(told(&spec).as_deref(), Some("5000"));
    spec.app_port = Some(6000);
    assert_eq!(told(&spec).as_deref(), Some("6000"));
    spec.provider = ProviderId::new("local").unwrap();
    assert_eq!(told(&spec), None);
}

#[test]
fn the_path_of_the_health_check_is_the_callers_or_the_authors() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let package = r#"{"scripts": {"start": "node a.js"}}"#;
    fs::write(at.join("package.json"), package).unwrap();
    let railway = r#"{"deploy": {"healthcheckPath": "/well"}}"#;
    fs::write(at.join("railway.json"), railway).unwrap();
    let asked = |path: HealthPath| {
        let mut spec = spec(at);
        spec.health.path = path;
        let plan = StackPlanner.plan(at, &spec).unwrap();
        let (dockerfile, _) = image(&plan);
        let check = dockerfile
            .lines()
            .find(|line| line.starts_with("HEALTHCHECK"));
        (
            plan.health(&spec.health).path,
            check.unwrap_or_default().to_owned(),
        )
    };
    let (path, check) = asked(HealthPath::Detected);
    assert_eq!(path, HealthPath::Path("/well".to_owned()));
    assert!(check.contains("path:'/well'"), "{check}");
    let (path, check) = asked(HealthPath::Path("/".to_owned()));
    assert_eq!(path, HealthPath::Path("/".to_owned()));
    assert!(check.contains("path:'/'"), "{check}");
    let (path, check) = asked(HealthPath::Connection);
    assert_eq!((path, check.as_str()), (HealthPath::Connection, ""));
}

#[test]
fn the_service_that_gets_the_address_is_asked_what_its_own_health_check_fetches() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("Dockerfile"), "FROM a\nEXPOSE 8080\n").unwrap();
    let compose = "services:\n  web:\n    build: .\n    ports: ['8080']\n    healthcheck:\n      test: curl -f http://localhost:8080/ready\n";
    fs::write(at.join("compose.yaml"), compose).unwrap();
    let plan = StackPlanner.plan(at, &spec(at)).unwrap();
    assert_eq!(plan.health_path.as_deref(), Some("/ready"));
}

#[test]
fn folders_for_data_are_mounted_where_they_are_found_declared_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let package =
        r#"{"scripts": {"start": "node a.js"}, "dependencies": {"better-sqlite3": "12"}}"#;
    fs::write(at.join("package.json"), package).unwrap();
    let planned = |spec: &DeploySpec| StackPlanner.plan(at, spec);
    let kept = |spec: &DeploySpec| {
        let volumes = planned(spec).unwrap().container.volumes;
        volumes
            .into_iter()
            .map(|volume| volume.path)
            .collect::<Vec<_>>()
    };
    let warned = |spec: &DeploySpec| {
        let warnings = planned(spec).unwrap().warnings;
        warnings.iter().any(|said| said.contains("--data"))
    };
    fs::write(at.join("a.js"), "new Database('./app.db')").unwrap();
    assert!(kept(&spec(at)).is_empty() && warned(&spec(at)));
    let mut named = spec(at);
    named.data_folders = vec![DataFolder::new("files").unwrap()];
    assert_eq!(kept(&named), ["/app/files"]);
    assert!(!warned(&named));
    fs::write(at.join("a.js"), "new Database('./data/app.db')").unwrap();
    assert_eq!(kept(&spec(at)), ["/app/data"]);
    let plan = planned(&spec(at)).unwrap();
    let (dockerfile, _) = image(&plan);
    assert!(dockerfile.contains("RUN mkdir -p /app/data && chown node /app/data\nUSER node\n"));
    assert!(
        plan.compose.contains("      - app-data:/app/data\n"),
        "{}",
        plan.compose
    );
    named.data_folders = vec![DataFolder::new("/app").unwrap()];
    let refused = planned(&named).unwrap_err().to_string();
    assert!(refused.contains("/app holds the program"), "{refused}");
    named.data_folders = vec![DataFolder::new("files").unwrap()];
    fs::write(
        at.join("Dockerfile"),
        "FROM a\nVOLUME [\"/files\", \"/proc\"]\n",
    )
    .unwrap();
    assert_eq!(kept(&spec(at)), ["/files"]);
    let refused = planned(&named).unwrap_err().to_string();
    assert!(refused.contains("data_folders"), "{refused}");
    named.provider = ProviderId::new("local").unwrap();
    let refused = planned(&named).unwrap_err().to_string();
    assert!(refused.contains("data_folders"), "{refused}");
}
