//! Memory that is kept back for small things. Rust ends the process where it has none for them; for arrays `room` asks, and they
//! can be refused.

use memmap2::MmapMut;
use std::alloc::{GlobalAlloc, Layout};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of an array that can be refused; what is smaller may use what is kept back.
pub const LARGE: usize = 1 << 16;

/// Bytes kept back. Nobody touches them: they are address space and no memory.
pub const KEPT: usize = 8 << 20;

/// An allocator that keeps some memory back. It is let go when a small thing finds none, and until it could be taken again no array
/// is large: work that meets the end of memory is refused while there is enough to say so.
pub struct Keeping<A> {
    from: A,
    kept: Mutex<Option<MmapMut>>,
    /// Whether some is kept, for those who do not wait for the lock.
    keeps: AtomicBool,
}

impl<A: GlobalAlloc> Keeping<A> {
    pub const fn new(from: A) -> Self {
        Keeping { from, kept: Mutex::new(None), keeps: AtomicBool::new(false) }
    }

    fn kept(&self) -> MutexGuard<'_, Option<MmapMut>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether some is kept back, now if not before.
    fn keeps(&self) -> bool {
        if self.keeps.load(Ordering::Relaxed) {
            return true;
        }
        let mut kept = self.kept();
        if kept.is_none() {
            *kept = MmapMut::map_anon(KEPT).ok();
        }
        self.keeps.store(kept.is_some(), Ordering::Relaxed);
        kept.is_some()
    }

    /// Allocate something that takes `size` bytes: large ones while some is kept back, small ones of what is kept back if need be.
    fn allocated(&self, size: usize, allocate: impl Fn() -> *mut u8) -> *mut u8 {
        let (keeps, large) = (self.keeps(), size >= LARGE);
        if large && !keeps {
            return null_mut();
        }
        let mut at = allocate();
        if at.is_null() && !large {
            let mut kept = self.kept();
            self.keeps.store(false, Ordering::Relaxed);
            *kept = None;
            at = allocate();
        }
        at
    }
}

// SAFETY: everything is allocated and freed by `from`, with the caller's layouts.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Keeping<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promised.
        self.allocated(layout.size(), || unsafe { self.from.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promised.
        self.allocated(layout.size(), || unsafe { self.from.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let grown = if size > layout.size() { size } else { 0 };
        // SAFETY: as the caller promised; where it fails, what was there is as it was.
        self.allocated(grown, || unsafe { self.from.realloc(at, layout, size) })
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { self.from.dealloc(at, layout) }
    }
}
