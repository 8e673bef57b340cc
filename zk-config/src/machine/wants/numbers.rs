//! Which entry of the list is a path's.
//!
//! Nearly always one path at a time is wanted, so the first one has its place beside the table: a change of one znode hashes
//! nothing. Knows nothing of entries but their numbers.

use foldhash::fast::RandomState;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

/// All paths that have one. Each is in one of the two places.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    first: Option<(Arc<str>, u64)>,
    others: HashMap<Arc<str>, u64, RandomState>,
}

impl Numbers {
    /// The path's number; `next`, if it has none.
    pub(super) fn get_or_insert(&mut self, path: &Arc<str>, next: u64) -> &mut u64 {
        let is_others = match &self.first {
            Some((first, _)) => first != path,
            None => !self.others.is_empty(),
        };
        if !is_others {
            return &mut self.first.get_or_insert_with(|| (path.clone(), next)).1;
        }
        match self.others.entry(path.clone()) {
            Entry::Occupied(number) => number.into_mut(),
            Entry::Vacant(new) => new.insert(next),
        }
    }

    pub(super) fn remove(&mut self, path: &str) -> Option<u64> {
        let is_first = |(first, _): &mut (Arc<str>, u64)| **first == *path;
        match self.first.take_if(is_first) {
            Some((_, number)) => Some(number),
            None => self.others.remove(path),
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(u64) -> bool) {
        self.first.take_if(|(_, number)| !is_kept(*number));
        self.others.retain(|_, number| is_kept(*number));
    }

    /// Forgets all of them, and keeps room for so many.
    pub(super) fn clear(&mut self, room: usize) {
        self.first = None;
        if self.others.capacity() > 0 {
            self.others.clear();
            self.others.shrink_to(room);
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.others.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a table alone, in every order of a few paths.
    #[test]
    fn a_path_has_one_number_wherever_it_is_kept() {
        let paths: [Arc<str>; 3] = ["/a".into(), "/b".into(), "/c".into()];
        // Each step asks for one of three paths, or removes it.
        for plan in 0..6_u32.pow(6) {
            let (mut numbers, mut model) = (Numbers::default(), HashMap::new());
            for step in 0..6 {
                let choice = plan / 6_u32.pow(step) % 6;
                let path = &paths[choice as usize % 3];
                if choice < 3 {
                    let next = u64::from(step);
                    let expected = *model.entry(path.clone()).or_insert(next);
                    assert_eq!(*numbers.get_or_insert(path, next), expected, "plan {plan}, step {step}");
                } else {
                    assert_eq!(numbers.remove(path), model.remove(path), "plan {plan}, step {step}");
                }
                assert_eq!(numbers.len(), model.len(), "plan {plan}, step {step}");
            }
            numbers.retain(|number| number % 2 == 0);
            model.retain(|_, number| *number % 2 == 0);
            assert_eq!(numbers.len(), model.len(), "plan {plan}");
            for (path, number) in model {
                assert_eq!(numbers.remove(&path), Some(number), "plan {plan}");
            }
        }
    }
}
