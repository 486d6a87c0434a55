//! A map that forgets what has not been used for a while, and what there is no room for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::mem;

/// A value that knows what it has on the heap.
pub(crate) trait HeapSize {
    /// In bytes.
    fn heap_size(&self) -> usize;
}

/// What a key costs beside what its value has on the heap: an allocation's overhead, and its place
/// in a table that is at least 7/16 full, and has the table before it at its side while it grows.
const fn per_key<K, V>() -> usize {
    64 + 4 * size_of::<(K, V)>()
}

/// Two generations of entries. What is used is, or becomes, of the young one. After each lifetime
/// the old one is dropped and the young one becomes old, so every entry lives for at least one
/// lifetime after its last use, and none is seen any more after two. When the young generation has
/// its share of the memory they change early: then what was idle longest is forgotten.
///
/// That costs a lookup or two, whatever the number of keys, and nothing ever walks over all of them
/// but the dropping of a whole generation.
#[derive(Debug)]
pub(crate) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// What the young ones have taken, in bytes.
    taken: usize,
    /// How much one generation may take.
    share: usize,
    lifetime: u64,
    changed_at: u64,
}

impl<K: Eq + Hash, V: Default + HeapSize> Generations<K, V> {
    /// Both generations together take at most `memory` bytes. Times are in milliseconds.
    pub(crate) fn new(lifetime: u64, memory: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            taken: 0,
            share: memory / 2,
            lifetime,
            changed_at: 0,
        }
    }

    /// Uses the entry of a key, which is new if there is none. What comes back beside the answer
    /// has been forgotten, and is best dropped where nobody waits for it.
    pub(crate) fn with<T>(
        &mut self,
        now: u64,
        key: K,
        work: impl FnOnce(&mut V) -> T,
    ) -> (T, Forgotten<K, V>) {
        let forgotten = self.age(now);
        (self.touch(key, work), forgotten)
    }

    /// Uses the entry of a key, if there is one.
    pub(crate) fn with_known<T>(
        &mut self,
        now: u64,
        key: K,
        work: impl FnOnce(&mut V) -> T,
    ) -> (Option<T>, Forgotten<K, V>) {
        let forgotten = self.age(now);
        let known = self.young.contains_key(&key) || self.old.contains_key(&key);
        (known.then(|| self.touch(key, work)), forgotten)
    }

    fn touch<T>(&mut self, key: K, work: impl FnOnce(&mut V) -> T) -> T {
        let (value, before) = match self.young.entry(key) {
            Entry::Occupied(entry) => {
                let before = per_key::<K, V>() + entry.get().heap_size();
                (entry.into_mut(), before)
            }
            Entry::Vacant(entry) => {
                let known = self.old.remove(entry.key());
                (entry.insert(known.unwrap_or_default()), 0)
            }
        };
        let done = work(value);
        self.taken = self.taken + per_key::<K, V>() + value.heap_size() - before;
        done
    }

    /// Forgets a key.
    pub(crate) fn remove(&mut self, key: &K) {
        self.old.remove(key);
        if let Some(value) = self.young.remove(key) {
            self.taken -= per_key::<K, V>() + value.heap_size();
        }
    }

    fn age(&mut self, now: u64) -> Forgotten<K, V> {
        let age = now.saturating_sub(self.changed_at);
        if age < self.lifetime && self.taken < self.share {
            return Forgotten::default();
        }
        let young = mem::take(&mut self.young);
        self.taken = 0;
        self.changed_at = now;
        // After two lifetimes without any use, the young ones are too old as well.
        if age >= self.lifetime.saturating_mul(2) {
            let old = mem::take(&mut self.old);
            return Forgotten(young, old);
        }
        Forgotten(mem::replace(&mut self.old, young), HashMap::new())
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

/// Entries that are gone.
#[derive(Debug)]
pub(crate) struct Forgotten<K, V>(
    #[expect(dead_code, reason = "only to be dropped")] HashMap<K, V>,
    #[expect(dead_code, reason = "only to be dropped")] HashMap<K, V>,
);

impl<K, V> Default for Forgotten<K, V> {
    fn default() -> Self {
        Self(HashMap::new(), HashMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl HeapSize for u32 {
        fn heap_size(&self) -> usize {
            0
        }
    }

    fn count(map: &mut Generations<u32, u32>, now: u64, key: u32) -> u32 {
        let (count, _) = map.with(now, key, |count| {
            *count += 1;
            *count
        });
        count
    }

    #[test]
    fn an_entry_outlives_its_last_use_by_a_lifetime_and_not_by_two() {
        for start in [0, 3, 9] {
            let mut map = Generations::new(10, 1 << 20);
            count(&mut map, start, 1);
            assert_eq!(count(&mut map, start + 9, 1), 2);
            assert_eq!(count(&mut map, start + 18, 1), 3);
            // Others go on meanwhile.
            count(&mut map, start + 28, 2);
            count(&mut map, start + 38, 2);
            assert_eq!(count(&mut map, start + 39, 1), 1, "started at {start}");
        }
    }

    #[test]
    fn nothing_is_left_after_a_long_rest() {
        let mut map = Generations::new(10, 1 << 20);
        count(&mut map, 0, 1);
        assert_eq!(count(&mut map, 20, 1), 1);
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn a_flood_takes_no_more_than_its_memory_and_leaves_those_in_use() {
        let mut map = Generations::new(1000, 100 * per_key::<u32, u32>());
        for key in 0..100_000 {
            count(&mut map, 0, key + 1);
            if key % 40 == 0 {
                count(&mut map, 0, 0);
            }
            assert!(map.len() <= 101, "{}", map.len());
        }
        assert_eq!(count(&mut map, 0, 0), 2501);
        assert_eq!(count(&mut map, 0, 1), 1);
    }

    #[test]
    fn what_is_removed_is_gone_from_both_generations_and_gives_its_room_back() {
        let mut map = Generations::new(10, 1 << 20);
        count(&mut map, 0, 1);
        count(&mut map, 10, 2);
        map.remove(&1);
        map.remove(&2);
        assert_eq!((map.len(), map.taken), (0, 0));
        assert_eq!(count(&mut map, 11, 1), 1);
    }
}
