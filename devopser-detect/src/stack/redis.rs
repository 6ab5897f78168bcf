//! Whether an app hands Redis a password.

use devopser_core::model::report::{Database, Detection};

use crate::scan::{Scan, code, env};

/// What sources are called that may connect to it.
const SOURCES: &[&str] = &[
    ".py", ".js", ".mjs", ".cjs", ".ts", ".go", ".rb", ".php", ".java", ".kt", ".cs",
];

/// What hands over a password, or an address that may hold one; in lower case.
const PASSWORDS: &[&str] = &[
    "redis://",
    "rediss://",
    "redis_url",
    "redisurl",
    "redis_uri",
    "redis_pass",
    "redispass",
    "redis_auth",
    "redis.password",
    "requirepass",
];

/// What connects by the name of a host alone; in lower case.
const HOSTS: &[&str] = &[
    "redis_host",
    "redis_addr",
    "host='redis'",
    "host=\"redis\"",
    "host: 'redis'",
    "host: \"redis\"",
    "'redis:6379",
    "\"redis:6379",
];

/// Says so in a hint where the app connects to Redis by its host alone and nothing in it knows of a password.
pub(crate) fn settle(scan: &Scan<'_>, stack: &mut Detection) {
    let needs = stack.databases.as_ref();
    if needs.is_some_and(|fact| fact.value.contains(&Database::Redis)) && is_open(scan) {
        let hint = "redis-without-password".to_owned();
        stack.hints.insert(hint, "true".to_owned());
    }
}

fn is_open(scan: &Scan<'_>) -> bool {
    let examples = env::FILES.iter().copied().filter(|path| scan.has(path));
    let mut connects = false;
    for path in code::each(scan, SOURCES, 3).chain(examples) {
        let text = scan.text(path).unwrap_or_default();
        if !["redis", "Redis", "REDIS"]
            .iter()
            .any(|name| text.contains(name))
        {
            continue;
        }
        let text = text.to_ascii_lowercase();
        if PASSWORDS.iter().any(|word| text.contains(word)) {
            return false;
        }
        connects |= HOSTS.iter().any(|word| text.contains(word));
    }
    connects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    #[test]
    fn a_host_alone_has_no_password() {
        let open = |files: &[(&str, &str)]| {
            let tree = MemoryTree::new(files.iter().copied());
            is_open(&Scan::new(&tree))
        };
        let host = ("app.py", "redis = Redis(host='redis', port=6379)\n");
        assert!(open(&[host]));
        assert!(open(&[(
            "app.js",
            "createClient({ host: process.env.REDIS_HOST })\n"
        )]));
        assert!(!open(&[("app.py", "redis = Redis()\n")]));
        assert!(!open(&[host, (".env.example", "REDIS_PASSWORD=\n")]));
        assert!(!open(&[host, ("b.py", "from_url('redis://redis:6379')\n")]));
    }
}
