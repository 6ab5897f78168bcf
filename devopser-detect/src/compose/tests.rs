//! Compose files that reach for the host, and those that do not.

use devopser_core::id::EnvName;
use devopser_core::model::container::RestartRule;
use devopser_core::model::plan::BuildPlan;
use devopser_core::model::service::{EnvPart, EnvValue, SecretRef};

use super::*;
use crate::tree::MemoryTree;

fn findings(file: &str) -> Vec<String> {
    let tree = MemoryTree::new([
        ("compose.yaml", file),
        ("Dockerfile", "FROM a\nRUN x\n"),
        ("bad/Dockerfile", "FROM a\nRUN --network=host x\n"),
        (
            "base.yml",
            "services:\n  bad:\n    image: x\n    privileged: true\n  good:\n    image: x\n",
        ),
    ]);
    compose_policy(&tree, "compose.yaml", &Variables::new())
        .into_iter()
        .map(|found| format!("{}:{} {}", found.path, found.line, found.rule))
        .collect()
}

/// Keys of one service, and the rule that refuses them.
const REACHING: &[(&str, &str)] = &[
    ("privileged: true", "privileged"),
    ("privileged: \"yes\"", "privileged"),
    ("privileged: ${NOT_SET}", "privileged"),
    ("network_mode: host", "host-network"),
    ("network_mode: \"${MODE:-host}\"", "host-network"),
    ("network_mode: container:other", "host-network"),
    ("pid: host", "host-namespace"),
    ("ipc: host", "host-namespace"),
    ("userns_mode: host", "host-namespace"),
    ("uts: host", "host-namespace"),
    ("cgroup: host", "host-namespace"),
    ("cgroup_parent: /x", "host-namespace"),
    ("cap_add: [ALL]", "capability"),
    ("cap_add: [NET_ADMIN]", "capability"),
    ("devices: [/dev/sda:/dev/sda]", "device"),
    ("gpus: all", "device"),
    ("security_opt: [\"seccomp:unconfined\"]", "security-option"),
    ("security_opt: [\"apparmor=unconfined\"]", "security-option"),
    (
        "security_opt: [\"no-new-privileges:false\"]",
        "security-option",
    ),
    (
        "volumes: [\"/var/run/docker.sock:/var/run/docker.sock\"]",
        "docker-socket",
    ),
    ("volumes: [\"/:/host\"]", "host-mount"),
    ("volumes: [\"${HOME}/x:/x\"]", "host-mount"),
    (
        "volumes: [{type: bind, source: ../.., target: /x}]",
        "host-mount",
    ),
    ("volumes_from: [\"container:x\"]", "host-mount"),
    ("use_api_socket: true", "docker-socket"),
    ("provider: {type: x}", "host-program"),
    ("runtime: x", "runtime"),
    ("sysctls: {net.core.somaxconn: 1}", "kernel"),
    ("extra_hosts: [\"h:host-gateway\"]", "host-network"),
    ("env_file: /etc/environment", "outside-source"),
    ("env_file: [{path: ../x}]", "outside-source"),
    ("post_start: [{command: x, privileged: true}]", "privileged"),
    (
        "deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}",
        "device",
    ),
    ("build: https://github.com/a/b.git", "outside-source"),
    ("build: git@github.com:a/b.git", "outside-source"),
    ("build: ..", "outside-source"),
    ("build: {context: ., dockerfile: ../x}", "outside-source"),
    ("build: {context: ., network: host}", "build-network"),
    ("build: {context: ., ssh: [default]}", "build-ssh"),
    ("build: {context: ., privileged: true}", "privileged"),
    (
        "build: {context: ., entitlements: [security.insecure]}",
        "build-security",
    ),
    (
        "build: {context: ., additional_contexts: {x: /etc}}",
        "outside-source",
    ),
    (
        "build: {context: ., args: {BUILDKIT_SYNTAX: evil/x}}",
        "frontend",
    ),
    (
        "build: {context: ., args: [\"BUILDKIT_SYNTAX=evil/x\"]}",
        "frontend",
    ),
];

#[test]
fn a_service_that_reaches_for_the_host_is_refused_with_its_line() {
    for (keys, rule) in REACHING {
        let file = format!("services:\n  a:\n    {keys}\n");
        assert_eq!(
            findings(&file),
            [format!("compose.yaml:3 {rule}")],
            "{keys}"
        );
    }
}

/// Whole files, and the one place where each is refused.
const SMUGGLING: &[(&str, &str)] = &[
    (
        "x-a: &a\n  privileged: true\nservices:\n  a:\n    <<: *a\n",
        "compose.yaml:2 privileged",
    ),
    (
        "x-a: &a {pid: host}\nservices:\n  a:\n    <<: [*a]\n",
        "compose.yaml:1 host-namespace",
    ),
    (
        "x-v: &v\n  - /:/x\nservices:\n  a:\n    volumes: *v\n",
        "compose.yaml:2 host-mount",
    ),
    (
        "services:\n  a:\n    extends: b\n  b:\n    privileged: true\n",
        "compose.yaml:5 privileged",
    ),
    (
        "services:\n  a:\n    extends: {file: base.yml, service: bad}\n",
        "base.yml:4 privileged",
    ),
    (
        "services:\n  a:\n    extends: {file: /etc/x.yml, service: bad}\n",
        "compose.yaml:3 outside-source",
    ),
    (
        "services:\n  a:\n    extends: {file: ../x.yml, service: bad}\n",
        "compose.yaml:3 outside-source",
    ),
    (
        "services:\n  a:\n    extends: {service: a}\n",
        "compose.yaml:3 extends",
    ),
    (
        "include: [base.yml]\nservices: {a: {image: x}}\n",
        "compose.yaml:1 include",
    ),
    (
        "services: {a: {image: x}}\n---\nservices: {a: {privileged: true}}\n",
        "compose.yaml:2 unreadable",
    ),
    (
        "services:\n  a:\n    privileged: false\n    privileged: true\n",
        "compose.yaml:4 unreadable",
    ),
    (
        "services:\n  a:\n    privileged: !override true\n",
        "compose.yaml:3 unreadable",
    ),
    (
        "services:\n  a:\n    build: bad\n",
        "bad/Dockerfile:2 dockerfile",
    ),
    (
        "services:\n  a:\n    build: {dockerfile_inline: \"FROM a\\nRUN --security=insecure x\"}\n",
        "compose.yaml:5 dockerfile",
    ),
    (
        "services: {a: {image: x}}\nvolumes:\n  v:\n    driver_opts: {type: none, o: bind, device: /}\n",
        "compose.yaml:3 host-mount",
    ),
    (
        "services: {a: {image: x}}\nvolumes:\n  v: {external: true}\n",
        "compose.yaml:3 foreign",
    ),
    (
        "services: {a: {image: x}}\nnetworks:\n  n: {external: true}\n",
        "compose.yaml:3 foreign",
    ),
    (
        "services: {a: {image: x}}\nnetworks:\n  n: {driver: host}\n",
        "compose.yaml:3 host-network",
    ),
    (
        "services: {a: {image: x}}\nsecrets:\n  s: {file: /etc/shadow}\n",
        "compose.yaml:3 outside-source",
    ),
    (
        "services: {a: {image: \"${X:?say which}\"}}\n",
        "compose.yaml:1 variable",
    ),
    ("services: []\n", "compose.yaml:1 unreadable"),
    ("services: {a: x}\n", "compose.yaml:1 unreadable"),
];

#[test]
fn nothing_is_smuggled_in_from_elsewhere() {
    for (file, expected) in SMUGGLING {
        // Once for each service that has it.
        let mut found = findings(file);
        found.dedup();
        assert_eq!(found, [*expected], "{file}");
    }
}

#[test]
fn a_usual_file_passes() {
    let file = "
services:
  web:
    build: {context: ., target: run, args: {A: b}}
    privileged: false
    security_opt: [no-new-privileges:true]
    ports: ['80:80']
    volumes: ['./conf:/etc/conf:ro', 'data:/data', /app/node_modules]
    extends: {file: base.yml, service: good}
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: \"${PW:-x}\"}
  tool:
    image: x
    profiles: [dev]
    volumes: ['/var/run/docker.sock:/var/run/docker.sock']
volumes:
  data:
networks:
  default: {driver: bridge}
";
    assert_eq!(findings(file), Vec::<String>::new());
}

/// A file with the usual parts, as an app.
const SHOP: &str = "
services:
  web:
    build: {context: ., target: run, args: {A: '${A:-1}'}}
    image: shop/web
    ports: ['8080:3000', '9229:9229']
    environment:
      - DATABASE_URL=postgres://app:${PW}@db/app
      - PLAIN=x
      - PW
    env_file: [{path: none.env, required: false}, vars.env]
    depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}
    volumes: ['./conf/site.conf:/etc/site.conf:ro', './data:/data', /app/cache]
    stop_grace_period: 1m30s
    deploy: {resources: {limits: {memory: 64m, cpus: '0.5'}}}
  migrate:
    build: .
    command: ./migrate --all 'a b'
    depends_on: [db]
  worker:
    build: .
    entrypoint: [./worker]
    depends_on: [web]
    restart: on-failure
  db:
    image: postgres:17
    ports: ['5432:5432']
    environment: {POSTGRES_PASSWORD: '${PW}', POSTGRES_DB: app}
    volumes: ['pg:/var/lib/postgresql/data', './conf:/conf:ro']
    healthcheck: {test: pg_isready, interval: 2s, retries: 9}
    secrets: [key]
    shm_size: 128m
volumes: {pg: {}}
secrets: {key: {environment: PW}}
";

fn tree(file: &str) -> MemoryTree {
    MemoryTree::new([
        ("compose.yaml", file),
        (
            "Dockerfile",
            "# syntax=docker/dockerfile:1\nFROM a AS run\nEXPOSE 4000\n",
        ),
        (".dockerignore", "x\n"),
        (".env", "A=2\n"),
        ("vars.env", "PLAIN=y\nV=w\n"),
        ("conf/site.conf", "c"),
        ("data/.gitkeep", ""),
        ("api/Dockerfile", "FROM a\n"),
    ])
}

fn app(file: &str) -> Result<ComposeApp, Vec<String>> {
    let variables = Variables::from([("PW".to_owned(), Variable::Secret("s/PW".to_owned()))]);
    compose_app(&tree(file), "compose.yaml", &variables, None).map_err(|findings| {
        let line = |found: Finding| {
            format!(
                "{}:{} {} {}",
                found.path, found.line, found.rule, found.reason
            )
        };
        findings.into_iter().map(line).collect()
    })
}

#[test]
fn a_file_is_read_as_an_app_with_its_companions() {
    let app = app(SHOP).unwrap();
    assert_eq!((app.service.as_str(), app.port), ("web", Some(3000)));
    assert_eq!(app.evidence.line, Some(6));
    let names: Vec<(&str, bool)> = app
        .companions
        .iter()
        .map(|companion| (companion.name.as_str(), companion.after_app))
        .collect();
    assert_eq!(names, [("db", false), ("migrate", false), ("worker", true)]);
    let BuildPlan::Image {
        dockerfile,
        dockerignore,
        options,
        ..
    } = &app.build
    else {
        panic!("{:?}", app.build)
    };
    assert!(!dockerfile.contains("syntax=") && dockerfile.contains("FROM a AS run"));
    assert_eq!(dockerignore, "x\n");
    assert_eq!(options.target.as_deref(), Some("run"));
    assert_eq!(options.args["A"], "2");
    assert_eq!(
        options.adds,
        "COPY [\"conf/site.conf\",\"/etc/site.conf\"]\n"
    );
    assert_eq!(app.limits.unwrap().memory_bytes, Some(64 << 20));
    assert_eq!(app.limits.unwrap().cpu_millis, Some(500));
    let volumes: Vec<(Option<&str>, &str)> = app
        .container
        .volumes
        .iter()
        .map(|volume| (volume.name.as_deref(), volume.path.as_str()))
        .collect();
    assert_eq!(
        volumes,
        [(Some("path.data"), "/data"), (None, "/app/cache")]
    );
    assert_eq!(
        app.container.stop_grace,
        Some(std::time::Duration::from_secs(90))
    );
}

#[test]
fn the_environment_keeps_secrets_as_references() {
    let app = app(SHOP).unwrap();
    let get = |name: &str| app.container.env.get(&EnvName::new(name).unwrap()).cloned();
    let secret = || SecretRef("s/PW".to_owned());
    assert_eq!(
        get("DATABASE_URL"),
        Some(EnvValue::Template(vec![
            EnvPart::Plain("postgres://app:".to_owned()),
            EnvPart::Secret(secret()),
            EnvPart::Plain("@db/app".to_owned()),
        ]))
    );
    assert_eq!(get("PW"), Some(EnvValue::Secret(secret())));
    assert_eq!(get("PLAIN"), Some(EnvValue::Plain("x".to_owned())));
    assert_eq!(get("V"), Some(EnvValue::Plain("w".to_owned())));
    let db = &app.companions[0];
    assert_eq!(db.container.files[0].path, "/run/secrets/key");
    assert_eq!(db.container.files[0].content, EnvValue::Secret(secret()));
    assert_eq!(
        db.container.health.as_ref().unwrap().test,
        ["CMD-SHELL", "pg_isready"]
    );
    let BuildPlan::Image {
        dockerfile,
        dockerignore,
        ..
    } = &db.build
    else {
        panic!("{:?}", db.build)
    };
    assert_eq!(
        dockerfile,
        "FROM postgres:17\nCOPY [\"conf/\",\"/conf/\"]\n"
    );
    assert_eq!(dockerignore, ".git\n");
}

#[test]
fn when_they_are_started_again_follows_from_the_file() {
    let app = app(SHOP).unwrap();
    let restarts: Vec<RestartRule> = app
        .companions
        .iter()
        .map(|companion| companion.restart)
        .collect();
    assert_eq!(
        restarts,
        [
            RestartRule::UnlessStopped,
            RestartRule::Never,
            RestartRule::OnFailure
        ]
    );
    assert_eq!(
        app.companions[1].container.command.as_deref().unwrap(),
        ["./migrate", "--all", "a b"]
    );
    assert!(app.companions[2].container.wait_for.is_empty());
    assert_eq!(app.container.wait_for.len(), 2);
}

/// Keys of one service that are not carried out, and what names them.
const UNSUPPORTED: &[(&str, &str)] = &[
    (
        "image: x\n    ulimits: {nofile: 5}",
        "compose.yaml:4 unsupported the service \"a\": ulimits: ",
    ),
    ("image: x\n    dns: 1.1.1.1", "dns: this key"),
    ("image: x\n    nonsense: 1", "nonsense: this key"),
    ("image: x\n    network_mode: none", "own network"),
    ("image: x\n    networks: [other]", "no network \"other\""),
    (
        "image: x\n    networks: {default: {ipv4_address: 1.2.3.4}}",
        "ipv4_address",
    ),
    ("image: x\n    volumes: ['v:/x']", "\"v\" is not declared"),
    ("image: x\n    depends_on: [b]", "depends_on names \"b\""),
    ("image: x\n    env_file: gone.env", "gone.env"),
    ("image: x\n    command: run ${PW}", "it could be seen"),
    ("image: x\n    scale: 3", "only 1"),
    ("image: 'x\n\n      RUN y'", "no name of an image"),
    ("environment: {A: b}", "neither an image nor a build"),
    ("build: {context: ., args: {T: '${PW}'}}", "leave a secret"),
    (
        "build: {context: api, dockerfile: Gone}",
        "api/Gone is not in the source",
    ),
    (
        "image: x\n    healthcheck: {test: [curl, x]}",
        "begins with CMD",
    ),
    ("image: x\n    secrets: [s]", "not declared under secrets"),
];

#[test]
fn what_is_not_carried_out_is_refused_by_name() {
    for (keys, said) in UNSUPPORTED {
        let file = format!("services:\n  a:\n    {keys}\n    ports: [80]\n");
        let found = app(&file).unwrap_err();
        assert!(found[0].contains(said), "{keys}: {found:?}");
    }
    for (more, said) in [
        ("models: {a: {}}", "compose.yaml:3 unsupported models"),
        ("volumes: {v: {driver: nfs}}", "volumes.v.driver"),
        ("networks: {n: {internal: true}}", "networks.n.internal"),
    ] {
        let found = app(&format!(
            "services:\n  a: {{image: x, ports: [80]}}\n{more}\n"
        ))
        .unwrap_err();
        assert!(found[0].contains(said), "{more}: {found:?}");
    }
}

#[test]
fn the_address_goes_where_people_visit() {
    for (services, expected) in [
        (
            "a: {image: x, ports: [80]}, db: {image: postgres, ports: [5432]}",
            "a",
        ),
        (
            "a: {image: x, ports: ['3000']}, t: {image: adminer, ports: ['8080']}",
            "a",
        ),
        (
            "a: {build: api, ports: ['5000']}, n: {image: nginx, ports: ['80:80']}",
            "n",
        ),
        (
            "api: {build: api, ports: ['5000']}, z: {build: ., ports: ['3000']}",
            "z",
        ),
        (
            "api: {build: api, ports: ['5000']}, web: {build: api, ports: ['3000']}",
            "web",
        ),
        ("a: {build: .}, db: {image: postgres}", "a"),
        ("a: {image: x, expose: [80]}, b: {image: y}", "a"),
    ] {
        let app = app(&format!("services: {{{services}}}\n")).unwrap();
        assert_eq!(app.service, expected, "{services}");
    }
    let two = "services: {one: {build: api, ports: [81]}, two: {build: api, ports: [82]}}\n";
    let found = app(two).unwrap_err();
    assert!(
        found[0].contains("(one, two); name one with --service"),
        "{found:?}"
    );
    let chosen = compose_app(&tree(two), "compose.yaml", &Variables::new(), Some("two")).unwrap();
    assert_eq!((chosen.service.as_str(), chosen.port), ("two", Some(82)));
    assert!(app("services: {a: {image: x}}").unwrap_err()[0].contains("no service publishes"));
    let circle =
        "services: {a: {image: x, ports: [80], depends_on: [b]}, b: {image: x, depends_on: [a]}}\n";
    assert!(app(circle).unwrap_err()[0].contains("circle"));
}

#[test]
fn a_file_that_only_names_databases_is_not_the_app() {
    let builds = |file: &str| compose_builds(&tree(file), "compose.yaml", &Variables::new());
    assert!(!builds("services: {db: {image: postgres}}"));
    assert!(!builds(
        "services: {db: {image: postgres}, a: {build: ., profiles: [x]}}"
    ));
    assert!(builds("services: {db: {image: postgres}, a: {build: .}}"));
}

#[test]
fn detection_shows_what_is_refused() {
    let file = "services:\n  a:\n    image: '${X:?set it}'\n    privileged: true\n";
    let tree = MemoryTree::new([
        ("compose.yaml", file),
        ("Dockerfile", "FROM a\nRUN --network=host x\n"),
    ]);
    let report = crate::detect(&tree);
    let found: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("compose.yaml:4: privileged"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("Dockerfile:2: RUN --network=host"),
        "{found:?}"
    );
    assert!(crate::explain(&report).contains("refused: compose.yaml:4"));
}
