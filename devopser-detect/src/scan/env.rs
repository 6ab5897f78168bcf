//! Examples of the environment that an app wants (`.env.example` and its kind).

use devopser_core::model::report::Evidence;

use super::Scan;

/// The names that they have.
pub(crate) const FILES: &[&str] = &[
    ".env.example",
    ".env.sample",
    ".env.template",
    ".env.dist",
    ".env.defaults",
    "env.example",
    "env.sample",
    "env.template",
    "example.env",
    "sample.env",
    "template.env",
    "TEMPLATE.env",
    ".env.docker",
    // https://github.com/spf13/viper#working-with-environment-variables
    "app.env",
    ".env",
];

/// What they set: each name with its value, quotes and comments left out. Settings that are comments are not set.
pub(crate) fn settings(scan: &Scan<'_>) -> impl Iterator<Item = (String, String, Evidence)> {
    let texts = FILES
        .iter()
        .filter_map(|path| Some((*path, scan.text(path)?)));
    texts.flat_map(|(path, text)| {
        let settings = (1..).zip(text.lines()).filter_map(|(number, line)| {
            let line = line.trim().trim_start_matches("export ");
            let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
            // What follows is a comment.
            let value = value.split_whitespace().next().unwrap_or_default();
            let value = value.trim_matches(['"', '\'']).to_owned();
            let evidence = Evidence::line(path, Some(number), "the example of the environment");
            Some((name.trim().to_owned(), value, evidence))
        });
        settings.collect::<Vec<_>>()
    })
}
