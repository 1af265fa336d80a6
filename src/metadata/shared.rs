//! Collections of which copies share what they have in common.
//!
//! An image is copied before each change, and it may hold 100,000 topics: a copy of a `BTreeMap` of
//! them takes tens of milliseconds. These cost one pointer to copy, and to change after that, one
//! chunk and the list of chunks.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Index;
use std::slice;
use std::sync::Arc;

/// About the square root of the sizes that matter, so that the list of chunks is no longer than
/// they are.
const CHUNK_LEN: usize = 128;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// A sorted map.
#[derive(Clone)]
pub struct SharedMap<K, V> {
    /// None is empty, or longer than [`CHUNK_LEN`]; keys ascend from the first to the last.
    chunks: Arc<Vec<Chunk<K, V>>>,
    len: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self { chunks: Arc::default(), len: 0 }
    }
}

impl<K, V> SharedMap<K, V> {
    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).map(|(key, value)| (key, value))
    }

    /// All keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Whether both are one map in memory, so that they surely hold the same.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks)
    }
}

impl<K: Ord, V> SharedMap<K, V> {
    /// The chunk that has `key`, or would have it.
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let after = self.chunks.partition_point(|chunk| chunk[0].0.borrow() <= key);
        after.saturating_sub(1)
    }

    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(usize, usize)>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunk_of(key);
        let found = self.chunks.get(chunk)?.binary_search_by(|(at, _)| at.borrow().cmp(key));
        Some((chunk, found.ok()?))
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.find(key).map(|(chunk, at)| &self.chunks[chunk][at].1)
    }

    /// The entry of a key, or of the greatest before it.
    pub fn last_up_to<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        let after = chunk.partition_point(|(at, _)| at.borrow() <= key);
        chunk[..after].last().map(|(key, value)| (key, value))
    }

    /// Whether it has a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_some()
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// The value of a key, to be changed here and in no copy.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (chunk, at) = self.find(key)?;
        Some(&mut self.chunk_mut(chunk)[at].1)
    }

    fn chunk_mut(&mut self, chunk: usize) -> &mut Vec<(K, V)> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.chunks)[chunk])
    }

    /// The value of a key, which is its default when there was none.
    pub fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let (chunk, at) = match self.find(&key) {
            Some(found) => found,
            None => self.insert_new(key, V::default()),
        };
        &mut self.chunk_mut(chunk)[at].1
    }

    /// Sets the value of a key. Returns the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(present) = self.get_mut(&key) {
            return Some(std::mem::replace(present, value));
        }
        self.insert_new(key, value);
        None
    }

    /// Inserts a key that is not there; where it is then.
    fn insert_new(&mut self, key: K, value: V) -> (usize, usize) {
        self.len += 1;
        let mut chunk = self.chunk_of(&key);
        let chunks = Arc::make_mut(&mut self.chunks);
        if chunks.is_empty() {
            chunks.push(Arc::default());
        }
        let entries = Arc::make_mut(&mut chunks[chunk]);
        let mut at = entries.partition_point(|(other, _)| *other < key);
        if entries.len() < CHUNK_LEN {
            entries.insert(at, (key, value));
            return (chunk, at);
        }
        // Whoever appends in order leaves full chunks behind.
        let middle = if at == CHUNK_LEN { CHUNK_LEN } else { CHUNK_LEN / 2 };
        let mut upper = entries.split_off(middle);
        if at >= middle {
            (chunk, at) = (chunk + 1, at - middle);
            upper.insert(at, (key, value));
            chunks.insert(chunk, Arc::new(upper));
        } else {
            entries.insert(at, (key, value));
            chunks.insert(chunk + 1, Arc::new(upper));
        }
        (chunk, at)
    }

    /// Takes a key out. Returns the value that it had.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (chunk, at) = self.find(key)?;
        self.len -= 1;
        let (_, value) = self.chunk_mut(chunk).remove(at);
        self.shrink(chunk);
        Some(value)
    }

    /// Joins a chunk that lost an entry with the next, when both fit well into one.
    fn shrink(&mut self, chunk: usize) {
        let chunks = Arc::make_mut(&mut self.chunks);
        if chunks[chunk].is_empty() {
            chunks.remove(chunk);
        } else if let Some(next) = chunks.get(chunk + 1)
            && chunks[chunk].len() + next.len() <= CHUNK_LEN / 2
        {
            let next = chunks.remove(chunk + 1);
            Arc::make_mut(&mut chunks[chunk]).extend(next.iter().cloned());
        }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || (self.len == other.len && self.iter().eq(other.iter()))
    }
}

impl<K: Eq, V: Eq> Eq for SharedMap<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Borrow<Q>, V, Q: Ord + ?Sized> Index<&Q> for SharedMap<K, V> {
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("the key is in the map")
    }
}

/// A list that grows at its end.
#[derive(Clone)]
pub struct SharedVec<T> {
    /// All but the last have [`CHUNK_LEN`] elements; none is empty.
    chunks: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T> Default for SharedVec<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T> SharedVec<T> {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// An element.
    pub fn get(&self, at: usize) -> Option<&T> {
        self.chunks.get(at / CHUNK_LEN)?.get(at % CHUNK_LEN)
    }

    /// The first element.
    pub fn first(&self) -> Option<&T> {
        self.get(0)
    }

    /// All elements in order.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { chunks: self.chunks.iter(), chunk: [].iter() }
    }
}

impl<T: Clone> SharedVec<T> {
    /// An element, to be changed here and in no copy.
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        Arc::make_mut(self.chunks.get_mut(at / CHUNK_LEN)?).get_mut(at % CHUNK_LEN)
    }

    /// Adds an element at the end.
    pub fn push(&mut self, element: T) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK_LEN => Arc::make_mut(last).push(element),
            _ => self.chunks.push(Arc::new(vec![element])),
        }
        self.len += 1;
    }
}

/// The elements of a [`SharedVec`].
#[derive(Clone, Debug)]
pub struct Iter<'a, T> {
    chunks: slice::Iter<'a, Arc<Vec<T>>>,
    chunk: slice::Iter<'a, T>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        loop {
            if let Some(element) = self.chunk.next() {
                return Some(element);
            }
            self.chunk = self.chunks.next()?.iter();
        }
    }
}

impl<'a, T> IntoIterator for &'a SharedVec<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: PartialEq> PartialEq for SharedVec<T> {
    fn eq(&self, other: &Self) -> bool {
        self.chunks == other.chunks
    }
}

impl<T: Eq> Eq for SharedVec<T> {}

impl<T: fmt::Debug> fmt::Debug for SharedVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T> Index<usize> for SharedVec<T> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        self.get(at).expect("the index is in the list")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn check(map: &SharedMap<u16, u32>, model: &BTreeMap<u16, u32>) {
        assert_eq!(map.len(), model.len());
        assert_eq!(map.is_empty(), model.is_empty());
        assert!(map.iter().eq(model.iter()));
        for chunk in &*map.chunks {
            assert!((1..=CHUNK_LEN).contains(&chunk.len()));
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u16, u32),
        InsertMany(u16, u16),
        Remove(u16),
        RemoveMany(u16, u16),
        Change(u16),
        Copy,
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0..2_000u16;
        prop_oneof![
            (key.clone(), any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
            (key.clone(), 1..400u16).prop_map(|(key, count)| Step::InsertMany(key, count)),
            key.clone().prop_map(Step::Remove),
            (key.clone(), 1..400u16).prop_map(|(key, count)| Step::RemoveMany(key, count)),
            key.prop_map(Step::Change),
            Just(Step::Copy),
        ]
    }

    proptest! {
        #[test]
        fn a_shared_map_is_a_sorted_map_and_its_copies_stay_as_they_were(
            steps in prop::collection::vec(step(), 0..60)
        ) {
            let (mut map, mut model) = (SharedMap::default(), BTreeMap::new());
            let mut copies = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        prop_assert_eq!(map.insert(key, value), model.insert(key, value));
                    }
                    Step::InsertMany(from, count) => for key in from..from + count {
                        *map.get_or_default(key) += 1;
                        *model.entry(key).or_default() += 1;
                    },
                    Step::Remove(key) => {
                        prop_assert_eq!(map.remove(&key), model.remove(&key));
                    }
                    Step::RemoveMany(from, count) => for key in from..from + count {
                        prop_assert_eq!(map.remove(&key), model.remove(&key));
                    },
                    Step::Change(key) => {
                        prop_assert_eq!(map.contains_key(&key), model.contains_key(&key));
                        prop_assert_eq!(map.get(&key), model.get(&key));
                        let (ours, theirs) = (map.get_mut(&key), model.get_mut(&key));
                        if let (Some(ours), Some(theirs)) = (ours, theirs) {
                            *ours = 7;
                            *theirs = 7;
                        }
                    }
                    Step::Copy => copies.push((map.clone(), model.clone())),
                }
                check(&map, &model);
            }
            for (map, model) in copies {
                check(&map, &model);
            }
        }

        #[test]
        fn a_shared_list_is_a_list_and_its_copies_stay_as_they_were(
            len in 0..600usize, at in 0..600usize
        ) {
            let mut list = SharedVec::default();
            (0..len).for_each(|element| list.push(element));
            let copy = list.clone();
            if let Some(element) = list.get_mut(at) {
                *element = 1_000;
            }
            list.push(len);
            prop_assert!(copy.iter().copied().eq(0..len));
            prop_assert_eq!(list.len(), len + 1);
            let expect = |index| if index == at && at < len { 1_000 } else { index };
            prop_assert!((0..=len).all(|index| list[index] == expect(index)));
            prop_assert_eq!(list.get(len + 1), None);
            prop_assert!(list.iter().copied().eq((0..=len).map(expect)));
        }
    }

    #[test]
    fn a_change_copies_one_chunk_and_shares_the_others() {
        let mut map = SharedMap::default();
        (0..10_000u32).for_each(|key| assert_eq!(map.insert(key, key), None));
        assert_eq!(map.chunks.len(), 10_000usize.div_ceil(CHUNK_LEN), "appended in order");
        let copy = map.clone();
        assert!(map.is_same(&copy));
        map.insert(5_000, 0);
        assert!(!map.is_same(&copy));
        let shared = map.chunks.iter().zip(&*copy.chunks).filter(|(a, b)| Arc::ptr_eq(a, b));
        assert_eq!(shared.count(), map.chunks.len() - 1);
        assert_ne!(map, copy);
        map.insert(5_000, 5_000);
        assert_eq!(map, copy);
    }
}
