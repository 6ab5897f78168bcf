//! The `volumes` of a service, in their short and their long form.

use super::load::inside;
use crate::yaml::Node;

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A volume; `None` is one without a name, which goes with its container.
    Volume(Option<String>),
    /// A path of the source, relative to its root.
    Source(String),
    /// Memory.
    Tmpfs,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) kind: Kind,
    pub(crate) target: String,
    pub(crate) read_only: bool,
}

/// Why a mount is not carried out: the rule and the reason.
pub(crate) type Refusal = (&'static str, String);

const SOCKETS: &[&str] = &["docker.sock", "containerd.sock", "podman.sock", "crio.sock"];
/// Modes that change nothing here.
const MODES: &[&str] = &[
    "rw",
    "z",
    "Z",
    "cached",
    "delegated",
    "consistent",
    "nocopy",
];

/// Reads one entry of a file in the folder `base`.
pub(crate) fn read(node: &Node, base: &str) -> Result<Mount, Refusal> {
    match node.text() {
        Some(text) => short(text, base),
        None => long(node, base),
    }
}

fn short(text: &str, base: &str) -> Result<Mount, Refusal> {
    // A drive of Windows: what follows it, unlike the mode of a volume, is another path.
    let is_drive = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && (text.get(1..3) == Some(":\\")
            || text.get(1..3) == Some(":/") && text[2..].contains(":/"));
    if is_drive {
        return Err(host(text));
    }
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, modes) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, modes] => (Some(source), target, modes),
        _ => return Err(("unreadable", format!("{text:?} is no mount"))),
    };
    let mut read_only = false;
    for mode in modes.split(',').filter(|mode| !mode.is_empty()) {
        match mode {
            "ro" => read_only = true,
            mode if MODES.contains(&mode) => {}
            mode if mode.ends_with("shared")
                || mode.ends_with("slave")
                || mode.ends_with("private") =>
            {
                return Err((
                    "host-mount",
                    format!("the propagation {mode:?} of a mount reaches the host"),
                ));
            }
            mode => return Err(("unsupported", format!("the mode {mode:?} of a mount"))),
        }
    }
    let kind = match source {
        None => Kind::Volume(None),
        Some(source) if is_path(source) => bind(source, base)?,
        Some(name) => named(name)?,
    };
    mount(kind, target, read_only)
}

fn long(node: &Node, base: &str) -> Result<Mount, Refusal> {
    let text = |key: &str| node.get(key).and_then(Node::text);
    let target = text("target").unwrap_or_default();
    let source = text("source").or_else(|| text("src"));
    let read_only = text("read_only").is_some_and(|value| value == "true");
    for (key, ..) in node.map() {
        match key.as_str() {
            "type" | "target" | "source" | "src" | "read_only" | "consistency" => {}
            "bind" | "volume" | "tmpfs" => options(key, node)?,
            _ => return Err(("unsupported", format!("the key {key:?} of a mount"))),
        }
    }
    let kind = match (text("type").unwrap_or_default(), source) {
        ("volume", None) => Kind::Volume(None),
        ("volume", Some(name)) => named(name)?,
        ("bind", Some(source)) => bind(source, base)?,
        ("tmpfs", None) => Kind::Tmpfs,
        (kind, _) => return Err(("unsupported", format!("a mount of the type {kind:?}"))),
    };
    mount(kind, target, read_only)
}

fn options(kind: &str, node: &Node) -> Result<(), Refusal> {
    for (key, _, value) in node.get(kind).map(Node::map).unwrap_or_default() {
        match key.as_str() {
            "create_host_path" | "selinux" | "nocopy" => {}
            "propagation" if value.text() != Some("rprivate") => {
                return Err((
                    "host-mount",
                    "the propagation of a mount reaches the host".to_owned(),
                ));
            }
            "propagation" => {}
            key => return Err(("unsupported", format!("{kind}.{key} of a mount"))),
        }
    }
    Ok(())
}

fn mount(kind: Kind, target: &str, read_only: bool) -> Result<Mount, Refusal> {
    let target = target.trim_end_matches('/');
    if SOCKETS.iter().any(|socket| target.ends_with(socket)) {
        return Err(socket(target));
    }
    if !target.starts_with('/')
        || target.split('/').any(|part| part == "..")
        || target.contains('\0')
    {
        return Err((
            "unreadable",
            format!("the target {target:?} of a mount must be an absolute path"),
        ));
    }
    Ok(Mount {
        kind,
        target: target.to_owned(),
        read_only,
    })
}

fn is_path(source: &str) -> bool {
    source.is_empty() || source.starts_with(['.', '/', '~', '\\']) || source.contains(['/', '\\'])
}

fn bind(source: &str, base: &str) -> Result<Kind, Refusal> {
    if SOCKETS
        .iter()
        .any(|socket| source.trim_end_matches('/').ends_with(socket))
    {
        return Err(socket(source));
    }
    inside(base, source)
        .filter(|_| !source.is_empty())
        .map(Kind::Source)
        .ok_or_else(|| host(source))
}

fn named(name: &str) -> Result<Kind, Refusal> {
    if is_path(name) {
        return Err(host(name));
    }
    if is_name(name) {
        Ok(Kind::Volume(Some(name.to_owned())))
    } else {
        Err(("unreadable", format!("{name:?} is no name of a volume")))
    }
}

/// Whether it may name a volume, a service or a network.
pub(crate) fn is_name(name: &str) -> bool {
    let is_first = |char: char| char.is_ascii_alphanumeric();
    name.len() <= 63
        && name.starts_with(is_first)
        && name
            .chars()
            .all(|char| is_first(char) || ['_', '.', '-'].contains(&char))
}

fn host(source: &str) -> Refusal {
    let source: String = source.chars().take(80).collect();
    (
        "host-mount",
        format!(
            "the mount of {source:?} leads outside of the source, to the host; use a named volume"
        ),
    )
}

fn socket(path: &str) -> Refusal {
    (
        "docker-socket",
        format!("{path:?} is the socket of the container engine: whoever has it has the host"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn one(text: &str) -> Result<Mount, Refusal> {
        read(&parse("f", text).unwrap(), "")
    }

    #[test]
    fn volumes_and_paths_of_the_source_are_read() {
        let kind = |text: &str| one(text).unwrap().kind;
        assert_eq!(kind("data:/var/lib/x"), Kind::Volume(Some("data".into())));
        assert_eq!(kind("v:/x:ro"), Kind::Volume(Some("v".into())));
        assert_eq!(kind("/app/node_modules"), Kind::Volume(None));
        assert_eq!(kind("./a/../b/:/x:ro"), Kind::Source("b".into()));
        assert_eq!(kind(".:/app"), Kind::Source(String::new()));
        assert_eq!(kind("{type: tmpfs, target: /t}"), Kind::Tmpfs);
        assert_eq!(
            one("{type: bind, source: ./c, target: /c/, read_only: true}").unwrap(),
            Mount {
                kind: Kind::Source("c".into()),
                target: "/c".into(),
                read_only: true
            }
        );
    }

    #[test]
    fn what_leads_to_the_host_is_refused() {
        for (text, rule) in [
            ("/etc:/x", "host-mount"),
            ("../x:/x", "host-mount"),
            ("./a/../../x:/x", "host-mount"),
            ("~/x:/x", "host-mount"),
            ("'C:\\x:/x'", "host-mount"),
            ("C:/x:/x", "host-mount"),
            ("'..\\x:/x'", "host-mount"),
            ("':/x'", "host-mount"),
            ("a/../../b:/x", "host-mount"),
            ("/:/host:ro", "host-mount"),
            ("./a:/x:rshared", "host-mount"),
            ("/var/run/docker.sock:/x", "docker-socket"),
            ("//var/run/docker.sock:/x", "docker-socket"),
            ("./docker.sock:/var/run/docker.sock", "docker-socket"),
            (
                "{type: bind, source: /var/run/docker.sock, target: /x}",
                "docker-socket",
            ),
            ("{type: bind, source: /, target: /x}", "host-mount"),
            ("{type: volume, source: /etc, target: /x}", "host-mount"),
            (
                "{type: bind, source: ./a, target: /x, bind: {propagation: shared}}",
                "host-mount",
            ),
            ("{type: npipe, source: a, target: /x}", "unsupported"),
            ("{type: image, source: a, target: /x}", "unsupported"),
            ("a:b:c:d", "unreadable"),
            ("a:relative", "unreadable"),
        ] {
            assert_eq!(one(text).unwrap_err().0, rule, "{text}");
        }
    }
}
