//! The lock, chosen by feature: the table is in the crate's documentation. Never one that is compiled out.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::AtomicBool;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::AtomicBool;

#[cfg(loom)]
mod chosen {
    use loom::sync;

    pub(super) type Mutex<T> = sync::Mutex<T>;
    pub(super) type Guard<'a, T> = sync::MutexGuard<'a, T>;

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> Guard<'_, T> {
        mutex.lock().unwrap_or_else(sync::PoisonError::into_inner)
    }

    pub(super) fn get_mut<T>(mutex: &mut Mutex<T>) -> &mut T {
        mutex
            .get_mut()
            .unwrap_or_else(sync::PoisonError::into_inner)
    }
}

#[cfg(all(not(loom), feature = "kspin"))]
mod chosen {
    pub(super) type Mutex<T> = kspin::SpinNoIrq<T>;
    pub(super) type Guard<'a, T> = kspin::SpinNoIrqGuard<'a, T>;

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> Guard<'_, T> {
        mutex.lock()
    }

    pub(super) fn get_mut<T>(mutex: &mut Mutex<T>) -> &mut T {
        mutex.get_mut()
    }
}

#[cfg(all(not(loom), not(feature = "kspin"), feature = "std"))]
mod chosen {
    use std::sync;

    pub(super) type Mutex<T> = sync::Mutex<T>;
    pub(super) type Guard<'a, T> = sync::MutexGuard<'a, T>;

    #[inline]
    pub(super) fn lock<T>(mutex: &Mutex<T>) -> Guard<'_, T> {
        match mutex.try_lock() {
            Ok(g) => g,
            Err(_) => wait(mutex),
        }
    }
    #[cold]
    fn wait<T>(mutex: &Mutex<T>) -> Guard<'_, T> {
        const N: u32 = 4000;
        const K: u32 = 4;
        const M: u32 = 1;
        let mut n = N;
        for _ in 0..K {
            for _ in 0..n {
                core::hint::spin_loop();
            }
            if let Ok(g) = mutex.try_lock() {
                return g;
            }
            n *= M;
        }
        mutex.lock().unwrap_or_else(sync::PoisonError::into_inner)
    }

    pub(super) fn get_mut<T>(mutex: &mut Mutex<T>) -> &mut T {
        mutex
            .get_mut()
            .unwrap_or_else(sync::PoisonError::into_inner)
    }
}

#[cfg(all(not(loom), not(feature = "kspin"), not(feature = "std")))]
mod chosen {
    pub(super) type Mutex<T> = spin::Mutex<T>;
    pub(super) type Guard<'a, T> = spin::MutexGuard<'a, T>;

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> Guard<'_, T> {
        mutex.lock()
    }

    pub(super) fn get_mut<T>(mutex: &mut Mutex<T>) -> &mut T {
        mutex.get_mut()
    }
}

/// What several threads share.
pub(crate) struct Lock<T>(chosen::Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(chosen::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> chosen::Guard<'_, T> {
        chosen::lock(&self.0)
    }

    /// Without locking: whoever has it exclusively shares it with nobody.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        chosen::get_mut(&mut self.0)
    }
}
