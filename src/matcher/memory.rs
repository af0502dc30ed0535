//! How much memory collections hold, in bytes on the heap.

use std::collections::HashMap;

/// What a vector holds.
pub(super) fn of_vec<T>(vec: &Vec<T>) -> usize {
    vec.capacity() * size_of::<T>()
}

/// What a map holds: a power of two of buckets, of which seven in eight may be used, with a byte
/// of control for each and for one group more.
pub(super) fn of_map<K, V, S>(map: &HashMap<K, V, S>) -> usize {
    const GROUP: usize = 16;
    let buckets = match map.capacity() {
        0 => return 0,
        capacity @ 1..=3 => (capacity + 1).next_power_of_two(),
        capacity => (capacity * 8 / 7).next_power_of_two(),
    };
    let entries = (buckets * size_of::<(K, V)>()).next_multiple_of(GROUP);
    entries + buckets + GROUP
}
