//! The one table that ranks stacks, and what it means.
//!
//! Every detector runs. Each says how strong its strongest signal is; the table turns stack and signal into a
//! confidence. A stack whose manifest usually stands beside another one (Node's `package.json` as an asset
//! pipeline of a Django, Rails, Laravel or Phoenix app) scores lower at the same strength.

use devopser_core::model::report::Detection;

/// How strong the strongest signal for a stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strength {
    /// Files that many repositories have beside their real stack: a `package.json` that starts nothing.
    Trace,
    /// Source files without a manifest.
    Source,
    /// A manifest that says how to build or start something.
    Manifest,
    /// A site of files: a front-end framework that builds to a folder.
    Site,
    /// A server framework among the dependencies.
    Framework,
    /// A server framework and its entry point (`manage.py`, `artisan`, `config.ru` …).
    Entry,
}

/// What a detector found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The facts.
    pub(crate) detection: Detection,
    /// The strongest signal.
    pub(crate) strength: Strength,
}

/// One row: the confidence for `[Trace, Source, Manifest, Site, Framework, Entry]`.
type Row = (&'static str, [u8; 6]);

/// The ranking. Higher wins; at the same height the upper row does.
#[rustfmt::skip]
pub(crate) const RANKING: &[Row] = &[
    // stack          trace  source  manifest  site  framework  entry
    ("php",         [    25,     48,       82,   90,        94,    98]),
    ("ruby",        [    20,     47,       78,   88,        94,    98]),
    ("python",      [    20,     46,       76,   80,        91,    97]),
    ("elixir",      [    20,     45,       84,   90,        95,    98]),
    ("dotnet",      [    20,     45,       83,   88,        93,    96]),
    ("java",        [    20,     45,       84,   88,        93,    96]),
    ("go",          [    20,     44,       81,   85,        89,    90]),
    ("rust",        [    20,     44,       80,   85,        90,    92]),
    ("deno",        [    15,     40,       79,   86,        90,    92]),
    ("bun",         [    18,     43,       76,   86,        93,    95]),
    ("node",        [    15,     35,       74,   85,        92,    93]),
    ("others",      [    10,     40,       72,   72,        72,    72]),
    ("sitegen",     [    20,     45,       77,   87,        88,    88]),
    ("static",      [    30,     50,       55,   60,        60,    60]),
    ("dockerfile",  [    10,     12,       14,   14,        14,    14]),
];

/// The confidence that the table gives.
pub(crate) fn confidence(id: &str, strength: Strength) -> u8 {
    RANKING
        .iter()
        .find(|(known, _)| *known == id)
        .map_or(1, |(_, row)| row[strength as usize])
}

/// The detection with the table's confidence.
pub(crate) fn graded(found: Found) -> Detection {
    let confidence = confidence(&found.detection.detector, found.strength);
    Detection {
        confidence,
        ..found.detection
    }
}

/// Best first, each loser with the reason.
pub(crate) fn ranked(found: Vec<Found>) -> Vec<Detection> {
    let place = |id: &str| {
        RANKING
            .iter()
            .position(|(known, _)| *known == id)
            .unwrap_or(usize::MAX)
    };
    let mut rows: Vec<(Strength, Detection)> = found
        .into_iter()
        .map(|found| (found.strength, graded(found)))
        .collect();
    rows.sort_by_key(|(_, detection)| {
        (
            std::cmp::Reverse(detection.confidence),
            place(&detection.detector),
        )
    });
    let why: Vec<Option<String>> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| (index > 0).then(|| why_not(&rows[0], row)))
        .collect();
    rows.into_iter()
        .zip(why)
        .map(|((_, detection), why_not)| Detection {
            why_not,
            ..detection
        })
        .collect()
}

fn why_not(
    (first_strength, first): &(Strength, Detection),
    (strength, loser): &(Strength, Detection),
) -> String {
    let name = |detection: &Detection| {
        let framework = detection
            .framework
            .as_ref()
            .map(|framework| format!(" with {}", framework.value));
        format!("{}{}", detection.detector, framework.unwrap_or_default())
    };
    let known = |strength: Strength, detection: &Detection| {
        // What has pages in itself serves them without any framework.
        let is_own = detection.framework.is_none() && detection.pages.is_some();
        match strength {
            Strength::Framework if is_own => "known by the pages that it serves",
            strength => words(strength),
        }
    };
    format!(
        "{} is {} here; {} is {} ({} against {})",
        name(loser),
        known(*strength, loser),
        name(first),
        known(*first_strength, first),
        loser.confidence,
        first.confidence
    )
}

const fn words(strength: Strength) -> &'static str {
    match strength {
        Strength::Trace => "only a trace that starts nothing",
        Strength::Source => "known by source files alone",
        Strength::Manifest => "known by its manifest",
        Strength::Site => "known by what builds a site",
        Strength::Framework => "known by a server framework",
        Strength::Entry => "known by a server framework and its entry point",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stronger_signal_never_scores_less() {
        for (id, row) in RANKING {
            assert!(row.windows(2).all(|pair| pair[0] <= pair[1]), "{id}");
        }
    }

    #[test]
    fn losers_are_told_why() {
        let found = |id: &str, strength| Found {
            detection: Detection {
                detector: id.to_owned(),
                ..Detection::default()
            },
            strength,
        };
        let ranked = ranked(vec![
            found("node", Strength::Site),
            found("python", Strength::Entry),
        ]);
        assert_eq!(ranked[0].detector, "python");
        assert_eq!(ranked[0].why_not, None);
        assert!(
            ranked[1]
                .why_not
                .as_ref()
                .unwrap()
                .contains("85 against 97")
        );
    }
}
