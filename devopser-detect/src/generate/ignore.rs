//! `.dockerignore`: what the build context never needs.

use devopser_core::model::report::Detection;

const ALWAYS: &[&str] = &[
    ".git",
    ".gitignore",
    ".gitattributes",
    ".github",
    ".gitlab-ci.yml",
    ".deployment",
    ".idea",
    ".vscode",
    ".DS_Store",
    "Dockerfile*",
    "docker-compose*.y*ml",
    "compose*.y*ml",
    ".dockerignore",
    "*.log",
    ".env",
    ".env.local",
    ".env.*.local",
    "*.pem",
    "*.key",
];

/// The file.
pub(crate) fn of(stack: &Detection) -> String {
    let own: &[&str] = match stack
        .runtime
        .as_ref()
        .map_or("", |fact| fact.value.as_str())
    {
        "node" | "bun" => &[
            "**/node_modules",
            ".next",
            ".nuxt",
            ".output",
            ".svelte-kit",
            ".turbo",
            ".cache",
            ".parcel-cache",
            "coverage",
        ],
        "python" => &[
            "**/__pycache__",
            "**/*.pyc",
            ".venv",
            "venv",
            ".pytest_cache",
            ".mypy_cache",
            ".ruff_cache",
            ".tox",
            "**/node_modules",
        ],
        "go" => &["**/node_modules", "bin", "*.test"],
        "rust" => &["target", "**/node_modules"],
        "php" => &["vendor", "**/node_modules", "storage/logs/*"],
        "ruby" => &[
            "vendor/bundle",
            ".bundle",
            "log/*",
            "tmp/*",
            "**/node_modules",
        ],
        "java" => &["target", "**/target", "build", "**/build", ".gradle"],
        "deno" => &["**/node_modules"],
        _ => &["**/node_modules"],
    };
    let mut text = String::new();
    for line in ALWAYS.iter().chain(own) {
        text.push_str(line);
        text.push('\n');
    }
    text
}
