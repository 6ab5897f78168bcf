//! PHP images: Apache as a user without privileges, listening on `PORT`.

use devopser_core::model::report::Detection;

use super::lines::{Lines, exec, exec_after, tag};
use super::{Plan, hint, node, release, value};

/// Extensions that the official image has compiled in.
const BUILT_IN: &[&str] = &[
    "core",
    "ctype",
    "curl",
    "date",
    "dom",
    "fileinfo",
    "filter",
    "hash",
    "iconv",
    "json",
    "libxml",
    "mbstring",
    "openssl",
    "pcre",
    "pdo",
    "pdo_sqlite",
    "phar",
    "posix",
    "readline",
    "reflection",
    "session",
    "simplexml",
    "sodium",
    "spl",
    "sqlite3",
    "standard",
    "tokenizer",
    "xml",
    "xmlreader",
    "xmlwriter",
    "zlib",
];

/// Extensions and the Debian packages that `docker-php-ext-install` needs for them.
const EXTENSIONS: &[(&str, &str)] = &[
    ("bcmath", ""),
    ("exif", ""),
    ("ftp", "libssl-dev"),
    ("gd", "libpng-dev libjpeg-dev libfreetype-dev"),
    ("gmp", "libgmp-dev"),
    ("intl", "libicu-dev"),
    ("ldap", "libldap2-dev"),
    ("mysqli", ""),
    ("opcache", ""),
    ("pcntl", ""),
    ("pdo_mysql", ""),
    ("pdo_pgsql", "libpq-dev"),
    ("pgsql", "libpq-dev"),
    ("soap", "libxml2-dev"),
    ("sockets", ""),
    ("xsl", "libxslt1-dev"),
    ("zip", "libzip-dev"),
];

/// Copies the sources and installs what `composer.json` names: as a layer of its own where that file is in the root.
fn sources(stack: &Detection, composer: bool, lines: &mut Lines<'_>) {
    if !composer {
        copy(stack, lines);
        lines.runs_as("www-data");
        return;
    }
    lines.add("COPY --from=composer:2 /usr/bin/composer /usr/local/bin/composer");
    if let Some(folder) = hint(stack, "composer") {
        copy(stack, lines);
        lines.runs_as("www-data");
        lines.run("", &format!("composer install --working-dir={folder} --no-dev --optimize-autoloader --no-interaction --prefer-dist"));
        return;
    }
    lines.add("COPY --chown=www-data:www-data composer.json composer.loc[k] ./");
    lines.runs_as("www-data");
    lines.run(
        "",
        "composer install --no-dev --no-scripts --no-autoloader --no-interaction --prefer-dist",
    );
    copy(stack, lines);
    lines.run("", "composer dump-autoload --no-dev --optimize");
}

/// A site behind Apache.
pub(crate) fn server(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) {
    let version =
        value(stack.version.as_ref()).unwrap_or_else(|| crate::version::default_line("php"));
    let image = plan.image(&format!("php:{}-apache", tag(version)));
    let composer = value(stack.package_manager.as_ref()) == Some("composer");
    if stack.pages.is_some() {
        node::pages(stack, plan, lines);
        lines.add("RUN rm -rf node_modules");
    }
    lines.stage(&image, None);
    extensions(stack, lines);
    let root = hint(stack, "root").map_or_else(
        || "/var/www/html".to_owned(),
        |root| format!("/var/www/html/{root}"),
    );
    let port = plan.port.to_string();
    let mut env = vec![
        ("PORT", port.as_str()),
        ("APACHE_DOCUMENT_ROOT", root.as_str()),
    ];
    env.extend(
        stack
            .run_env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    lines.env(env);
    lines.add(concat!(
        "RUN sed -ri 's!^Listen 80$!Listen ${PORT}!' /etc/apache2/ports.conf \\\n",
        "    && sed -ri 's!<VirtualHost \\*:80>!<VirtualHost *:${PORT}>!; s!/var/www/html!${APACHE_DOCUMENT_ROOT}!g' /etc/apache2/sites-available/000-default.conf \\\n",
        "    && printf '%s\\n' '<Directory /var/www/>' '  AllowOverride All' '  Require all granted' '</Directory>' 'ServerTokens Prod' > /etc/apache2/conf-available/app.conf \\\n",
        "    && a2enconf app && a2enmod rewrite headers \\\n",
        "    && mkdir -p /var/run/apache2 /var/lock/apache2 && chown -R www-data:www-data /var/run/apache2 /var/lock/apache2 /var/log/apache2 /var/www"
    ));
    lines.add("WORKDIR /var/www/html");
    sources(stack, composer, lines);
    lines.add(format!("EXPOSE {port}"));
    health(plan, lines);
    lines.add("ENTRYPOINT []");
    let start = ". /etc/apache2/envvars && exec apache2 -DFOREGROUND";
    let first = release(stack, plan);
    lines.command(&first.map_or_else(|| exec(start), |first| exec_after(first, start)));
}

fn copy(stack: &Detection, lines: &mut Lines<'_>) {
    if stack.pages.is_some() {
        lines.add("COPY --from=pages --chown=www-data:www-data /src ./");
    } else {
        lines.add("COPY --chown=www-data:www-data . .");
    }
}

/// What the manifest asks for and what the databases need; only where the image has the official installer.
fn extensions(stack: &Detection, lines: &mut Lines<'_>) {
    let mut wanted: Vec<&str> = hint(stack, "extensions")
        .unwrap_or_default()
        .split(' ')
        .filter(|name| !name.is_empty() && !BUILT_IN.contains(name))
        .collect();
    for database in stack
        .databases
        .as_ref()
        .map(|fact| fact.value.as_slice())
        .unwrap_or_default()
    {
        match database.name() {
            "postgres" => wanted.extend(["pdo_pgsql", "pgsql"]),
            "mysql" | "mariadb" => wanted.extend(["pdo_mysql", "mysqli"]),
            _ => {}
        }
    }
    wanted.sort_unstable();
    wanted.dedup();
    let known: Vec<&(&str, &str)> = EXTENSIONS
        .iter()
        .filter(|(name, _)| wanted.contains(name))
        .collect();
    if known.is_empty() {
        return;
    }
    let mut packages: Vec<&str> = known
        .iter()
        .flat_map(|(_, packages)| packages.split(' '))
        .filter(|package| !package.is_empty())
        .collect();
    packages.sort_unstable();
    packages.dedup();
    lines.apt(&packages);
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let check: Vec<String> = names
        .iter()
        .map(|name| format!("extension_loaded('{name}')"))
        .collect();
    lines.add(format!(
        "RUN php -r \"exit({}?0:1);\" || docker-php-ext-install {}",
        check.join("&&"),
        names.join(" ")
    ));
}

fn health(plan: &Plan<'_>, lines: &mut Lines<'_>) {
    let script = format!(
        "$c=stream_context_create(['http'=>['ignore_errors'=>true,'follow_location'=>0,'timeout'=>4]]);$r=@file_get_contents('http://127.0.0.1:'.getenv('PORT').'{}',false,$c);exit($r!==false&&(int)explode(' ',$http_response_header[0])[1]<500?0:1);",
        plan.health_path()
    );
    lines.health(&["php", "-r", &script]);
}
