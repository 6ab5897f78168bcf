//! PHP: Composer, its frameworks, and plain pages.

use std::collections::BTreeSet;

use devopser_core::model::report::{Database, Detection, Evidence, Fact};
use serde_json::Value;

use super::{Stack, databases, fact, found, pages, port, version};
use crate::rank::{Found, Strength};
use crate::scan::{Scan, env, procfile, versions};

/// The PHP detector.
#[derive(Debug)]
pub(crate) struct Php;

/// A framework: id, Composer package, a file that proves it as well, the folder that a web server serves.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// The frameworks; the more specific first, since many require Symfony components.
#[rustfmt::skip]
const FRAMEWORKS: &[Row] = &[
    ("statamic",     "statamic/cms",               "please",               "public"),  // https://statamic.dev/installing; it requires Laravel's package too
    ("laravel",      "laravel/framework",          "artisan",              "public"),  // https://laravel.com/docs/deployment
    ("lumen",        "laravel/lumen-framework",    "artisan",              "public"),
    ("drupal",       "drupal/core-recommended",    "web/core/lib/Drupal.php", "web"),  // https://www.drupal.org/docs/develop/using-composer
    ("drupal",       "drupal/core",                "core/lib/Drupal.php",  "web"),
    ("wordpress",    "roots/wordpress",            "wp-settings.php",      "web"),     // https://roots.io/bedrock/docs/
    ("wordpress",    "johnpbloch/wordpress",       "wp-config-sample.php", ""),
    ("craft",        "craftcms/cms",               "craft",                "web"),
    ("magento",      "magento/product-community-edition", "bin/magento",   "pub"),
    ("typo3",        "typo3/cms-core",             "",                     "public"),
    ("symfony",      "symfony/framework-bundle",   BUNDLES,                "public"),  // https://symfony.com/doc/current/deployment.html
    ("symfony",      "symfony/symfony",            "",                     "public"),
    ("cakephp",      "cakephp/cakephp",            "bin/cake",             "webroot"),
    ("codeigniter",  "codeigniter4/framework",     "spark",                "public"),
    ("yii",          "yiisoft/yii2",               "yii",                  "web"),
    ("slim",         "slim/slim",                  "",                     "public"),  // https://www.slimframework.com/docs/v4/start/web-servers.html
    ("mezzio",       "mezzio/mezzio",              "",                     "public"),
    ("laminas",      "laminas/laminas-mvc",        "",                     "public"),
];

/// Where Symfony lists its bundles.
const BUNDLES: &str = "config/bundles.php";

/// The settings of Doctrine's bundle, which Flex writes when it is installed
/// (<https://symfony.com/doc/current/doctrine.html>).
const DOCTRINE: &str = "config/packages/doctrine.yaml";

/// Where a front page usually is.
const PAGES: &[&str] = &[
    "index.php",
    "public/index.php",
    "web/index.php",
    "htdocs/index.php",
    "www/index.php",
    "html/index.php",
    "src/index.php",
    "public_html/index.php",
];

impl Stack for Php {
    fn id(&self) -> &'static str {
        "php"
    }

    fn reads(&self) -> &'static [&'static str] {
        &[
            "composer.json",
            "composer.lock",
            "index.php",
            "artisan",
            ".env.example",
            "Procfile",
            ".php-version",
            ".tool-versions",
            "wp-config-sample.php",
        ]
    }

    fn frameworks(&self) -> Vec<&'static str> {
        FRAMEWORKS.iter().map(|(id, ..)| *id).collect()
    }

    fn detect(&self, scan: &Scan<'_>) -> Option<Found> {
        let page = scan.first(PAGES);
        let manifest = manifest(scan, page);
        let composer = scan.json(&manifest).filter(|value| value.is_object());
        let evidence = match (&composer, page) {
            (Some(_), _) => Evidence::file(manifest.as_str(), "the manifest of Composer"),
            (None, Some(path)) => Evidence::file(path, "a page of PHP"),
            (None, None) => Evidence::file(scan.root_with(".php").next()?, "a program of PHP"),
        };
        let mut detection = super::detection("php", "php", evidence.clone());
        let requires = Requires(composer.as_deref(), &manifest);
        let framework = framework(scan, &requires);
        if let Some((row, evidence)) = &framework {
            detection.framework = fact(row.0, 92, evidence.clone());
        }
        if composer.is_some() {
            detection.package_manager = fact("composer", 95, evidence.clone());
            let folder = crate::scan::folder_of(&manifest);
            let inside = if folder.is_empty() {
                String::new()
            } else {
                detection
                    .hints
                    .insert("composer".to_owned(), folder.to_owned());
                format!(" --working-dir={folder}")
            };
            detection.install_command = fact(
                format!("composer install{inside} --no-dev --optimize-autoloader --no-interaction"),
                88,
                evidence.clone(),
            );
        }
        detection.version = pinned(scan, composer.as_deref(), &manifest);
        detection.is_static = Some(Fact::new(false, 90, evidence.clone()));
        detection.port = Some(listens_on(&requires));
        detection.databases = Some(needs(
            scan,
            &requires,
            framework.as_ref().map(|(row, _)| row.0),
        ));
        serve(
            scan,
            framework.as_ref().map(|(row, _)| **row),
            page,
            &requires,
            &mut detection,
        );
        let strength = match (&framework, &composer, page) {
            (Some(_), ..) => Strength::Entry,
            (None, Some(_), Some(_)) => Strength::Manifest,
            (None, Some(_), None) => Strength::Trace,
            (None, None, Some(path)) if !scan.has("index.html") || path == "index.php" => {
                Strength::Source
            }
            _ => Strength::Trace,
        };
        found(detection, strength)
    }
}

/// Composer's manifest: in the root, else beside the front page in the folder that is served.
fn manifest(scan: &Scan<'_>, page: Option<&str>) -> String {
    const NAME: &str = "composer.json";
    let beside = page.map(|page| format!("{}/{NAME}", crate::scan::folder_of(page)));
    beside
        .filter(|path| !scan.has(NAME) && scan.has(path))
        .unwrap_or_else(|| NAME.to_owned())
}

/// The web server's port. Servers written in PHP have one of their own, and whether one of them is used is a setting
/// (<https://laravel.com/docs/octane#server-prerequisites>, <https://docs.roadrunner.dev/docs/http/http>,
/// <https://hyperf.wiki/3.1/#/en/config>).
fn listens_on(requires: &Requires<'_>) -> Fact<u16> {
    let own = [
        "laravel/octane",
        "spiral/roadrunner",
        "spiral/roadrunner-cli",
        "hyperf/framework",
        "swoft/framework",
    ];
    if own.iter().any(|name| requires.get(name).is_some()) {
        return port::guess(80, "apps with a server written in PHP");
    }
    port::default(80, "PHP behind a web server")
}

/// What a `composer.json` requires, and where it is.
struct Requires<'c>(Option<&'c Value>, &'c str);

impl Requires<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0?.get("require")?.get(name)?.as_str()
    }

    fn extensions(&self) -> Vec<String> {
        let table = self
            .0
            .and_then(|value| value.get("require"))
            .and_then(Value::as_object);
        table
            .into_iter()
            .flat_map(|table| table.keys())
            .filter_map(|name| name.strip_prefix("ext-"))
            .map(str::to_owned)
            .collect()
    }
}

fn framework(scan: &Scan<'_>, requires: &Requires<'_>) -> Option<(&'static Row, Evidence)> {
    let required = FRAMEWORKS.iter().find(|row| requires.get(row.1).is_some());
    if let Some(row) = required {
        return Some((
            row,
            scan.evidence(
                requires.1,
                &format!("\"{}\"", row.1),
                format!("requires {}", row.1),
            ),
        ));
    }
    // Files that say it where nothing requires the framework by its name: WordPress is not installed by Composer
    // (https://developer.wordpress.org/advanced-administration/before-install/howto-install/), and products that are built
    // with Symfony bring it (https://symfony.com/doc/current/bundles.html).
    let markers = [
        ("wp-settings.php", "wordpress", "", "a file of WordPress"),
        (
            "wp-config-sample.php",
            "wordpress",
            "",
            "a file of WordPress",
        ),
        ("wp-load.php", "wordpress", "", "a file of WordPress"),
        (BUNDLES, "symfony", "public", "the bundles of Symfony"),
    ];
    let (marker, id, folder, why) = markers.into_iter().find(|(path, ..)| scan.has(path))?;
    let row = FRAMEWORKS
        .iter()
        .find(|row| row.0 == id && row.3 == folder)?;
    Some((row, Evidence::file(marker, why)))
}

fn pinned(scan: &Scan<'_>, composer: Option<&Value>, manifest: &str) -> Option<Fact<String>> {
    let at = |pointer: &str, key: &str| {
        let text = composer?.pointer(pointer)?.as_str()?.to_owned();
        Some((
            text,
            scan.evidence(
                manifest,
                &format!("\"{key}\""),
                format!("{key} of composer.json"),
            ),
        ))
    };
    version(
        "php",
        [
            versions::pinned(scan, &[".php-version"], &["php"]),
            at("/config/platform/php", "php"),
            at("/require/php", "php").map(|range| within_lock(scan, range)),
        ],
    )
    .or_else(|| super::built_with(scan, "php", "php-version"))
}

/// The range as one version that the locked packages allow, where there is one: Composer refuses to install others
/// (<https://getcomposer.org/doc/01-basic-usage.md#installing-with-composer-lock>).
fn within_lock(scan: &Scan<'_>, (range, evidence): (String, Evidence)) -> (String, Evidence) {
    const SIGN: &str = "\"php\": \"";
    let text = scan.text("composer.lock").unwrap_or_default();
    let starts = memchr::memmem::find_iter(text.as_bytes(), SIGN).map(|at| at + SIGN.len());
    let asked: BTreeSet<&str> = starts
        .filter_map(|at| text[at..].split('"').next())
        .collect();
    let fits = |line: &str| {
        let mut asked = asked.iter();
        asked.all(|range| crate::version::allows("php", line, range))
    };
    match crate::version::resolve_among("php", &range, fits) {
        Some(line) if !asked.is_empty() => {
            let why = format!(
                "{}: {range}, and the locked packages allow it",
                evidence.why
            );
            (line, Evidence { why, ..evidence })
        }
        _ => (range, evidence),
    }
}

/// The folder that is served, and the command for hosts without a web server: PHP's own
/// (<https://www.php.net/manual/en/features.commandline.webserver.php>).
fn serve(
    scan: &Scan<'_>,
    row: Option<Row>,
    page: Option<&str>,
    requires: &Requires<'_>,
    into: &mut Detection,
) {
    let usual = row
        .map(|row| row.3)
        .filter(|folder| folder.is_empty() || scan.has_folder(folder));
    let folder = usual
        .map(str::to_owned)
        .or_else(|| page.map(|path| crate::scan::folder_of(path).to_owned()))
        .unwrap_or_default();
    into.hints.insert("root".to_owned(), folder.clone());
    into.hints
        .insert("extensions".to_owned(), requires.extensions().join(" "));
    if scan.has("composer.lock") {
        into.hints
            .insert("lock".to_owned(), "composer.lock".to_owned());
    }
    if let Some(pages) = pages::beside(scan) {
        into.build_command
            .clone_from(&pages.detection.build_command);
        into.pages = Some(pages);
    }
    if let Some(web) = procfile::process(scan, "web") {
        into.start_command = Some(web);
        return;
    }
    let root = if folder.is_empty() {
        String::new()
    } else {
        format!(" -t {folder}")
    };
    let evidence = page.map_or_else(
        || Evidence::file("composer.json", "what is served"),
        |path| Evidence::file(path, "the front page"),
    );
    let command = match row.map(|row| row.0) {
        Some("laravel" | "statamic") => "php artisan serve --host=0.0.0.0 --port=$PORT".to_owned(),
        _ => format!("php -S 0.0.0.0:$PORT{root}"),
    };
    into.start_command = fact(command, 70, evidence);
}

const WORDS: &[(&str, Database)] = &[
    ("\"ext-pdo_pgsql\"", Database::Postgres),
    ("\"ext-pgsql\"", Database::Postgres),
    ("\"ext-pdo_mysql\"", Database::Mysql),
    ("\"ext-mysqli\"", Database::Mysql),
    ("\"ext-redis\"", Database::Redis),
    ("\"predis/predis\"", Database::Redis),
    ("\"ext-mongodb\"", Database::Mongodb),
    ("\"mongodb/mongodb\"", Database::Mongodb),
    ("\"mongodb/laravel-mongodb\"", Database::Mongodb),
];

const SOURCE_WORDS: &[(&str, Database)] = &[
    ("mysql:host", Database::Mysql),
    ("new mysqli(", Database::Mysql),
    ("mysqli_connect(", Database::Mysql),
    ("mysql://", Database::Mysql),
    ("pgsql:host", Database::Postgres),
    ("pg_connect(", Database::Postgres),
    ("postgresql://", Database::Postgres),
    ("postgres://", Database::Postgres),
    ("new Redis(", Database::Redis),
    ("MongoDB\\Client", Database::Mongodb),
    ("mysql:dbname", Database::Mysql),
];

/// Settings of the environment that choose a database among those that a framework can talk to. `REDIS_HOST` chooses
/// none: it stands in every example of Laravel (<https://laravel.com/docs/database#configuration>).
const ENV_WORDS: &[(&str, Database)] = &[
    ("DB_CONNECTION=pgsql", Database::Postgres),
    ("DB_CONNECTION=mysql", Database::Mysql),
    ("DB_CONNECTION=mariadb", Database::Mariadb),
    ("postgres://", Database::Postgres),
    ("postgresql://", Database::Postgres),
    ("pdo-pgsql://", Database::Postgres),
    ("mysql://", Database::Mysql),
    ("mongodb://", Database::Mongodb),
    ("CACHE_DRIVER=redis", Database::Redis),
    ("CACHE_STORE=redis", Database::Redis),
    ("QUEUE_CONNECTION=redis", Database::Redis),
    ("SESSION_DRIVER=redis", Database::Redis),
];

/// How programs without a framework are told which of PHP's own extensions they use.
const PLAIN_WORDS: &[(&str, Database)] = &[
    ("DB_DRIVER=mysql", Database::Mysql),
    ("DB_DRIVER=pgsql", Database::Postgres),
    ("DB_CONNECTION=mysql", Database::Mysql),
    ("DB_CONNECTION=pgsql", Database::Postgres),
    ("DB_PORT=3306", Database::Mysql),
    ("DB_PORT=5432", Database::Postgres),
];

/// The settings of CodeIgniter 3, which lies in the repository itself
/// (<https://codeigniter.com/userguide3/database/configuration.html>).
const CODEIGNITER: &str = "application/config/database.php";

const CODEIGNITER_WORDS: &[(&str, Database)] = &[
    ("['dbdriver'] = 'mysqli'", Database::Mysql),
    ("['dbdriver'] = 'postgre'", Database::Postgres),
    ("'dbdriver' => 'mysqli'", Database::Mysql),
    ("'dbdriver' => 'postgre'", Database::Postgres),
];

/// What Laravel's settings take where the environment names nothing. SQLite, which new applications begin with, is mostly
/// another one in production (<https://laravel.com/docs/database#configuration>).
const LARAVEL_WORDS: &[(&str, Database)] = &[
    (
        "'default' => env('DB_CONNECTION', 'mysql')",
        Database::Mysql,
    ),
    (
        "'default' => env('DB_CONNECTION', 'mariadb')",
        Database::Mariadb,
    ),
    (
        "'default' => env('DB_CONNECTION', 'pgsql')",
        Database::Postgres,
    ),
];

/// Whether the examples of the environment name a connection, SQLite included.
fn names_connection(scan: &Scan<'_>) -> bool {
    env::settings(scan).any(|(name, value, _)| name == "DB_CONNECTION" && !value.is_empty())
}

/// Whether the code can talk to a database without a driver in `composer.json`: through a framework's own layer, or
/// Doctrine's. Symfony commits its defaults to `.env`
/// (<https://symfony.com/doc/current/configuration.html#configuring-environment-variables-in-env-files>).
fn has_drivers(scan: &Scan<'_>, requires: &Requires<'_>, framework: Option<&str>) -> bool {
    match framework {
        Some("symfony" | "slim" | "mezzio" | "laminas") | None => has_layer(scan, requires),
        Some(_) => true,
    }
}

/// Whether it requires a layer that talks to any database.
fn has_layer(scan: &Scan<'_>, requires: &Requires<'_>) -> bool {
    let layers = [
        "doctrine/dbal",
        "doctrine/orm",
        "doctrine/doctrine-bundle",
        "illuminate/database",
        "symfony/orm-pack",
    ];
    layers.iter().any(|name| requires.get(name).is_some()) || scan.has(DOCTRINE)
}

fn needs(scan: &Scan<'_>, requires: &Requires<'_>, framework: Option<&str>) -> Fact<Vec<Database>> {
    let mut needs = databases::Needs::default();
    // https://wordpress.org/about/requirements/,
    // https://experienceleague.adobe.com/en/docs/commerce-operations/installation-guide/system-requirements
    for (id, name) in [("wordpress", "WordPress"), ("magento", "Magento")] {
        if framework == Some(id) {
            let why = format!("{name} keeps everything in MySQL");
            needs.add(Database::Mysql, Evidence::file("", why));
        }
    }
    // Laravel's settings say whether its client for Redis is used (https://laravel.com/docs/redis#configuration).
    let laravel = ["laravel", "lumen", "statamic"]
        .map(Some)
        .contains(&framework);
    let has_example = env::FILES.iter().any(|path| scan.has(path));
    if requires.0.is_some() {
        let words = WORDS.iter().copied();
        let words: Vec<_> = words
            .filter(|(_, database)| *database != Database::Redis || !laravel || !has_example)
            .collect();
        needs.add_words(scan, requires.1, &words);
    }
    if framework == Some("yii") {
        // https://www.yiiframework.com/doc/guide/2.0/en/start-databases
        for path in ["config/db.php", "common/config/main-local.php"] {
            needs.add_words(scan, path, SOURCE_WORDS);
        }
    }
    if has_drivers(scan, requires, framework) {
        needs.add_env(scan, ENV_WORDS);
        if laravel && !names_connection(scan) {
            for path in ["config/database.php", "app/Config/database.php"] {
                needs.add_words(scan, path, LARAVEL_WORDS);
            }
        }
        let mut fact = needs.into_fact();
        // These need one and ask which when they are installed; others talk to any, and nothing says to which. The SQLite
        // of Laravel's example is what it begins with (https://laravel.com/docs/database#sqlite-configuration).
        let asks = ["craft", "drupal", "typo3", "laravel", "lumen"].map(Some);
        if fact.value.is_empty() && (asks.contains(&framework) || has_layer(scan, requires)) {
            fact.confidence = crate::summary::GUESS;
        }
        return fact;
    }
    if scan.has(CODEIGNITER) {
        needs.add_words(scan, CODEIGNITER, CODEIGNITER_WORDS);
        return needs.into_fact();
    }
    // The extensions of PHP itself: the code says which one it calls.
    for path in crate::scan::code::sources(scan, &[".php", ".inc"], 4) {
        needs.add_words(scan, path, SOURCE_WORDS);
    }
    needs.confirm_by_env(scan);
    if needs.is_empty() {
        needs.add_env(scan, PLAIN_WORDS);
    }
    needs.into_fact()
}
