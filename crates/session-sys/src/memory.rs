//! Large buffers whose pages go back to the kernel at once, outside the heap that would keep them.

#![allow(unsafe_code)] // mappings are raw pointers

use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

/// An anonymous private mapping, all zero at first. A page costs memory only once it is written.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is plain memory owned by this value alone, like the memory of a Vec<u8>.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes, which must not be zero.
    pub fn new(len: usize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len })
    }

    /// Gives all pages back; the content is zero afterwards.
    pub fn release(&mut self) {
        // SAFETY: the range is this value's own mapping and nobody borrows it (`&mut self`); a private
        // anonymous page reads as zero after MADV_DONTNEED.
        let result =
            unsafe { madvise(self.start.as_ptr().cast(), self.len, Advice::LinuxDontNeed) };
        // It fails only for locked pages (mlockall of the caller): then memory is kept, but the promise about
        // the content still has to hold.
        if result.is_err() {
            self.fill(0);
        }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is readable, initialised by the kernel and lives as long as self.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Mapping {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and writable; `&mut self` makes the borrow exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is exactly what `new` mapped, and nothing refers to it any more.
        let result = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(result.is_ok(), "munmap of an own mapping: {result:?}");
    }
}

/// Memory behind a descriptor (memfd_create(2)), which outlives whoever writes it as long as somebody has a copy of that.
///
/// It begins with a page of words, behind which lie the bytes. A page costs memory only once it is written.
#[derive(Debug)]
pub struct Shared {
    memory: Mapping,
    file: OwnedFd,
}

/// Bytes that the words take.
const WORDS: usize = 4096;

/// The words of a [`Shared`] alone.
#[derive(Debug)]
pub struct Words(Mapping);

impl Words {
    /// One of the words.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        word(&self.0, index)
    }
}

/// A word at the beginning of shared memory.
fn word(memory: &Mapping, index: usize) -> &AtomicU64 {
    assert!(index < WORDS / size_of::<AtomicU64>());
    // SAFETY: within the first page of the mapping, which is aligned to one and lives as long as the borrow. Nobody has a
    // plain reference to these bytes: `Shared` lends those behind them only, and `Words` none.
    unsafe { memory.start.cast::<AtomicU64>().add(index).as_ref() }
}

/// Maps the first `len` bytes of a file that is sealed against shrinking and at least as long.
fn map_shared(file: &OwnedFd, len: usize) -> io::Result<Mapping> {
    // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory; the seal keeps the file
    // from shrinking below it.
    let start = unsafe {
        mmap(
            std::ptr::null_mut(),
            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            file,
            0,
        )?
    };
    let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
    Ok(Mapping { start, len })
}

impl Shared {
    /// New memory for `len` bytes and the words, all zero.
    pub fn new(name: &str, len: usize) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create(name, flags)?;
        rustix::fs::ftruncate(&file, (WORDS + len) as u64)?;
        // Who maps it relies on its size: one that shrank would be a SIGBUS.
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
        Self::of(file, len)
    }

    /// As [`Shared::new`], for whoever may not make so long a file (RLIMIT_FSIZE): its descriptor is of no use to others.
    pub fn alone(len: usize) -> io::Result<Self> {
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
        let file = rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty())?;
        let memory = Mapping::new(WORDS + len)?;
        Ok(Self { memory, file })
    }

    /// The memory behind `file`, as [`Shared::new`] made it; `InvalidData` if it has another size.
    pub fn of(file: OwnedFd, len: usize) -> io::Result<Self> {
        let sealed = rustix::fs::fcntl_get_seals(&file)?.contains(SealFlags::SHRINK);
        if !sealed || rustix::fs::fstat(&file)?.st_size != (WORDS + len) as i64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let memory = map_shared(&file, WORDS + len)?;
        Ok(Self { memory, file })
    }

    /// One of the words.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        word(&self.memory, index)
    }

    /// The same words, for somebody who needs them while the bytes are lent.
    pub fn words(&self) -> io::Result<Words> {
        map_shared(&self.file, WORDS).map(Words)
    }

    /// The bytes. Of the processes that have the memory only one uses it at a time: the owner of a session.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: readable, behind the words, and alive as long as self.
        unsafe {
            std::slice::from_raw_parts(
                self.memory.start.as_ptr().add(WORDS),
                self.memory.len - WORDS,
            )
        }
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and writable; `&mut self` makes the borrow exclusive.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.memory.start.as_ptr().add(WORDS),
                self.memory.len - WORDS,
            )
        }
    }

    /// Gives all pages back; words and bytes are zero afterwards, for everyone who has the memory.
    pub fn release(&mut self) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, flags, 0, self.memory.len as u64) {
            Ok(()) => {}
            // No file of ours.
            Err(rustix::io::Errno::NODEV | rustix::io::Errno::SPIPE) => self.memory.release(),
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }
}

impl AsFd for Shared {
    /// What others can map it by.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Gives the free pages of the heap back to the kernel, where the allocator can (glibc).
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim is thread-safe and touches only memory that is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Gives the pages of the calling thread's stack back that are below its present frame: a deep call touched them once,
/// and they would stay for the life of a process that mostly waits.
#[inline(never)]
pub fn trim_stack() {
    /// Looked at below the present frame. The kernel keeps at least a megabyte below a stack free of other mappings
    /// (stack_guard_gap), so none of these can be another's.
    const DEPTH: usize = 128 << 10;
    let here = 0u8;
    let page = rustix::param::page_size();
    // The calls from here on have a page of their own.
    let end = (std::ptr::addr_of!(here) as usize).saturating_sub(2 * page) & !(page - 1);
    let start = end.saturating_sub(DEPTH);
    // SAFETY: nothing below the stack pointer is in use but for what calls from here on push, for which more than a page
    // is left out; private anonymous pages read as zero when they are touched again.
    let result = unsafe {
        madvise(
            std::ptr::with_exposed_provenance_mut(start),
            end - start,
            Advice::LinuxDontNeed,
        )
    };
    // ENOMEM: the stack does not reach so deep; what it has was given back (madvise(2)).
    let _ = result;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_used_again_after_it_was_trimmed() {
        #[inline(never)]
        fn deep(depth: usize) -> usize {
            let buffer = std::hint::black_box([depth as u8; 4096]);
            if depth == 0 {
                0
            } else {
                usize::from(buffer[depth]) + deep(depth - 1)
            }
        }
        let kept = std::hint::black_box([7u8; 64]);
        let first = deep(20);
        trim_stack();
        assert_eq!((deep(20), kept), (first, [7; 64]));
    }

    #[test]
    fn holds_bytes_until_released() {
        let mut mapping = Mapping::new(10_000).unwrap();
        assert_eq!(mapping.len(), 10_000);
        assert!(mapping.iter().all(|&byte| byte == 0));
        mapping[9_999] = 7;
        mapping[0] = 1;
        assert_eq!((mapping[0], mapping[9_999]), (1, 7));
        mapping.release();
        assert!(mapping.iter().all(|&byte| byte == 0));
        mapping[5] = 5;
        assert_eq!(mapping[5], 5);
    }

    #[test]
    fn release_gives_the_memory_back() {
        const LEN: usize = 32 << 20;
        let resident = |mapping: &Mapping| {
            let start = format!("{:x}-", mapping.start.as_ptr() as usize);
            let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            // Neighbours may have merged with it, so ask for no more than "much" and "little".
            let line = smaps
                .lines()
                .skip_while(|line| !line.starts_with(&start))
                .find_map(|line| line.strip_prefix("Rss:"))
                .unwrap();
            line.trim_end_matches("kB").trim().parse::<usize>().unwrap() << 10
        };
        let mut mapping = Mapping::new(LEN).unwrap();
        mapping.fill(1);
        let full = std::fs::read_to_string("/proc/self/smaps").unwrap();
        if !full.contains(&format!("\n{:x}-", mapping.start.as_ptr() as usize)) {
            return; // merged with the mapping below it: cannot be told apart
        }
        assert!(resident(&mapping) >= LEN / 2);
        mapping.release();
        assert!(resident(&mapping) < LEN / 2);
        trim();
    }

    #[test]
    fn what_is_shared_is_seen_by_whoever_has_the_descriptor() {
        use std::sync::atomic::Ordering::Relaxed;
        let mut one = Shared::new("test", 10_000).unwrap();
        let copy = one.as_fd().try_clone_to_owned().unwrap();
        let other = Shared::of(copy.try_clone().unwrap(), 10_000).unwrap();
        one.bytes_mut()[9_999] = 7;
        one.word(511).store(9, Relaxed);
        assert_eq!(
            (other.bytes()[9_999], other.word(511).load(Relaxed)),
            (7, 9)
        );
        assert_eq!(other.bytes()[0], 0, "words and bytes are apart");
        assert_eq!(one.words().unwrap().word(511).load(Relaxed), 9);
        one.release().unwrap();
        assert_eq!(
            (other.bytes()[9_999], other.word(511).load(Relaxed)),
            (0, 0)
        );
        drop(one);
        assert_eq!(other.bytes().len(), 10_000);
        assert!(Shared::of(copy, 10_001).is_err());
        let mut alone = Shared::alone(10_000).unwrap();
        alone.bytes_mut()[7] = 7;
        alone.release().unwrap();
        assert_eq!(alone.bytes()[7], 0);
        let copy = alone.as_fd().try_clone_to_owned().unwrap();
        assert!(Shared::of(copy, 10_000).is_err());
        let plain = std::fs::File::open("/proc/self/exe").unwrap();
        assert!(Shared::of(plain.into(), 1).is_err());
    }

    #[test]
    fn no_bytes_are_an_error() {
        assert!(Mapping::new(0).is_err());
    }
}
