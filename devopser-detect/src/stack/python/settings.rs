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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    fn found(manage: &str, module: &str, files: &[&str]) -> Vec<String> {
        let text = format!("os.environ.setdefault('DJANGO_SETTINGS_MODULE', '{module}')");
        let mut all = vec![(manage.to_owned(), text)];
        all.extend(files.iter().map(|path| ((*path).to_owned(), String::new())));
        let tree = MemoryTree::new(all);
        super::files(&Scan::new(&tree))
    }

    #[test]
    fn settings_are_a_file_or_a_package_with_its_base_first() {
        let one = ["shop/settings.py", "shop/urls.py"];
        assert_eq!(
            found("manage.py", "shop.settings", &one),
            ["shop/settings.py"]
        );
        let package = [
            "src/shop/settings/__init__.py",
            "src/shop/settings/dev.py",
            "src/shop/settings/base.py",
        ];
        let wanted = [package[2], package[0], package[1]];
        for module in ["shop.settings", "shop.settings.dev"] {
            assert_eq!(found("src/manage.py", module, &package), wanted, "{module}");
        }
    }

    #[test]
    fn a_module_that_is_not_there_or_no_name_has_no_files() {
        assert!(found("manage.py", "gone.settings", &[]).is_empty());
        assert!(found("manage.py", "../../etc", &["settings.py"]).is_empty());
    }
}
