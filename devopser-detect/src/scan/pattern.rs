//! Patterns over texts, in the notation of regular expressions, for the few that detection has.
//!
//! Made for processes that look at one folder: nothing is built but a short list of steps, where an engine that
//! promises linear time compiles for milliseconds. A match goes back where it went wrong; the steps that a text may
//! take are counted, so that no text takes long.

use std::ops::ControlFlow;

mod parse;

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Set([u64; 4]);

impl Set {
    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn merge(&mut self, other: Self) {
        for (mine, other) in self.0.iter_mut().zip(other.0) {
            *mine |= other;
        }
    }

    const fn has(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    /// The bytes for which it is so.
    fn of(is_in: impl Fn(u8) -> bool) -> Self {
        let mut set = Self::default();
        (0..=u8::MAX)
            .filter(|byte| is_in(*byte))
            .for_each(|byte| set.add(byte));
        set
    }
}

/// One step of a match. Jumps are relative to the step itself.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// One byte of the set.
    One(Set),
    /// So many bytes of the set; as many as fit, or as few.
    Run {
        set: Set,
        least: usize,
        most: usize,
        greedy: bool,
    },
    /// The step at the first distance, or, where that leads nowhere, at the second.
    Split(isize, isize),
    Jump(isize),
    /// A group begins or ends here.
    Save(usize),
    /// Between a letter, digit or `_` and something else.
    Boundary,
    TextStart,
    LineStart,
}

/// How many groups of a pattern are kept.
const GROUPS: usize = 3;

/// For how many bytes it is known which patterns they can begin.
const AHEAD: usize = 3;

/// Several patterns that are looked for together.
#[derive(Debug)]
pub(crate) struct Patterns {
    programs: Vec<Vec<Step>>,
    /// For each byte: the patterns that can have it as their first, second, third byte.
    can_have: Box<[[u32; 256]; AHEAD]>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// The index of the pattern.
    pub(crate) which: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    slots: [Option<usize>; GROUPS * 2],
}

impl Match {
    /// Where a group lies, the first being 0.
    pub(crate) fn group(&self, index: usize) -> Option<std::ops::Range<usize>> {
        let start = self.slots.get(index * 2).copied().flatten()?;
        Some(start..self.slots.get(index * 2 + 1).copied().flatten()?)
    }
}

impl Patterns {
    /// At most 32 patterns. `None` where one of them uses what is not known here.
    ///
    /// Known are classes of ASCII, groups, `(?i:…)`, `|`, `?`, `*` of anything, `+` and `{…}` of a single byte, all of
    /// them lazy as well, `^` (of a line after `(?m)`) and `\b`.
    pub(crate) fn new(patterns: &[&str]) -> Option<Self> {
        let programs = patterns
            .iter()
            .map(|pattern| parse::program(pattern))
            .collect::<Option<Vec<_>>>()?;
        Self::of(programs)
    }

    /// Texts that stand for themselves.
    pub(crate) fn literals(texts: impl IntoIterator<Item = &'static str>) -> Option<Self> {
        let one = |byte: u8| Step::One(Set::of(|other| other == byte));
        let programs = texts
            .into_iter()
            .map(|text| text.bytes().map(one).collect());
        Self::of(programs.collect())
    }

    fn of(programs: Vec<Vec<Step>>) -> Option<Self> {
        if programs.len() > 32 {
            return None;
        }
        let mut can_have = Box::new([[0; 256]; AHEAD]);
        for (index, program) in programs.iter().enumerate() {
            for (table, set) in can_have.iter_mut().zip(beginning(program)) {
                for byte in (0..=u8::MAX).filter(|byte| set.has(*byte)) {
                    table[usize::from(byte)] |= 1_u32 << index;
                }
            }
        }
        Some(Self { programs, can_have })
    }

    /// Whether any of them stands in the text.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.all(text).next().is_some()
    }

    /// What is found from the left; where several begin at one place, that of the earlier pattern. None overlaps.
    pub(crate) fn all<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Match> + 'a {
        self.from(text, 0)
    }

    /// What is found from that byte on.
    pub(crate) fn from<'a>(
        &'a self,
        text: &'a str,
        mut at: usize,
    ) -> impl Iterator<Item = Match> + 'a {
        let text = text.as_bytes();
        // Enough for every text that is not made to take long.
        let mut budget = text.len() * 16 + 100_000;
        let mut back = Vec::new();
        std::iter::from_fn(move || {
            let found = self.next(text, at, &mut budget, &mut back)?;
            at = found.end.max(found.start + 1);
            Some(found)
        })
    }

    fn next(
        &self,
        text: &[u8],
        from: usize,
        budget: &mut usize,
        back: &mut Vec<Back>,
    ) -> Option<Match> {
        let [first, second, third] = &*self.can_have;
        let allowed = |table: &[u32; 256], at: usize| match text.get(at) {
            Some(byte) => table[usize::from(*byte)],
            None => u32::MAX,
        };
        let mut start = from;
        while start < text.len() {
            let ahead = text[start..].windows(AHEAD);
            start += ahead
                .take_while(|ahead| {
                    let can_begin = |table: &[u32; 256], at: usize| table[usize::from(ahead[at])];
                    can_begin(first, 0) & can_begin(second, 1) & can_begin(third, 2) == 0
                })
                .count();
            let mut left =
                allowed(first, start) & allowed(second, start + 1) & allowed(third, start + 2);
            while left != 0 {
                let which = left.trailing_zeros() as usize;
                left &= left - 1;
                back.clear();
                let mut attempt = Attempt {
                    text,
                    at: start,
                    slots: [None; GROUPS * 2],
                    back,
                };
                match attempt.run(&self.programs[which], budget) {
                    ControlFlow::Continue(false) => {}
                    ControlFlow::Continue(true) => return Some(attempt.found(which, start)),
                    ControlFlow::Break(()) => return None,
                }
            }
            start += 1;
        }
        None
    }
}

/// The bytes that can stand at the first places of a match.
fn beginning(program: &[Step]) -> [Set; AHEAD] {
    let mut sets = [Set::default(); AHEAD];
    let mut states = vec![0];
    for set in &mut sets {
        let mut reached = vec![false; program.len() + 1];
        let mut next = Vec::new();
        while let Some(at) = states.pop() {
            if std::mem::replace(&mut reached[at], true) {
                continue;
            }
            let to = |distance: isize| at.saturating_add_signed(distance).min(program.len());
            match program.get(at) {
                // It has ended: anything may follow.
                None => {
                    *set = Set::of(|_| true);
                    next.push(at);
                }
                Some(Step::One(own)) => {
                    set.merge(*own);
                    next.push(at + 1);
                }
                Some(Step::Run {
                    set: own, least, ..
                }) => {
                    set.merge(*own);
                    next.extend([at, at + 1]);
                    states.extend((*least == 0).then_some(at + 1));
                }
                Some(Step::Split(one, other)) => states.extend([to(*one), to(*other)]),
                Some(Step::Jump(distance)) => states.push(to(*distance)),
                Some(_) => states.push(at + 1),
            }
        }
        states = next;
    }
    sets
}

/// What to do where a match goes wrong.
#[derive(Clone, Copy, Debug)]
enum Back {
    /// Go on with a step at a place.
    To { step: usize, at: usize },
    /// The run at the step takes one byte less, down to the least.
    Less {
        step: usize,
        at: usize,
        least: usize,
    },
    /// The run at the step takes one byte more, up to the most.
    More { step: usize, at: usize, most: usize },
    /// What a slot held before.
    Slot(usize, Option<usize>),
}

/// A match that begins at one place, or not.
struct Attempt<'a> {
    text: &'a [u8],
    at: usize,
    slots: [Option<usize>; GROUPS * 2],
    back: &'a mut Vec<Back>,
}

impl Attempt<'_> {
    const fn found(&self, which: usize, start: usize) -> Match {
        Match {
            which,
            start,
            end: self.at,
            slots: self.slots,
        }
    }

    /// Whether it matches; breaks where the budget has ended.
    fn run(&mut self, program: &[Step], budget: &mut usize) -> ControlFlow<(), bool> {
        let mut step = 0;
        while let Some(current) = program.get(step) {
            *budget = match budget.checked_sub(1) {
                Some(left) => left,
                None => return ControlFlow::Break(()),
            };
            if let Some(next) = self.take(*current, step, budget) {
                step = next;
            } else {
                match self.go_back(program) {
                    Some(next) => step = next,
                    None => return ControlFlow::Continue(false),
                }
            }
        }
        ControlFlow::Continue(true)
    }

    /// Takes a step; gives the next one.
    fn take(&mut self, current: Step, step: usize, budget: &mut usize) -> Option<usize> {
        let text = self.text;
        match current {
            Step::One(set) => {
                set.has(*text.get(self.at)?).then_some(())?;
                self.at += 1;
            }
            Step::Run {
                set,
                least,
                most,
                greedy,
            } => {
                let rest = text.get(self.at..)?.iter().take(most);
                let wanted = if greedy { most } else { least };
                let length = rest.take(wanted).take_while(|byte| set.has(**byte)).count();
                *budget = budget.saturating_sub(length / 8);
                (length >= least).then_some(())?;
                let from = self.at;
                self.at += length;
                if greedy && length > least {
                    self.back.push(Back::Less {
                        step,
                        at: self.at,
                        least: from + least,
                    });
                } else if !greedy && most > least {
                    self.back.push(Back::More {
                        step,
                        at: self.at,
                        most: from.saturating_add(most),
                    });
                }
            }
            Step::Split(one, other) => {
                self.back.push(Back::To {
                    step: step.saturating_add_signed(other),
                    at: self.at,
                });
                return Some(step.saturating_add_signed(one));
            }
            Step::Jump(distance) => return Some(step.saturating_add_signed(distance)),
            Step::Save(slot) => {
                let old = self.slots.get(slot).copied().flatten();
                self.back.push(Back::Slot(slot, old));
                self.set(slot, Some(self.at));
            }
            Step::Boundary => {
                let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| parse::is_word(*byte));
                let before = self.at.checked_sub(1).and_then(|at| text.get(at));
                (is_word(before) != is_word(text.get(self.at))).then_some(())?;
            }
            Step::TextStart => (self.at == 0).then_some(())?,
            Step::LineStart => {
                let before = self.at.checked_sub(1).and_then(|at| text.get(at));
                before.is_none_or(|byte| *byte == b'\n').then_some(())?;
            }
        }
        Some(step + 1)
    }

    fn set(&mut self, slot: usize, value: Option<usize>) {
        if let Some(known) = self.slots.get_mut(slot) {
            *known = value;
        }
    }

    /// Undoes the last choice; gives the step to go on with.
    fn go_back(&mut self, program: &[Step]) -> Option<usize> {
        loop {
            match self.back.pop()? {
                Back::To { step, at } => {
                    self.at = at;
                    return Some(step);
                }
                Back::Less { step, at, least } => {
                    self.at = at - 1;
                    if self.at > least {
                        let at = self.at;
                        self.back.push(Back::Less { step, at, least });
                    }
                    return Some(step + 1);
                }
                Back::More { step, at, most } => {
                    let Some(Step::Run { set, .. }) = program.get(step) else {
                        continue;
                    };
                    if at < most && self.text.get(at).is_some_and(|byte| set.has(*byte)) {
                        self.at = at + 1;
                        let at = self.at;
                        self.back.push(Back::More { step, at, most });
                        return Some(step + 1);
                    }
                }
                Back::Slot(slot, old) => self.set(slot, old),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pattern: &str, text: &str) -> Vec<String> {
        let patterns = Patterns::new(&[pattern]).unwrap();
        let found = patterns.all(text);
        found
            .map(|found| {
                let group = found.group(0).unwrap_or(found.start..found.end);
                text[group].to_owned()
            })
            .collect()
    }

    #[test]
    fn knows_the_notation() {
        assert_eq!(all(r"a(b|c)?d", "ad abd acd aed").len(), 3);
        assert_eq!(all(r"x(\d{2,3})\b", "x1 x12 x123 x1234"), ["12", "123"]);
        assert_eq!(all(r"<([a-z]*?)z", "<azz"), ["a"]);
        assert_eq!(all(r"<([a-z]*)z", "<azz"), ["az"]);
        assert_eq!(all(r"(?:\w+\.)*(\w+)\(", "a.b.c(d("), ["c", "d"]);
        assert_eq!(
            all(r"(?i:\bport)=(\d+)", "Port=1 xport=2 PORT=3"),
            ["1", "3"]
        );
        assert_eq!(all(r"(?m)^(\w+)", "a b\nc"), ["a", "c"]);
        assert_eq!(all(r"(?:^|\s)-p(\d)", "-p1 -p2x-p3"), ["1", "2"]);
        assert!(Patterns::new(&["(ab)+"]).is_none() && Patterns::new(&["a("]).is_none());
    }

    #[test]
    fn the_earlier_pattern_goes_first() {
        let patterns = Patterns::new(&["ab", "abc", "b"]).unwrap();
        let which: Vec<usize> = patterns.all("abc b").map(|found| found.which).collect();
        assert_eq!(which, [0, 2]);
    }

    #[test]
    fn a_text_that_is_made_to_take_long_ends() {
        let patterns = Patterns::new(&[r"a\w*P\w*P\w*P\w*=", "z"]).unwrap();
        let text = format!("a{} z", "P".repeat(5000));
        assert_eq!(patterns.all(&text).count(), 0);
    }
}
