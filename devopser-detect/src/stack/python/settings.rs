//! The settings of a Django project (<https://docs.djangoproject.com/en/stable/topics/settings/>).

use super::entry;
use crate::scan::{Scan, base_name, folder_of};

/// The folder that `manage.py` lies in, and the settings module that it names.
pub(crate) fn module(scan: &Scan<'_>) -> Option<(String, String)> {
    let path = entry::manage(scan)?;
    let text = scan.text(path)?;
    let at = text.find("DJANGO_SETTINGS_MODULE")?;
    let module = text[at..].split(['"', '\'']).nth(2)?;
    let sound = |char: char| char.is_ascii_alphanumeric() || "._".contains(char);
    let is_module = !module.is_empty() && module.chars().all(sound);
    is_module.then(|| (folder_of(path).to_owned(), module.to_owned()))
}

/// The files of that module, what the others build upon first: one file, or a package with one for each environment.
pub(crate) fn files(scan: &Scan<'_>) -> Vec<String> {
    let Some((base, module)) = module(scan) else {
        return Vec::new();
    };
    let mut path = module.replace('.', "/");
    if !base.is_empty() {
        path = format!("{base}/{path}");
    }
    let file = format!("{path}.py");
    let is_one = scan.has(&file);
    let package = if is_one { folder_of(&file) } else { &path };
    if is_one && !base_name(package).contains("settings") {
        return vec![file];
    }
    let listed = scan.list(package);
    let mut files: Vec<String> = listed
        .files
        .iter()
        .filter(|path| path.ends_with(".py"))
        .cloned()
        .collect();
    let is_base = |path: &String| ["base.py", "common.py"].contains(&base_name(path));
    files.sort_by_key(|path| !is_base(path));
    files
}
