//! The port that an app listens on when nobody sets `PORT`: what its own files say, else the usual one.

mod container;
mod node;
mod readme;
mod source;
pub(crate) mod told;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use devopser_core::model::report::{Detection, Evidence, Fact};

use crate::scan::go::GoMod;
use crate::scan::pattern::Patterns;
use crate::scan::{Scan, env, platform};
pub(crate) use container::SCRIPTS;
pub(crate) use node::of_node;
pub(crate) use source::{in_settings, in_sources, nearest};

/// What [`default`] is sure of.
const DEFAULT: u8 = 50;

/// The port that a framework or its server listens on by itself, as its documentation says.
pub(crate) fn default(port: u16, of: &str) -> Fact<u16> {
    Fact::new(
        port,
        DEFAULT,
        Evidence::file("", format!("the usual port of {of}")),
    )
}

/// A port where neither the repository nor a framework names one. It is not answered as a fact: what is generated
/// hands it to the app as `PORT`.
pub(crate) fn guess(port: u16, of: &str) -> Fact<u16> {
    Fact::new(
        port,
        crate::summary::GUESS,
        Evidence::file(
            "",
            format!("nothing names a port; {of} are given this one as PORT"),
        ),
    )
}

/// Ports of servers that an app talks to, not its own.
const OTHERS: &[u16] = &[
    5432, 3306, 6379, 27017, 9092, 5672, 1433, 11211, 9200, 587, 465, 1025, 2525, 443, 4317, 4318,
    8125, 2181, 6831, 9411, 6060, 9050, 9051,
];

/// Weighs the port of a detection against what surrounds the app.
///
/// The file of a platform and the script that the image starts with go before what the sources say. Manifests
/// and the README's commands go before a framework's default; the address that it shows only before a guess. A command of
/// the README that contradicts the sources leaves no answer.
pub(crate) fn settle(scan: &Scan<'_>, into: &mut Detection) {
    let is_static = into.is_static.as_ref().is_some_and(|fact| fact.value);
    // Its usual port is that of a server which the app's own files need not name.
    let framework = into.framework.as_ref().map(|fact| fact.value.as_str());
    let is_python = into.detector == "python" && framework != Some("django");
    let Some(port) = into
        .port
        .as_mut()
        .filter(|port| !is_static && port.confidence < 85)
    else {
        return;
    };
    if let Some(found) = platform::port(scan).or_else(|| container::in_scripts(scan)) {
        *port = found;
    } else if port.confidence <= DEFAULT {
        let found = container::in_manifests(scan)
            .or_else(|| readme::containers(scan))
            .or_else(|| readme::servers(scan))
            .or_else(|| bound_in_env_example(scan))
            .or_else(|| readme::scripts_of_developers(scan));
        if let Some(found) = found {
            *port = found;
        } else if let Some(shown) = readme::address(scan) {
            let is_guess = port.confidence <= crate::summary::GUESS;
            if is_guess || is_python && shown.value != port.value {
                *port = shown;
            }
        }
    } else if let Some(other) = readme::containers(scan)
        && other.value != port.value
    {
        port.confidence = crate::summary::GUESS;
        port.evidence
            .extend(other.evidence.into_iter().map(|evidence| Evidence {
                why: format!(
                    "{}: {} there, so neither is sure",
                    evidence.why, other.value
                ),
                ..evidence
            }));
    }
}

static IN_COMMAND: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    Patterns::new(&[
        r#"(?:--port[= ]|--server\.port[= ]|(?:^|\s)-p[= ]?|(?:--bind|-b|--http|--http-socket|--listen)[= ]["']?(?:\[[0-9a-f:]*\]|[\w.]*):|\bPORT=|0\.0\.0\.0:|127\.0\.0\.1:|localhost:|\$\{\w{0,30}PORT:-)(\d{2,5})\b"#,
    ])
});

/// The port that a command line names.
pub(crate) fn in_command(command: &str) -> Option<u16> {
    let found = IN_COMMAND.as_ref()?.all(command).next()?;
    sound(command.get(found.group(0)?)?)
}

fn sound(digits: &str) -> Option<u16> {
    digits
        .parse()
        .ok()
        .filter(|port| *port == 80 || *port == 443 || *port >= 1000)
}

/// The fact where there is one port and no other.
fn only(ports: &BTreeSet<u16>, confidence: u8, evidence: Option<Evidence>) -> Option<Fact<u16>> {
    let port = ports.first().filter(|_| ports.len() == 1)?;
    Some(Fact::new(*port, confidence, evidence?))
}

/// Names of the variables that say where an app listens: what platforms and apps call it, and what Rocket
/// (<https://rocket.rs/guide/v0.5/configuration/#environment-variables>) and Nitro
/// (<https://nitro.build/deploy/runtimes/node#environment-variables>) read.
const NAMES: &[&str] = &[
    "PORT",
    "APP_PORT",
    "SERVER_PORT",
    "HTTP_PORT",
    "ROCKET_PORT",
    "NITRO_PORT",
];

/// Whether the name is one of those, or one of them behind the app's own name.
fn is_own(scan: &Scan<'_>, name: &str) -> bool {
    let is_aside = || {
        let name = name.to_ascii_lowercase();
        source::ASIDE.iter().any(|word| name.contains(word))
    };
    if NAMES.contains(&name) || name.ends_with("_LISTEN_PORT") && !is_aside() {
        return true;
    }
    let start = name.strip_suffix("_PORT").map(|start| {
        let start = start.strip_suffix("_HTTP").unwrap_or(start);
        start.strip_suffix("_SERVER").unwrap_or(start)
    });
    let own = || Some(own_name(scan)?.replace('-', "_"));
    start.is_some_and(|start| own().is_some_and(|own| own.eq_ignore_ascii_case(start)))
}

/// What the app's manifest calls it.
fn own_name(scan: &Scan<'_>) -> Option<String> {
    let in_toml = |path: &str, pointers: [&str; 2]| {
        let manifest = scan.toml(path)?;
        let name = pointers
            .iter()
            .find_map(|pointer| manifest.pointer(pointer));
        name?.as_str().map(str::to_owned)
    };
    let package = || {
        scan.package()?
            .value
            .get("name")?
            .as_str()
            .map(str::to_owned)
    };
    let module = || Some(GoMod::read(scan, "go.mod")?.module);
    let name = package()
        .or_else(|| in_toml("pyproject.toml", ["/project/name", "/tool/poetry/name"]))
        .or_else(|| in_toml("Cargo.toml", ["/package/name", "/workspace/package/name"]))
        .or_else(module)?;
    Some(crate::scan::base_name(&name).to_owned())
}

/// `PORT=` in the examples of the environment.
pub(crate) fn in_env_example(scan: &Scan<'_>) -> Option<Fact<u16>> {
    let mut set = env::settings(scan).filter_map(|(name, value, evidence)| {
        let port = sound(&value).filter(|port| !OTHERS.contains(port))?;
        is_own(scan, &name).then(|| Fact::new(port, 80, evidence))
    });
    set.next()
}

/// The port of an address that is every one of the machine's, as in `BIND_ON=0.0.0.0:8000`, where there is only one.
fn bound_in_env_example(scan: &Scan<'_>) -> Option<Fact<u16>> {
    let http = env::settings(scan).filter(|(name, ..)| !name.contains("GRPC"));
    let mut bound = http.filter_map(|(_, value, evidence)| {
        let port = sound(value.strip_prefix("0.0.0.0:")?).filter(|port| !OTHERS.contains(port))?;
        Some(Fact::new(port, 70, evidence))
    });
    bound.next().filter(|_| bound.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    fn check(cases: &[(&str, u16)]) {
        for (text, port) in cases {
            let tree = MemoryTree::new([("a", *text)]);
            let found = in_sources(&Scan::new(&tree), &["a"]);
            assert_eq!(found.map(|fact| fact.value), Some(*port), "{text}");
        }
    }

    #[test]
    fn commands_say_the_port() {
        assert!(IN_COMMAND.is_some());
        for (command, port) in [
            ("next start -p 8080", 8080),
            ("gunicorn a --bind 0.0.0.0:9000", 9000),
            ("PORT=4000 node x", 4000),
            ("uvicorn a:b --port 80", 80),
            ("x ${PORT:-5000}", 5000),
        ] {
            assert_eq!(in_command(command), Some(port), "{command}");
        }
    }

    #[test]
    fn sources_say_the_port() {
        check(&[
            ("const port = process.env.PORT || 3001;", 3001),
            ("app.listen(8081)", 8081),
            ("http.ListenAndServe(\":9090\", nil)", 9090),
            ("app.run(host='0.0.0.0', port=5001)", 5001),
            ("port = int(os.environ.get('PORT', 5002))", 5002),
            ("HttpServer::new(x).bind((\"127.0.0.1\", 8088))", 8088),
            ("let PORT = process.env.PORT ?? '4444'", 4444),
            ("server.bind(\"0.0.0.0:7777\")", 7777),
            ("port ENV.fetch(\"PORT\") { 3003 }", 3003),
            ("Deno.serve({ port: 8000 }, x)", 8000),
            ("await app.listen(config.get('PORT') || 3170)", 3170),
            (
                "port(Integer.valueOf(System.getenv().getOrDefault(\"PORT\", \"8085\")))",
                8085,
            ),
            (
                "let p: u16 = env::var(\"PORT\")\n .unwrap_or(\"8086\".to_string())",
                8086,
            ),
            (
                "final port = int.parse(Platform.environment['PORT'] ?? '8087');",
                8087,
            ),
            ("Port int `env:\"PORT,default=8089\"`", 8089),
            ("HttpServer.create(new InetSocketAddress(8091), 0)", 8091),
            ("const port = Number(process.env.PORT) || 3111", 3111),
            ("m = process.env.METRICS_PORT || 9100\nx.listen(3002)", 3002),
            ("x.listen(3003)\nserve(process.env.PORT || 3004)", 3004),
        ]);
    }

    #[test]
    fn settings_in_sources_say_the_port() {
        check(&[
            (
                "#[clap(short, env = \"MY_PORT\", default_value_t = 8092)]\npub port: u16,",
                8092,
            ),
            ("#[builder(default = \"8093\")]\npub http_port: u16,", 8093),
            ("Port int `default:\"8094\" env:\"APP_PORT\"`", 8094),
            ("add_argument('--port',\n  type=int,\n  default=8095)", 8095),
            ("API_PORT: int = 8096", 8096),
            ("app.run(debug=True, port=8097)", 8097),
            (
                "x: {\n default: 6379,\n env: 'REDIS_PORT'\n },\n listen_port: {\n  default: 8101,\n  arg: 'port',\n  env: 'PORT'\n }",
                8101,
            ),
            (
                ".option('port', {\n  alias: 'p',\n  default: 8102,\n})",
                8102,
            ),
            (
                "port = process.env.PORT || (process.env.NODE_ENV !== \"development\" ? 80 : 3002)",
                80,
            ),
            (
                "@click.option('-p', '--port', help='Port (default: 8105)', default=8105)",
                8105,
            ),
            (
                "pydevd_pycharm.settrace('a', port=9000)\napp.run(port=8106)",
                8106,
            ),
            ("set :port, 8103", 8103),
            (".run(([0, 0, 0, 0, 0, 0, 0, 0], 8104))", 8104),
            (
                "#[arg(long, default_value = \"8098\")]\n    port: u16,",
                8098,
            ),
            ("debug_port = 8099\nport = 8100", 8100),
            (
                "DebugHost string `conf:\"default:0.0.0.0:3010\"`\nAPIHost string `conf:\"default:0.0.0.0:8107\"`",
                8107,
            ),
            ("static DEFAULT_PORT: u16 = 8108;", 8108),
            ("port: get_env_var(\"SHOP_PORT\", \"8109\")", 8109),
            (
                "#[clap(default_value = \"8110\", env)]\n    pub port: u16,",
                8110,
            ),
        ]);
    }

    #[test]
    fn the_environment_says_the_port() {
        let port = |text: &str| {
            let tree = MemoryTree::new([(".env.example", text)]);
            let scan = Scan::new(&tree);
            let found = in_env_example(&scan).or_else(|| bound_in_env_example(&scan));
            found.map(|fact| fact.value)
        };
        assert_eq!(
            port("A=0.0.0.0:9000\nexport PORT='3000' # here\n"),
            Some(3000)
        );
        assert_eq!(port("#PORT=1\nBIND_ON=0.0.0.0:8000\n"), Some(8000));
        assert_eq!(port("A=0.0.0.0:8000\nMETRICS=0.0.0.0:9000\n"), None);
        assert_eq!(port("DATABASE=127.0.0.1:8000\n"), None);
        assert_eq!(port("SHOP_LISTEN_PORT = \"3939\"\n"), Some(3939));
        assert_eq!(port("OTHER_PORT=3939\nMETRICS_LISTEN_PORT=9100\n"), None);
        let tree = MemoryTree::new([
            (".env.example", "OTHER_PORT=1111\nMY_SHOP_PORT=3939\n"),
            ("package.json", r#"{"name": "@me/my-shop"}"#),
        ]);
        let found = in_env_example(&Scan::new(&tree)).map(|fact| fact.value);
        assert_eq!(found, Some(3939));
    }

    #[test]
    fn other_servers_and_comments_are_not_its_own() {
        let tree = MemoryTree::new([(
            "a",
            "// port = 3001\nredis_port = 6379\nx.createClient({ port: 6379 })",
        )]);
        assert_eq!(in_sources(&Scan::new(&tree), &["a"]), None);
    }
}
