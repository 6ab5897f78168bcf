//! The release lines of the runtimes. Kept by hand from each project's release schedule; see [`TABLE_DATE`].

/// The day on which the table was last compared with the projects' release schedules.
pub const TABLE_DATE: &str = "2026-11-01";

/// One release line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// `22`, `3.13`.
    pub(crate) version: &'static str,
    /// The name of a long-term release, in lower case.
    pub(crate) name: Option<&'static str>,
}

/// A runtime's release lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runtime {
    id: &'static str,
    /// The line that is used where the repository leaves the choice.
    pub(crate) default: &'static str,
    /// Newest first.
    pub(crate) lines: &'static [Line],
    /// The oldest line that still gets fixes, where the bound of a range is taken: the least version that authors allow
    /// is what they develop with, and what their dependencies were built for.
    pub(crate) oldest: Option<&'static str>,
    /// How many numbers make a release line.
    pub(crate) parts: usize,
    /// Whether `~1.2` lets the last number move (Composer), not only what comes after it (npm, Poetry).
    pub(crate) loose_tilde: bool,
}

const fn line(version: &'static str) -> Line {
    Line {
        version,
        name: None,
    }
}

const fn named(version: &'static str, name: &'static str) -> Line {
    Line {
        version,
        name: Some(name),
    }
}

const RUNTIMES: &[Runtime] = &[
    // https://nodejs.org/en/about/previous-releases
    Runtime {
        id: "node",
        default: "22",
        oldest: None,
        parts: 1,
        loose_tilde: false,
        lines: &[
            named("26", "lithium"),
            line("25"),
            named("24", "krypton"),
            line("23"),
            named("22", "jod"),
            line("21"),
            named("20", "iron"),
            line("19"),
            named("18", "hydrogen"),
            line("17"),
            named("16", "gallium"),
            line("15"),
            named("14", "fermium"),
            line("13"),
            named("12", "erbium"),
            line("11"),
            named("10", "dubnium"),
            line("9"),
            named("8", "carbon"),
        ],
    },
    // https://devguide.python.org/versions/
    Runtime {
        id: "python",
        default: "3.13",
        oldest: Some("3.11"),
        parts: 2,
        loose_tilde: false,
        lines: &[
            line("3.15"),
            line("3.14"),
            line("3.13"),
            line("3.12"),
            line("3.11"),
            line("3.10"),
            line("3.9"),
            line("3.8"),
            line("3.7"),
            line("3.6"),
            line("2.7"),
        ],
    },
    // https://go.dev/doc/devel/release
    Runtime {
        id: "go",
        default: "1",
        oldest: None,
        parts: 2,
        loose_tilde: false,
        lines: &[
            line("1.27"),
            line("1.26"),
            line("1.25"),
            line("1.24"),
            line("1.23"),
            line("1.22"),
            line("1.21"),
            line("1.20"),
            line("1.19"),
            line("1.18"),
        ],
    },
    // https://www.ruby-lang.org/en/downloads/branches/
    Runtime {
        id: "ruby",
        default: "3.3",
        oldest: None,
        parts: 2,
        loose_tilde: false,
        lines: &[
            line("4.0"),
            line("3.4"),
            line("3.3"),
            line("3.2"),
            line("3.1"),
            line("3.0"),
            line("2.7"),
            line("2.6"),
            line("2.5"),
        ],
    },
    // https://www.php.net/supported-versions.php
    Runtime {
        id: "php",
        default: "8.4",
        oldest: Some("8.2"),
        parts: 2,
        loose_tilde: true,
        lines: &[
            line("8.5"),
            line("8.4"),
            line("8.3"),
            line("8.2"),
            line("8.1"),
            line("8.0"),
            line("7.4"),
            line("7.3"),
            line("7.2"),
            line("5.6"),
        ],
    },
    // https://adoptium.net/support/
    Runtime {
        id: "java",
        default: "21",
        oldest: None,
        parts: 1,
        loose_tilde: false,
        lines: &[
            line("27"),
            line("26"),
            line("25"),
            line("24"),
            line("23"),
            line("22"),
            line("21"),
            line("20"),
            line("17"),
            line("11"),
            line("8"),
        ],
    },
    // https://releases.rs/
    Runtime {
        id: "rust",
        default: "1",
        oldest: None,
        parts: 2,
        loose_tilde: false,
        lines: &[line("1")],
    },
    // https://github.com/oven-sh/bun/releases
    Runtime {
        id: "bun",
        default: "1",
        oldest: None,
        parts: 1,
        loose_tilde: false,
        lines: &[line("1")],
    },
    // https://github.com/denoland/deno/releases
    Runtime {
        id: "deno",
        default: "2",
        oldest: None,
        parts: 1,
        loose_tilde: false,
        lines: &[line("2"), line("1")],
    },
    // https://dotnet.microsoft.com/platform/support/policy
    Runtime {
        id: "dotnet",
        default: "10.0",
        oldest: None,
        parts: 2,
        loose_tilde: false,
        lines: &[
            line("10.0"),
            line("9.0"),
            line("8.0"),
            line("7.0"),
            line("6.0"),
            line("5.0"),
            line("3.1"),
        ],
    },
    // https://hexdocs.pm/elixir/compatibility-and-deprecations.html
    Runtime {
        id: "elixir",
        default: "1.18",
        oldest: None,
        parts: 2,
        loose_tilde: false,
        lines: &[
            line("1.20"),
            line("1.19"),
            line("1.18"),
            line("1.17"),
            line("1.16"),
            line("1.15"),
            line("1.14"),
            line("1.13"),
            line("1.12"),
        ],
    },
];

/// The release lines of a runtime.
pub(crate) fn runtime(id: &str) -> Option<&'static Runtime> {
    RUNTIMES.iter().find(|runtime| runtime.id == id)
}
