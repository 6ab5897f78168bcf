//! Compose files that reach for the host, and those that do not.

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
