//! Trees of the fixtures, broken at random but the same each time: what the fuzz target looks for, in a test.

use std::path::Path;

#[path = "support/trees.rs"]
mod trees;

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

fn mutated(seed: &[u8], other: &[u8], words: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut input = seed.to_vec();
    for _ in 0..=numbers.below(6) {
        let at = (1 + numbers.below(input.len())).min(input.len());
        match numbers.below(5) {
            0 => input.truncate(at),
            1 => {
                let word = &words[numbers.below(words.len())];
                drop(input.splice(at..at, word.iter().copied()));
            }
            2 => drop(input.drain(at..(at + numbers.below(9)).min(input.len()))),
            3 => {
                let from = numbers.below(other.len());
                drop(input.splice(at..at, other.iter().skip(from).take(80).copied()));
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << numbers.below(8);
                }
            }
        }
    }
    input
}

#[test]
fn broken_trees_hold_what_is_promised() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let (seeds, words) = (trees::seeds(&fixtures).unwrap(), trees::words());
    assert!(seeds.len() > 50);
    let mut numbers = Numbers(1);
    for (_, seed) in &seeds {
        trees::check(seed);
        for _ in 0..3 {
            let (_, other) = &seeds[numbers.below(seeds.len())];
            trees::check(&mutated(seed, other, &words, &mut numbers));
        }
    }
}

#[test]
fn every_file_that_is_read_may_hold_anything() {
    let broken = ["", "\u{0}é", "{", "- [", "\"", "<a", "a: &a [*a]\n"];
    for name in trees::names() {
        for content in broken {
            trees::check(&trees::file(name, content.as_bytes()));
        }
    }
}
