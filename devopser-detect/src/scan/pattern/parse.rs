//! A pattern's notation as steps.

use super::{GROUPS, Set, Step};

/// The steps of a pattern; `None` where it uses what is not known.
pub(super) fn program(pattern: &str) -> Option<Vec<Step>> {
    let (lines, pattern) = match pattern.strip_prefix("(?m)") {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut parser = Parser {
        rest: pattern.as_bytes(),
        groups: 0,
        lines,
        any_case: false,
    };
    let steps = parser.alternatives()?;
    parser.rest.is_empty().then_some(steps)
}

/// A letter, a digit or `_`.
pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

struct Parser<'p> {
    rest: &'p [u8],
    groups: usize,
    lines: bool,
    any_case: bool,
}

impl Parser<'_> {
    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text.as_bytes()) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn alternatives(&mut self) -> Option<Vec<Step>> {
        let mut branches = vec![self.sequence()?];
        while self.eat("|") {
            branches.push(self.sequence()?);
        }
        let mut code = branches.pop()?;
        while let Some(mut branch) = branches.pop() {
            branch.insert(0, Step::Split(1, distance(branch.len() + 2)?));
            branch.push(Step::Jump(distance(code.len() + 1)?));
            branch.append(&mut code);
            code = branch;
        }
        Some(code)
    }

    fn sequence(&mut self) -> Option<Vec<Step>> {
        let mut code = Vec::new();
        while !matches!(self.rest.first(), None | Some(b'|' | b')')) {
            let atom = self.atom()?;
            code.append(&mut self.repeated(atom)?);
        }
        Some(code)
    }

    fn atom(&mut self) -> Option<Vec<Step>> {
        let step = match self.byte()? {
            b'(' => return self.group(),
            b'[' => Step::One(self.class()?),
            b'^' if self.lines => Step::LineStart,
            b'^' => Step::TextStart,
            b'\\' if self.eat("b") => Step::Boundary,
            b'\\' => Step::One(self.escaped()?),
            b'.' | b'*' | b'+' | b'?' | b'{' | b'$' => return None,
            byte => Step::One(self.single(byte)),
        };
        Some(vec![step])
    }

    fn group(&mut self) -> Option<Vec<Step>> {
        let outer = self.any_case;
        let mut slot = None;
        if self.eat("?i:") {
            self.any_case = true;
        } else if !self.eat("?:") {
            if self.eat("?") {
                return None;
            }
            slot = Some(self.groups * 2);
            self.groups += 1;
            if self.groups > GROUPS {
                return None;
            }
        }
        let mut code = self.alternatives()?;
        self.any_case = outer;
        if let Some(slot) = slot {
            code.insert(0, Step::Save(slot));
            code.push(Step::Save(slot + 1));
        }
        self.eat(")").then_some(code)
    }

    /// A single byte; in both cases where that is asked for.
    fn single(&self, byte: u8) -> Set {
        let mut set = Set::default();
        set.add(byte);
        if self.any_case {
            set.add(byte.to_ascii_lowercase());
            set.add(byte.to_ascii_uppercase());
        }
        set
    }

    fn escaped(&mut self) -> Option<Set> {
        Some(match self.byte()? {
            b'd' => Set::of(|byte| byte.is_ascii_digit()),
            b'w' => Set::of(is_word),
            b's' => Set::of(|byte| matches!(byte, b'\t'..=b'\r' | b' ')),
            b't' => self.single(b'\t'),
            byte if byte.is_ascii_alphanumeric() => return None,
            byte => self.single(byte),
        })
    }

    fn class(&mut self) -> Option<Set> {
        let mut set = Set::default();
        loop {
            match self.byte()? {
                b']' => return Some(set),
                b'^' => return None,
                b'\\' => set.merge(self.escaped()?),
                first => match self.rest {
                    [b'-', last, ..] if *last != b']' => {
                        let last = *last;
                        self.rest = self.rest.get(2..)?;
                        set.merge(Set::of(|byte| (first..=last).contains(&byte)));
                    }
                    _ => set.merge(self.single(first)),
                },
            }
        }
    }

    /// What a quantifier makes of an atom.
    fn repeated(&mut self, mut atom: Vec<Step>) -> Option<Vec<Step>> {
        let Some((least, most)) = self.quantifier()? else {
            return Some(atom);
        };
        let greedy = !self.eat("?");
        if let [Step::One(set)] = atom[..] {
            return Some(vec![Step::Run {
                set,
                least,
                most,
                greedy,
            }]);
        }
        let length = atom.len();
        let past = match (least, most) {
            (0, 1) => length + 1,
            (0, usize::MAX) => {
                atom.push(Step::Jump(-distance(length + 1)?));
                length + 2
            }
            _ => return None,
        };
        let split = match (greedy, distance(past)?) {
            (true, past) => Step::Split(1, past),
            (false, past) => Step::Split(past, 1),
        };
        atom.insert(0, split);
        Some(atom)
    }

    /// The least and the most; `Some(None)` where there is no quantifier.
    fn quantifier(&mut self) -> Option<Option<(usize, usize)>> {
        if self.eat("?") {
            return Some(Some((0, 1)));
        } else if self.eat("*") {
            return Some(Some((0, usize::MAX)));
        } else if self.eat("+") {
            return Some(Some((1, usize::MAX)));
        } else if !self.eat("{") {
            return Some(None);
        }
        let least = self.number()?;
        let most = if self.eat(",") { self.number()? } else { least };
        self.eat("}").then_some(Some((least, most)))
    }

    fn number(&mut self) -> Option<usize> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit());
        let (digits, rest) = self.rest.split_at(digits.count());
        self.rest = rest;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// A distance between two steps.
fn distance(steps: usize) -> Option<isize> {
    isize::try_from(steps).ok()
}
