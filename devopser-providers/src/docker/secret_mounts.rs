//! Secret mounts and the cache: a step that saw a secret is reused only by the same app with the same value.
//!
//! BuildKit reuses a step whose definition and input are the same. The definition holds the id of a mounted secret and not
//! its value (<https://docs.docker.com/build/cache/invalidation/#build-secrets>), and one engine serves many tenants: a
//! tenant with the same source would get what was made with another's secret. So each id gets an ending that stands for
//! the owner and the value. Ids are in no image and no history; the ending is taken out of all that a build tells.

use std::collections::BTreeMap;

use devopser_core::Secret;
use devopser_core::id::Digest;

/// A Dockerfile whose secret mounts are bound to an owner and to values.
#[derive(Debug)]
pub(crate) struct BoundDockerfile {
    pub(crate) text: String,
    /// The secrets under the ids that the text asks for.
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// Whether the text may mount secrets in a way that was not understood: then no step may come from the cache.
    pub(crate) has_unknown: bool,
    /// Mounts as the build names them, and as the Dockerfile wrote them.
    mounts: Vec<(String, String)>,
    /// Ids that the text asks for, and the ids that the Dockerfile wrote.
    ids: Vec<(String, String)>,
}

/// Binds the secret mounts of a Dockerfile.
pub(crate) fn bind(
    dockerfile: &str,
    owner: &str,
    secrets: &BTreeMap<String, Secret>,
) -> BoundDockerfile {
    let mut bound = BoundDockerfile {
        text: String::with_capacity(dockerfile.len()),
        secrets: BTreeMap::new(),
        has_unknown: false,
        mounts: Vec::new(),
        ids: Vec::new(),
    };
    let mut place = Place::Start;
    let mut has_other_lines = dockerfile.contains("<<");
    for line in dockerfile.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            bound.text.push_str(line);
        } else if let Some(comment) = trimmed.strip_prefix('#') {
            has_other_lines |= is_escape(comment);
            bound.text.push_str(line);
        } else {
            place = bound.line(line, place, owner, secrets);
        }
    }
    // Lines of a heredoc may look like instructions, and another escape character joins lines in another way.
    bound.has_unknown |= has_other_lines && dockerfile.contains("--mount");
    if bound.has_unknown {
        // What was not understood asks for them under their own ids.
        let own = secrets.iter();
        bound
            .secrets
            .extend(own.map(|(id, secret)| (id.clone(), secret.clone())));
    }
    bound
}

/// Whether a comment is the directive that sets an escape character (<https://docs.docker.com/reference/dockerfile/#escape>).
fn is_escape(comment: &str) -> bool {
    let (name, value) = comment.split_once('=').unwrap_or_default();
    name.trim().eq_ignore_ascii_case("escape") && value.trim() != "\\"
}

/// Where in an instruction a line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    /// Among the flags of a `RUN`.
    Flags,
    /// Behind them, or in another instruction.
    Rest,
}

impl BoundDockerfile {
    /// A text of the build without what was put into the Dockerfile.
    pub(crate) fn as_written(&self, text: &str) -> String {
        let pairs = self.mounts.iter().chain(&self.ids);
        pairs.fold(text.to_owned(), |text, (bound, written)| {
            text.replace(bound, written)
        })
    }

    /// Adds a line that is no comment; returns where the next one begins.
    fn line(
        &mut self,
        line: &str,
        place: Place,
        owner: &str,
        secrets: &BTreeMap<String, Secret>,
    ) -> Place {
        let goes_on = line.trim_end().ends_with('\\');
        let mut rest = line;
        let mut place = place;
        if place == Place::Start {
            let word = rest.trim_start();
            let is_run = word
                .get(..3)
                .is_some_and(|word| word.eq_ignore_ascii_case("run"))
                && word[3..].starts_with([' ', '\t', '\\']);
            place = if is_run { Place::Flags } else { Place::Rest };
            if is_run {
                let (keyword, flags) = rest.split_at(rest.len() - word.len() + 3);
                self.text.push_str(keyword);
                rest = flags;
            }
        }
        while place == Place::Flags {
            let word = rest.trim_start();
            let (space, _) = rest.split_at(rest.len() - word.len());
            let (flag, after) = word.split_at(word.find(char::is_whitespace).unwrap_or(word.len()));
            self.text.push_str(space);
            rest = word;
            if flag.is_empty() || flag == "\\" {
                break;
            }
            if !flag.starts_with("--") {
                place = Place::Rest;
                break;
            }
            self.flag(flag, owner, secrets);
            rest = after;
        }
        // A mount where none was looked for, such as behind ONBUILD.
        self.has_unknown |= rest.contains("--mount");
        self.text.push_str(rest);
        if goes_on { place } else { Place::Start }
    }

    /// Adds a flag of a `RUN`.
    fn flag(&mut self, flag: &str, owner: &str, secrets: &BTreeMap<String, Secret>) {
        let Some(options) = flag.strip_prefix("--mount=") else {
            self.has_unknown |= flag.contains(['\\', '"', '\'', '$']);
            self.text.push_str(flag);
            return;
        };
        let kind = option(options, &["type"]).unwrap_or("bind");
        let is_plain = !options.contains(['\\', '"', '\'']) && !kind.contains('$');
        let is_secret = kind.eq_ignore_ascii_case("secret");
        match bound_mount(options, owner, secrets).filter(|_| is_plain && is_secret) {
            Some((bound, id, written)) => {
                if let Some(secret) = secrets.get(&written) {
                    self.secrets.insert(id.clone(), secret.clone());
                }
                self.text.push_str("--mount=");
                self.text.push_str(&bound);
                self.mounts.push((bound, options.to_owned()));
                self.ids.push((id, written));
            }
            None => {
                self.has_unknown |= !is_plain || is_secret;
                self.text.push_str(flag);
            }
        }
    }
}

/// The value of the last option of one of these names: a later one overrules.
fn option<'o>(options: &'o str, names: &[&str]) -> Option<&'o str> {
    let pairs = options.split(',').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(name, _)| names.contains(&name.to_lowercase().as_str()));
    named.next_back().map(|(_, value)| value)
}

/// The options with a bound id, that id, and the id as it was. `None` where no id can be told: that the build refuses,
/// or it holds a variable.
fn bound_mount(
    options: &str,
    owner: &str,
    secrets: &BTreeMap<String, Secret>,
) -> Option<(String, String, String)> {
    // The order in which the frontend looks: `source`, `id`, the last part of the target
    // (https://docs.docker.com/reference/dockerfile/#run---mounttypesecret).
    let target = option(options, &["target", "dst", "destination"]);
    let last_part = target.and_then(|target| target.trim_end_matches('/').rsplit('/').next());
    let id = option(options, &["source", "src"])
        .or_else(|| option(options, &["id"]))
        .or(last_part)
        .filter(|id| !id.is_empty() && !id.contains('$'))?;
    let value = secrets.get(id).map(Secret::expose);
    let seen = format!("{owner}\0{id}\0{}", value.unwrap_or_default());
    let hash: String = Digest::of(seen.as_bytes()).hex().chars().take(24).collect();
    let bound = format!("{id}.{hash}");
    let others = options.split(',').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default().to_lowercase();
        !["id", "source", "src"].contains(&name.as_str())
    });
    let mut options: Vec<&str> = others.collect();
    let id_option = format!("id={bound}");
    options.push(&id_option);
    // Without either, the file is named after the id.
    let default_target = format!("target=/run/secrets/{id}");
    if target.is_none() && !options.iter().any(|pair| pair.starts_with("env=")) {
        options.push(&default_target);
    }
    Some((options.join(","), bound.clone(), id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(value: &str) -> BTreeMap<String, Secret> {
        BTreeMap::from([("TOKEN".into(), Secret::new(value))])
    }

    fn bound(dockerfile: &str) -> BoundDockerfile {
        bind(dockerfile, "a/b/c/d", &secrets("hush"))
    }

    #[test]
    fn ids_stand_for_the_owner_and_the_value() {
        let text = "FROM a\nRUN --mount=type=secret,id=TOKEN,mode=0444 x\n";
        let one = bound(text);
        assert!(!one.has_unknown);
        assert_eq!(one.secrets.len(), 1);
        let id = one.secrets.keys().next().expect("a secret").clone();
        let line = format!("RUN --mount=type=secret,mode=0444,id={id},target=/run/secrets/TOKEN x");
        assert_eq!(one.text, format!("FROM a\n{line}\n"));
        assert_eq!(
            one.as_written(&line),
            "RUN --mount=type=secret,id=TOKEN,mode=0444 x"
        );
        assert_eq!(
            one.as_written(&format!("secret {id}: not found")),
            "secret TOKEN: not found"
        );
        assert_eq!(bound(text).text, one.text);
        assert_ne!(bind(text, "e/b/c/d", &secrets("hush")).text, one.text);
        assert_ne!(bind(text, "a/b/c/d", &secrets("other")).text, one.text);
        // Who has no such secret does not get what was made with one either.
        assert_ne!(bind(text, "a/b/c/d", &BTreeMap::new()).text, one.text);
    }

    #[test]
    fn every_form_of_a_secret_mount_is_found() {
        for (mount, kept) in [
            (
                "type=secret,target=/root/TOKEN",
                "type=secret,target=/root/TOKEN,id=TOKEN.",
            ),
            ("type=secret,id=TOKEN,env=T", "type=secret,env=T,id=TOKEN."),
            (
                "TYPE=Secret,src=TOKEN,dst=/x",
                "TYPE=Secret,dst=/x,id=TOKEN.",
            ),
            (
                "id=TOKEN,required,type=secret",
                "required,type=secret,id=TOKEN.",
            ),
        ] {
            for text in [
                format!("run   --mount={mount} make\n"),
                format!("FROM a\n  RUN \\\n  # why\n\n  --network=none --mount={mount} \\\n  make"),
                format!("RUN --mount=type=cache,target=/c --mount={mount}\tmake\r\n"),
                format!("RUN\\\n--mount={mount} make"),
            ] {
                let bound = bound(&text);
                assert!(!bound.has_unknown, "{text}");
                assert!(bound.text.contains(kept), "{text} became {}", bound.text);
                assert_eq!(bound.secrets.len(), 1, "{text}");
                assert_eq!(bound.as_written(&bound.text), text);
            }
        }
    }

    #[test]
    fn what_is_no_secret_mount_stays_as_it_is() {
        for text in [
            "",
            "FROM a\nRUN --mount=type=cache,target=$HOME/.npm --mount=target=/x npm ci\n",
            "FROM a\n# RUN --mount=type=secret,id=TOKEN x\nRUN echo secret\n",
            "FROM a\nCOPY <<EOF /x\nRUN x\nEOF\n",
            "# escape=`\nFROM a\n",
        ] {
            let bound = bound(text);
            assert_eq!(bound.text, text);
            assert!(!bound.has_unknown, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_keeps_the_cache_out() {
        for text in [
            "FROM a\nONBUILD RUN --mount=type=secret,id=TOKEN x\n",
            "FROM a\nRUN --mount=type=secret,id=$NAME x\n",
            "FROM a\nRUN --mount=type=$KIND,id=TOKEN x\n",
            "FROM a\nRUN --mount=\"type=secret,id=TOKEN\" x\n",
            "FROM a\nRUN --mount=type=sec\\\nret,id=TOKEN x\n",
            "FROM a\nRUN --mo\\\nunt=type=secret,id=TOKEN x\n",
            "FROM a\nRUN --mount=type=secret x\n",
            "# escape=`\nFROM a\nRUN `\n --mount=type=secret,id=TOKEN x\n",
            "FROM a\nRUN <<EOF\nRUN --mount=type=secret,id=TOKEN x\nEOF\n",
            "FROM a\nRUN docker run --mount type=bind x\n",
        ] {
            let bound = bound(text);
            assert!(bound.has_unknown, "{text}");
            assert!(bound.secrets.contains_key("TOKEN"), "{text}");
        }
    }
}
