//! The header `Range`.

/// The part of a file that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A part that there is; its length is not zero.
    Part { start: u64, length: u64 },
    /// A part beyond the end.
    Outside,
}

impl Wanted {
    pub(super) const fn start(&self) -> u64 {
        match self {
            Self::Part { start, .. } => *start,
            Self::Outside => 0,
        }
    }

    pub(super) const fn length(&self) -> u64 {
        match self {
            Self::Part { length, .. } => *length,
            Self::Outside => 0,
        }
    }
}

/// Reads `bytes=a-b`, `bytes=a-` or `bytes=-n`. Anything else, several parts included, is `None`: the whole file is sent.
pub(super) fn parse(header: &str, size: u64) -> Option<Wanted> {
    let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let length = number(last)?.min(size);
        return Some(part(size - length, length));
    }
    let start = number(first)?;
    let end = if last.is_empty() {
        u64::MAX
    } else {
        number(last)?
    };
    if end < start {
        return None;
    }
    if start >= size {
        return Some(Wanted::Outside);
    }
    Some(part(start, end.min(size - 1) - start + 1))
}

const fn part(start: u64, length: u64) -> Wanted {
    if length == 0 {
        Wanted::Outside
    } else {
        Wanted::Part { start, length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let part = |start, length| Some(Wanted::Part { start, length });
        for (header, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-9", part(0, 10)),
            ("bytes=2-", part(2, 8)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-100", part(0, 10)),
            ("bytes=5-100", part(5, 5)),
            ("bytes=10-", Some(Wanted::Outside)),
            ("bytes=99999999999999999999999-", Some(Wanted::Outside)),
            ("bytes=-0", Some(Wanted::Outside)),
            ("bytes=5-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=a-b", None),
            ("bytes=-", None),
            ("items=0-1", None),
            ("bytes=+1-2", None),
        ] {
            assert_eq!(parse(header, 10), expected, "{header}");
        }
        assert_eq!(parse("bytes=0-", 0), Some(Wanted::Outside));
    }
}
