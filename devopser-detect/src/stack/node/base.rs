//! The address below which a built site expects its own files.

use crate::scan::Scan;
use crate::scan::node::Package;
use crate::scan::settings::Settings;

/// What a builder was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// A path on the same host, with a slash at each end.
    Path(String),
    /// Another host; the pages load their scripts from there.
    Elsewhere {
        /// The address.
        address: String,
        /// Where it is set.
        setting: &'static str,
    },
}

/// Reads it; nothing where the site expects to lie at the root.
///
/// Vite (<https://vite.dev/config/shared-options#base>), Vue CLI (<https://cli.vuejs.org/config/#publicpath>),
/// Create React App, which takes only the path (<https://create-react-app.dev/docs/deployment/#building-for-relative-paths>).
pub(crate) fn of(scan: &Scan<'_>, package: &Package, framework: &str) -> Option<Base> {
    let set = |stem: &str, key: &str| Some(Settings::of(scan, stem)?.text(key)?.to_owned());
    let (address, setting) = match framework {
        "vite" => (
            set("vite.config", "base")?,
            "base of the Vite configuration",
        ),
        "vue-cli" => (
            set("vue.config", "publicPath")?,
            "publicPath of vue.config.js",
        ),
        "cra" => {
            let homepage = package.value.get("homepage")?.as_str()?;
            let path = homepage.split_once("://").map_or(homepage, |(_, rest)| {
                rest.find('/').map_or("", |at| &rest[at..])
            });
            (path.to_owned(), "homepage of package.json")
        }
        _ => return None,
    };
    let remote = ["http://", "https://", "//"];
    if remote.iter().any(|start| address.starts_with(start)) {
        return Some(Base::Elsewhere { address, setting });
    }
    let path = address.strip_prefix('/')?.trim_matches('/');
    let sound = !path.is_empty()
        && path.len() < 200
        && path
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.'))
        && path
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
    sound.then(|| Base::Path(format!("/{path}/")))
}
