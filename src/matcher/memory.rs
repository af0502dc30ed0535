//! How much memory collections hold, in bytes on the heap.

/// What a vector holds.
pub(super) fn of_vec<T>(vec: &Vec<T>) -> usize {
    vec.capacity() * size_of::<T>()
}
