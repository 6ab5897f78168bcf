//! Manifests of the fixtures, broken at random but the same each time: what the fuzz target looks for, in a test.

use std::path::Path;

#[path = "support/manifests.rs"]
mod manifests;

/// Bytes that parsers give a meaning to.
const PIECES: &[&str] = &[
    "\n",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "=",
    "<",
    ">",
    "#",
    "$",
    "${",
    "\\",
    "/",
    "..",
    "*",
    "@",
    "\0",
    "é",
    "\u{feff}",
    "- ",
    "&a ",
    "*a",
    "<!--",
    "]]>",
    "\"\"\"",
    "99999999999999999999",
    "-1",
    "\t",
    "\r\n",
];

/// A small generator of numbers (splitmix64): the test is the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((number ^ (number >> 31)) >> 33).unwrap_or(0) % end.max(1)
    }
}

fn mutated(seed: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut input = seed.to_vec();
    for _ in 0..=numbers.below(6) {
        let at = 1 + numbers.below(input.len());
        let at = at.min(input.len());
        match numbers.below(6) {
            0 => input.truncate(at),
            1 => drop(input.splice(at..at, PIECES[numbers.below(PIECES.len())].bytes())),
            2 => drop(input.drain(at..(at + numbers.below(9)).min(input.len()))),
            3 => {
                let from = 1 + numbers.below(other.len());
                drop(input.splice(at..at, other.iter().skip(from).take(40).copied()));
            }
            4 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << numbers.below(8);
                }
            }
            _ => {
                if let Some(first) = input.first_mut() {
                    *first = u8::try_from(numbers.below(256)).unwrap_or(0);
                }
            }
        }
    }
    input
}

#[test]
fn broken_manifests_hold_what_is_promised() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let seeds = manifests::seeds(&fixtures).unwrap();
    assert!(seeds.len() > 50);
    let mut numbers = Numbers(1);
    for seed in &seeds {
        manifests::check(seed);
        for _ in 0..3 {
            let other = &seeds[numbers.below(seeds.len())];
            manifests::check(&mutated(seed, other, &mut numbers));
        }
    }
}
