//! What orders the members of a list: their number, and for two of one number their address.

use alloc::sync::Arc;

use crate::Pid;

/// Names one object in a list for as long as the list refers to it, so that nothing is ever mistaken for another
/// with its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    number: Pid,
    address: usize,
}

impl Key {
    pub(crate) fn new<T>(number: Pid, object: &T) -> Self {
        Self {
            number,
            address: core::ptr::from_ref(object).addr(),
        }
    }

    pub(crate) fn of<T>(number: Pid, object: &Arc<T>) -> Self {
        Self::new(number, &**object)
    }
}
