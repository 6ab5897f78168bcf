//! Pipelines are deterministic: they await nothing but their context, and read no clock, no random number, no file, no
//! environment and no order of a hash map. This holds the folder to it.

const FORBIDDEN: &[&str] = &[
    "tokio::",
    "futures::",
    "std::fs",
    "std::env",
    "std::net",
    "std::thread",
    "Instant",
    "SystemTime",
    "HashMap",
    "HashSet",
    "rand::",
    "Uuid",
    "reqwest",
    "Mutex",
];

#[test]
fn a_pipeline_uses_nothing_but_its_context() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pipeline");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let found = FORBIDDEN.iter().find(|word| line.contains(**word));
            assert!(found.is_none(), "{}: {found:?} in {line:?}", path.display());
        }
        seen += 1;
    }
    assert!(seen >= 5, "the pipelines are not where they were");
}
