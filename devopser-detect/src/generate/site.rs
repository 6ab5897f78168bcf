//! Sites of files behind nginx, which listens on `PORT` as a user without privileges.

use devopser_core::model::report::Detection;

use super::lines::Lines;
use super::{Plan, hint, value};

/// Frameworks whose pages are files of their own; every other one is a single page that routes by itself.
const MANY_PAGES: &[&str] = &[
    "astro",
    "bridgetown",
    "docusaurus",
    "eleventy",
    "gatsby",
    "gridsome",
    "hexo",
    "hugo",
    "jekyll",
    "lume",
    "mdbook",
    "middleman",
    "nanoc",
    "next",
    "nuxt",
    "observable",
    "vitepress",
    "vuepress",
    "zola",
    "mkdocs",
    "sphinx",
    "pelican",
    "react-static",
];

const NGINX: &str = r"worker_processes auto;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /dev/stdout;
  client_body_temp_path /tmp/client_body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  sendfile on;
  server_tokens off;
  absolute_redirect off;
  gzip on;
  gzip_types text/css text/plain text/javascript application/javascript application/json application/xml image/svg+xml application/wasm;
  server {
    listen __PORT__;
    root /usr/share/nginx/html;
    index index.html index.htm;
    location ~ /\.(?!well-known/) { return 404; }
";

/// A folder of the repository, as it is.
pub(crate) fn plain(stack: &Detection, plan: &Plan<'_>, lines: &mut Lines<'_>) {
    let folder = value(stack.output_dir.as_ref()).unwrap_or(".");
    serve(stack, plan, lines, folder, None);
}

/// Whether the files are one page that routes by itself: an unknown path then answers with `index.html`.
#[must_use]
pub fn is_single_page(stack: &Detection) -> bool {
    let framework = value(stack.framework.as_ref());
    // https://learn.microsoft.com/aspnet/core/blazor/host-and-deploy/webassembly/
    ["node", "dotnet"].contains(&stack.detector.as_str())
        && framework.is_some_and(|id| !MANY_PAGES.contains(&id))
}

/// The stage that serves `folder` of the stage `from`, or of the build context.
pub(crate) fn serve(
    stack: &Detection,
    plan: &Plan<'_>,
    lines: &mut Lines<'_>,
    folder: &str,
    from: Option<&str>,
) {
    let is_site = !is_single_page(stack);
    lines.stage(&plan.image("nginx:1"), None);
    // Pages that were built for a path of their own are served there, and the root leads to it.
    let base = hint(stack, "base").unwrap_or("/");
    let mut route = if is_site {
        "    error_page 404 /404.html;\n    location / { try_files $uri $uri/ $uri.html =404; }\n"
            .to_owned()
    } else {
        format!("    location / {{ try_files $uri $uri/ $uri.html {base}index.html; }}\n")
    };
    if base != "/" {
        route.push_str(&format!("    location = / {{ return 302 {base}; }}\n"));
    }
    let html = format!("/usr/share/nginx/html{}", base.trim_end_matches('/'));
    lines.file("/etc/nginx/app.conf", &format!("{NGINX}{route}  }}\n}}\n"));
    lines.add("RUN rm -rf /usr/share/nginx/html/*");
    match from {
        Some(stage) => lines.add(format!("COPY --from={stage} {folder} {html}")),
        None => lines.add(format!("COPY {folder} {html}")),
    };
    let port = plan.port.to_string();
    lines
        .env([("PORT", port.as_str())])
        .runs_as("www-data")
        .add(format!("EXPOSE {port}"));
    lines.bash_health(&plan.health_path());
    lines.add("ENTRYPOINT []");
    lines.command(&[
        "/bin/sh".to_owned(),
        "-c".to_owned(),
        "sed \"s/__PORT__/$PORT/\" /etc/nginx/app.conf > /tmp/nginx.conf && exec nginx -e /dev/stderr -c /tmp/nginx.conf -g 'daemon off;'".to_owned(),
    ]);
}
