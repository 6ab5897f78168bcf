//! Where a Go program listens.

use devopser_core::model::report::Fact;

use crate::scan::{Scan, code};
use crate::stack::port;

/// Whether a file runs an engine of gin without an address; programs are run with the same word.
fn runs_gin(scan: &Scan<'_>, path: &str) -> bool {
    scan.text(path).is_some_and(|text| {
        text.contains("gin.")
            && [
                "r.Run()",
                "router.Run()",
                "engine.Run()",
                "app.Run()",
                "server.Run()",
                "Default().Run()",
            ]
            .iter()
            .any(|call| text.contains(call))
    })
}

/// `httpport` of Beego's settings, such as `8080` or `"${PORT||8080}"`
/// (<https://github.com/beego/beedoc/blob/master/en-US/mvc/controller/config.md>).
fn beego(scan: &Scan<'_>) -> Fact<u16> {
    let path = "conf/app.conf";
    let text = scan.text(path).unwrap_or_default();
    let set = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        let is_port = key.trim().eq_ignore_ascii_case("httpport");
        let mut digits = value.rsplit(|char: char| !char.is_ascii_digit());
        let port = digits.find(|digits| !digits.is_empty())?;
        is_port.then(|| port.parse().ok()).flatten()
    });
    match set {
        Some(port) => Fact::new(
            port,
            85,
            scan.evidence(path, "httpport", "Beego's settings"),
        ),
        None => port::default(8080, "beego"),
    }
}

/// Names of the files in which settings have their defaults, however deep they lie.
const SETTINGS: &[&str] = &[
    "config.go",
    "conf.go",
    "env.go",
    "flags.go",
    "options.go",
    "settings.go",
    "server.go",
    "serve.go",
    "root.go",
    "init.go",
    "conf.json",
    "config.json",
    "config.yml",
    "config.yaml",
    "config.sample.yaml",
    "config.example.yaml",
    "config.toml.sample",
    "config.sample.toml",
    "config.example.toml",
    "config-local.yml",
];

/// Where the program listens.
pub(super) fn listens_on(scan: &Scan<'_>, id: Option<&str>) -> Fact<u16> {
    if let Some(found) = port::in_env_example(scan) {
        return found;
    }
    if id == Some("beego") {
        return beego(scan);
    }
    let is_usual = |path: &str| {
        ["main.go", "server.go", "config.go", "app.go"].contains(&crate::scan::base_name(path))
    };
    if let Some(found) = port::nearest(scan, code::each(scan, &[".go"], 3), is_usual) {
        return found;
    }
    if let Some(found) = port::in_settings(scan, SETTINGS, 5) {
        return found;
    }
    let mut sources = code::each(scan, &[".go"], 3);
    match id {
        // https://pocketbase.io/docs/going-to-production/
        Some("pocketbase") => port::default(8090, "pocketbase"),
        // https://gobuffalo.io/documentation/getting_started/config-vars/
        Some("buffalo") => port::default(3000, "buffalo"),
        // https://pkg.go.dev/gopkg.in/macaron.v1#Macaron.Run
        Some("macaron") => port::default(4000, "macaron"),
        // https://pkg.go.dev/github.com/gin-gonic/gin#Engine.Run: without an address it is :8080.
        Some("gin") if sources.any(|path| runs_gin(scan, path)) => port::default(8080, "gin"),
        id => port::guess(
            if id == Some("fiber") { 3000 } else { 8080 },
            id.unwrap_or("Go servers"),
        ),
    }
}
