//! Memory that is kept back for small things. Rust ends the process where it has none for them; for arrays `room` asks, and they
//! can be refused.

use memmap2::MmapMut;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU8, Ordering};

/// Bytes of an array that can be refused; what is smaller may use what is kept back.
pub const LARGE: usize = 1 << 16;

/// Bytes kept back. Nobody touches them: they are address space and no memory.
pub const KEPT: usize = 8 << 20;

/// What `state` is: nothing is kept, something is, or a thread is about to change that. It is no lock of the standard library, some
/// of which allocate.
const NOTHING: u8 = 0;
const SOMETHING: u8 = 1;
const CHANGING: u8 = 2;

/// An allocator that keeps some memory back. It is let go when a small thing finds none, and until it could be taken again no array
/// is large: work that meets the end of memory is refused while there is enough to say so.
pub struct Keeping<A> {
    from: A,
    state: AtomicU8,
    kept: UnsafeCell<Option<MmapMut>>,
}

// SAFETY: whoever changes `kept` has set the state to `CHANGING`, which one thread does at a time, and nobody else reads it.
unsafe impl<A: Sync> Sync for Keeping<A> {}

impl<A: GlobalAlloc> Keeping<A> {
    pub const fn new(from: A) -> Self {
        Keeping { from, state: AtomicU8::new(NOTHING), kept: UnsafeCell::new(None) }
    }

    /// Change what is kept, where it is in that state and no other thread changes it.
    fn change(&self, before: u8, to: impl FnOnce() -> Option<MmapMut>) -> bool {
        let mine = self.state.compare_exchange(before, CHANGING, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if mine {
            // SAFETY: the state is `CHANGING`, by this thread.
            let kept = unsafe { &mut *self.kept.get() };
            *kept = to();
            self.state.store(if kept.is_some() { SOMETHING } else { NOTHING }, Ordering::Release);
        }
        mine
    }

    /// Whether some is kept back, now if not before. Where another thread is at it, not yet: a child that was forked then never
    /// waits for it.
    fn keeps(&self) -> bool {
        if self.state.load(Ordering::Relaxed) == NOTHING {
            self.change(NOTHING, || MmapMut::map_anon(KEPT).ok());
        }
        self.state.load(Ordering::Relaxed) == SOMETHING
    }

    /// Allocate something that takes `size` bytes: large ones while some is kept back, small ones of what is kept back if need be.
    fn allocated(&self, size: usize, allocate: impl Fn() -> *mut u8) -> *mut u8 {
        let (keeps, large) = (self.keeps(), size >= LARGE);
        if large && !keeps {
            return null_mut();
        }
        let mut at = allocate();
        // Another thread may have taken what was given back, or be about to give it.
        for _ in 0..if at.is_null() && !large { 100 } else { 0 } {
            if !self.change(SOMETHING, || None) {
                std::thread::yield_now();
            }
            at = allocate();
            if !at.is_null() {
                break;
            }
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
