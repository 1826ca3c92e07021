//! The lock, chosen by feature (the table is in the crate's documentation): never one that is compiled out.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::AtomicBool;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::AtomicBool;

#[cfg(loom)]
mod chosen {
    use std::sync::PoisonError;

    use loom::sync;

    pub(super) type Mutex<T> = sync::Mutex<T>;
    pub(super) type Guard<'a, T> = sync::MutexGuard<'a, T>;

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> Guard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get_mut<T>(mutex: &mut Mutex<T>) -> &mut T {
        mutex.get_mut().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(all(not(loom), not(feature = "kspin")))]
mod chosen {
    pub(super) type Mutex<T> = spin::Mutex<T>;
    pub(super) type Guard<'a, T> = spin::MutexGuard<'a, T>;

    #[inline]
    pub(super) fn lock<T>(mutex: &Mutex<T>) -> Guard<'_, T> {
        mutex.try_lock().unwrap_or_else(|| wait(mutex))
    }

    /// Pauses of the processor before the lock is tried again: at first, and at most.
    const PATIENCE: (u32, u32) = (800, 3200);

    /// Tries again after pauses that double. Whoever tries all the time takes the cache line with the lock away from
    /// the thread that holds it, and with it the time that both need (`docs/adr/0013-the-lock-of-the-hierarchy.md`).
    #[cold]
    fn wait<T>(mutex: &Mutex<T>) -> Guard<'_, T> {
        let (mut pauses, most) = PATIENCE;
        loop {
            for _ in 0..pauses {
                core::hint::spin_loop();
            }
            if let Some(guard) = mutex.try_lock() {
                return guard;
            }
            if pauses < most {
                pauses *= 2;
            } else {
                give_way();
            }
        }
    }

    /// Lets another thread have the processor: the holder may be waiting for it.
    fn give_way() {
        #[cfg(feature = "std")]
        std::thread::sleep(core::time::Duration::from_micros(50));
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

    #[inline]
    pub(crate) fn lock(&self) -> chosen::Guard<'_, T> {
        chosen::lock(&self.0)
    }

    /// Without locking: whoever has it exclusively shares it with nobody.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        chosen::get_mut(&mut self.0)
    }
}
