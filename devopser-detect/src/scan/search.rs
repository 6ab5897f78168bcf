//! Looking for files: level by level from the root, so that what lies near is seen first and nothing is listed that
//! no rule asks for. A search has a budget; a look-up of one path ([`Scan::has`]) has none.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::{Scan, base_name, code};
use crate::tree::Listing;

/// How deep any search goes.
const MAX_DEPTH: usize = 9;

/// How many folders the searches of one scan list.
const MAX_FOLDERS: usize = 400;

/// How many folders one look below a folder lists.
const MAX_BELOW: usize = 64;

/// How many files the searches of one scan see before they list no further folder.
const MAX_FILES: usize = 4_000;

/// Folders that hold no program and no manifest: what a page shows and how it is translated.
const ASSETS: &[&str] = &[
    "assets",
    "css",
    "fonts",
    "i18n",
    "icons",
    "images",
    "img",
    "locale",
    "locales",
    "media",
    "translations",
];

/// Listings by their depth, each made when it is asked for.
type Levels = [OnceCell<Vec<Arc<Listing>>>; MAX_DEPTH + 1];

/// What searches and look-ups have listed so far.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The listings of the folders of each depth.
    levels: Levels,
    /// The same without the folders in which no source of the app lies.
    own_levels: Levels,
    listings: RefCell<HashMap<String, Arc<Listing>>>,
    folders: Cell<usize>,
    files: Cell<usize>,
    none: Listing,
    signs: OnceCell<Box<Signs>>,
}

/// What tells the names in the root from most others.
#[derive(Debug)]
struct Signs {
    /// For each first byte, the lengths of the files that begin so.
    files: [u64; 256],
    /// Whether a folder begins so.
    folders: [bool; 256],
}

impl Signs {
    fn of(top: &Listing) -> Box<Self> {
        let mut signs = Box::new(Self {
            files: [0; 256],
            folders: [false; 256],
        });
        let first =
            |name: &String| usize::from(name.as_bytes().first().copied().unwrap_or_default());
        for name in &top.files {
            signs.files[first(name)] |= length_of(name);
        }
        for name in &top.folders {
            signs.folders[first(name)] = true;
        }
        signs
    }
}

/// How many folders are many: to [`Scan::own_files_near`] those of a level, to all searches of sources those in a folder
/// below others. Such a folder holds things of one kind (widgets, translations, icons), no program.
const MAX_BROAD: usize = 64;

/// The depth from which folders of many folders are not entered for sources.
const BROAD_FROM: usize = 3;

/// A path's length as one of 64 bits.
const fn length_of(path: &str) -> u64 {
    1 << (path.len() & 63)
}

impl Search {
    fn seen(&self, listing: &Listing) {
        self.files.set(self.files.get() + listing.files.len());
    }
}

impl Scan<'_> {
    /// The files at most `depth` folders down: nearest to the root first, sorted within a level. Levels are listed as
    /// the iterator reaches them.
    pub(crate) fn files(&self, depth: usize) -> impl Iterator<Item = &str> {
        let levels = (0..=depth.min(MAX_DEPTH)).flat_map(|depth| self.level(depth));
        levels.flat_map(|listing| listing.files.iter().map(String::as_str))
    }

    /// The same without those in folders of tests, examples, documentation and tools, which are not entered.
    pub(crate) fn own_files(&self, depth: usize) -> impl Iterator<Item = &str> {
        let levels = (0..=depth.min(MAX_DEPTH)).flat_map(|depth| self.own_level(depth));
        levels.flat_map(|listing| listing.files.iter().map(String::as_str))
    }

    /// The same as deep as a level has few folders: what lies below many is not worth listing them all.
    pub(crate) fn own_files_near(&self, depth: usize) -> impl Iterator<Item = &str> {
        let is_near = |depth: &usize| {
            let Some(above) = depth.checked_sub(1) else {
                return true;
            };
            let is_known = |level: &OnceCell<_>| level.get().is_some();
            let levels = &self.search.own_levels;
            let below = || self.own_level(above).iter().map(|of| of.folders.len());
            levels.get(*depth).is_some_and(is_known) || below().sum::<usize>() <= MAX_BROAD
        };
        let levels = (0..=depth.min(MAX_DEPTH)).take_while(is_near);
        let levels = levels.flat_map(|depth| self.own_level(depth));
        levels.flat_map(|listing| listing.files.iter().map(String::as_str))
    }

    /// The folders of the first levels, in the same order; those that no search enters included.
    pub(crate) fn folders(&self, depth: usize) -> impl Iterator<Item = &str> {
        let levels = (0..depth.min(MAX_DEPTH)).flat_map(|depth| self.level(depth));
        levels.flat_map(|listing| listing.folders.iter().map(String::as_str))
    }

    /// What lies directly in the root.
    pub(super) fn top(&self) -> &Listing {
        self.level(0).first().map_or(&self.search.none, |top| top)
    }

    /// Whether there may be a file of the path. Most paths that are asked for are not there, and are told by their
    /// first byte and their length.
    pub(super) fn may_have(&self, path: &str) -> bool {
        let signs = self.search.signs.get_or_init(|| Signs::of(self.top()));
        let first = usize::from(path.as_bytes().first().copied().unwrap_or_default());
        signs.folders[first] || signs.files[first] & length_of(path) != 0
    }

    /// The listings of the folders of one depth.
    fn level(&self, depth: usize) -> &[Arc<Listing>] {
        let Some(level) = self.search.levels.get(depth) else {
            return &[];
        };
        level.get_or_init(|| match depth.checked_sub(1) {
            None => vec![self.tree.list("")],
            Some(above) => self.inside(self.level(above).iter(), |_| true),
        })
    }

    fn own_level(&self, depth: usize) -> &[Arc<Listing>] {
        let Some(level) = self.search.own_levels.get(depth) else {
            return &[];
        };
        level.get_or_init(|| match depth.checked_sub(1) {
            None => self.level(0).to_vec(),
            Some(above) => {
                let above = self.own_level(above).iter();
                let is_entered = |listing: &&Arc<Listing>| {
                    depth < BROAD_FROM || listing.folders.len() <= MAX_BROAD
                };
                self.inside(above.filter(is_entered), |folder| !code::is_test(folder))
            }
        })
    }

    /// The listings of the folders in some listings, as far as searches enter them.
    fn inside<'s>(
        &self,
        above: impl Iterator<Item = &'s Arc<Listing>>,
        enters: impl Fn(&str) -> bool,
    ) -> Vec<Arc<Listing>> {
        let folders = above.flat_map(|listing| &listing.folders);
        folders
            .filter(|folder| is_searched(folder) && enters(folder))
            .take_while(|folder| self.is_listed(folder) || self.spend())
            .map(|folder| {
                let is_new = !self.is_listed(folder);
                let found = self.list(folder);
                if is_new {
                    self.search.seen(&found);
                }
                found
            })
            .collect()
    }

    fn is_listed(&self, folder: &str) -> bool {
        self.search.listings.borrow().contains_key(folder)
    }

    /// What lies directly in a folder.
    pub(crate) fn list(&self, folder: &str) -> Arc<Listing> {
        if let Some(known) = self.search.listings.borrow().get(folder) {
            return Arc::clone(known);
        }
        let listing = self.tree.list(folder);
        self.search
            .listings
            .borrow_mut()
            .insert(folder.to_owned(), Arc::clone(&listing));
        listing
    }

    /// The files below a folder (named without a trailing `/`), nearest first. Folders are listed as the iterator
    /// reaches them.
    pub(crate) fn under(&self, folder: &str) -> impl Iterator<Item = String> {
        let mut current = match folder {
            "" => Arc::default(),
            folder => self.list(folder),
        };
        let (mut at, mut left, mut queue) = (0, MAX_BELOW, VecDeque::new());
        std::iter::from_fn(move || {
            loop {
                if let Some(file) = current.files.get(at) {
                    at += 1;
                    return Some(file.clone());
                }
                queue.extend(current.folders.iter().take(left).cloned());
                left -= current.folders.len().min(left);
                current = self.list(&queue.pop_front()?);
                at = 0;
            }
        })
    }

    /// Takes a folder from the budget; where none is left, the report says so.
    fn spend(&self) -> bool {
        let search = &self.search;
        if search.folders.get() >= MAX_FOLDERS || search.files.get() >= MAX_FILES {
            self.warn(format!(
                "the search ended after {} folders: what lies deeper was only looked up where a path names it",
                search.folders.get()
            ));
            return false;
        }
        search.folders.set(search.folders.get() + 1);
        true
    }
}

/// Whether searches enter a folder: not those of tools, and below the root not those of tests, examples,
/// documentation and assets.
fn is_searched(folder: &str) -> bool {
    let name = base_name(folder);
    let aside = || ASSETS.contains(&name) || code::is_test(folder);
    let below = folder.contains('/') && !folder.contains("src/main/");
    !(name.starts_with('.') || below && aside())
}
