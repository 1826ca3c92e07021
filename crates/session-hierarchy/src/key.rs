//! What orders the members of a list: their number, and for two of one number the place that they were made at.

use alloc::sync::Weak;

use crate::Pid;

/// Names one object in a list for as long as the list refers to it, so that nothing is ever mistaken for another
/// with its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) number: Pid,
    address: usize,
}

impl Key {
    /// Of an object that is being made. It keeps its key, for it may leave its place (`Arc::into_inner`), which the
    /// lists still refer to then and which is given to no other object before they are left.
    pub(crate) fn of<T>(number: Pid, place: &Weak<T>) -> Self {
        Self {
            number,
            address: place.as_ptr().addr(),
        }
    }
}
