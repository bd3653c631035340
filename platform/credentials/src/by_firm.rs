//! A bounded memory that all firms share and none can fill for the others.

use kernel::TenantId;
use std::collections::HashMap;
use std::hash::Hash;

/// What is remembered of each firm, together at most so much. When it is full, the firm of which most is remembered makes
/// room for one of which less is.
#[derive(Debug)]
pub(crate) struct ByFirm<K, V> {
    max: usize,
    len: usize,
    firms: HashMap<TenantId, HashMap<K, V>>,
}

/// What became of something new.
#[derive(Debug)]
pub(crate) enum Place<'f, V> {
    /// It is there; something of another firm may have had to leave for it.
    There(&'f mut V, Option<V>),
    /// There is no room, and most of what there is, is the firm's own.
    Full,
}

impl<K: Hash + Eq + Clone, V> ByFirm<K, V> {
    pub fn new(max: usize) -> Self {
        Self { max, len: 0, firms: HashMap::new() }
    }

    /// What is remembered under `key`, made if there is nothing. Of what may leave, what is `spare` leaves first.
    pub fn entry(
        &mut self,
        firm: TenantId,
        key: K,
        make: impl FnOnce() -> V,
        spare: impl Fn(&V) -> bool,
    ) -> Place<'_, V> {
        let of_firm = self.firms.get(&firm);
        let (is_there, has) = of_firm.map_or((false, 0), |of_firm| (of_firm.contains_key(&key), of_firm.len()));
        let mut left = None;
        if !is_there && self.len >= self.max {
            left = self.make_room(has, spare);
            if left.is_none() {
                return Place::Full;
            }
        }
        self.len += usize::from(!is_there);
        Place::There(self.firms.entry(firm).or_default().entry(key).or_insert_with(make), left)
    }

    /// Lets something leave of the firm of which most is remembered, if that is more than a firm would have that has `has`.
    fn make_room(&mut self, has: usize, spare: impl Fn(&V) -> bool) -> Option<V> {
        let (most, of_most) = self.firms.iter_mut().map(|(firm, all)| (*firm, all)).max_by_key(|(_, all)| all.len())?;
        // With one more it must not have most itself, or two firms would make room for each other in turn.
        if has + 1 > of_most.len().saturating_sub(1) {
            return None;
        }
        let leaves = of_most.iter().find(|(_, value)| spare(value)).or_else(|| of_most.iter().next());
        let leaves = leaves.map(|(key, _)| key.clone())?;
        let left = of_most.remove(&leaves);
        if of_most.is_empty() {
            self.firms.remove(&most);
        }
        self.len -= usize::from(left.is_some());
        left
    }

    /// Forgets what is not to be kept.
    pub fn retain(&mut self, mut keep: impl FnMut(TenantId, &K, &mut V) -> bool) {
        self.firms.retain(|firm, all| {
            let before = all.len();
            all.retain(|key, value| keep(*firm, key, value));
            self.len -= before - all.len();
            !all.is_empty()
        });
    }

    /// Forgets everything, and hands it out.
    pub fn drain(&mut self) -> impl Iterator<Item = V> {
        self.len = 0;
        std::mem::take(&mut self.firms).into_values().flat_map(HashMap::into_values)
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.len == 0 && self.firms.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn firm(number: u128) -> TenantId {
        TenantId(Uuid::from_u128(number))
    }

    fn put(memory: &mut ByFirm<u32, u32>, of: u128, key: u32) -> Result<Option<u32>, ()> {
        match memory.entry(firm(of), key, || key, |value| *value >= 100) {
            Place::There(_, left) => Ok(left),
            Place::Full => Err(()),
        }
    }

    #[test]
    fn a_firm_may_use_everything_and_makes_room_when_others_come() {
        let mut memory = ByFirm::new(6);
        for key in 98..104 {
            assert_eq!(put(&mut memory, 1, key), Ok(None));
        }
        assert_eq!(put(&mut memory, 1, 7), Err(()), "nobody makes room for their own");
        assert_eq!(put(&mut memory, 1, 98), Ok(None), "what is there needs no room");
        for key in 0..2 {
            assert!(put(&mut memory, 2, key).unwrap().is_some_and(|left| left >= 100), "what is spare leaves first");
        }
        assert!(put(&mut memory, 3, 0).unwrap().is_some());
        assert!(put(&mut memory, 3, 1).unwrap().is_some());
        assert_eq!(put(&mut memory, 3, 2), Err(()), "it would have more than whoever made room");
        let mut of = HashMap::<TenantId, usize>::new();
        memory.retain(|firm, _, _| {
            *of.entry(firm).or_default() += 1;
            firm.0.as_u128() != 1
        });
        assert_eq!(of, HashMap::from([(firm(1), 2), (firm(2), 2), (firm(3), 2)]));
        assert_eq!((memory.len, put(&mut memory, 1, 1)), (4, Ok(None)));
        assert_eq!(memory.drain().count(), 5);
        assert!(memory.is_empty());
    }
}
