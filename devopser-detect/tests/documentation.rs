//! `docs/detection.md` holds the table that the code gives. `DEVOPSER_BLESS=1` writes it.

use std::path::Path;

const BEGIN: &str = "<!-- the table of the code begins -->\n";
const END: &str = "<!-- the table of the code ends -->\n";

#[test]
fn the_documentation_holds_the_table_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/detection.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let table = devopser_detect::stacks_table();
    let wanted = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    if std::env::var_os("DEVOPSER_BLESS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    assert!(
        text == wanted || std::env::var_os("DEVOPSER_BLESS").is_some(),
        "docs/detection.md is old; DEVOPSER_BLESS=1 writes it"
    );
    let date = devopser_detect::TABLE_DATE;
    assert!(
        wanted.contains(date),
        "docs/detection.md must name {date}, the date of the versions"
    );
}
