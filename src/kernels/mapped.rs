//! A file of checksummed blocks, mapped into memory: nothing is read from it before its block has been checked.

use crate::room::NoRoom;
use bytemuck::Pod;
use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes that one checksum covers.
pub const BLOCK: usize = 1 << 14;

/// Why files are not read, or not what was sought in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// A block of a file is not what was written: the folder of the file, its number there, and where the block begins.
    Damage {
        file: (&'static str, u64),
        offset: usize,
    },
    NoRoom(NoRoom),
}

impl From<NoRoom> for Unread {
    fn from(no_room: NoRoom) -> Self {
        Unread::NoRoom(no_room)
    }
}

pub type Checked<T> = Result<T, Unread>;

/// Values of one type, one after another in a file.
pub struct Column<T> {
    offset: usize,
    len: usize,
    of: PhantomData<T>,
}

impl<T> Clone for Column<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Column<T> {}

impl<T> Column<T> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The checksums of the blocks of some data.
pub fn checksums(data: &[u8]) -> Vec<u64> {
    data.chunks(BLOCK).map(xxh3_64).collect()
}

pub struct Mapped {
    file: (&'static str, u64),
    map: Mmap,
    /// Bytes before the checksums of their blocks.
    data: usize,
    /// A bit a block: whether it has been checked.
    checked: Vec<AtomicU64>,
}

impl Mapped {
    /// A file whose first `data` bytes are followed by the checksums of their blocks.
    pub fn open(name: (&'static str, u64), file: &File, data: usize) -> io::Result<Self> {
        // SAFETY: the files of an index never change once they have their names; the documentation says that another
        // program which cuts one short while it is mapped ends this one.
        let map = unsafe { Mmap::map(file)? };
        let blocks = data.div_ceil(BLOCK);
        if !data.is_multiple_of(8) || data.checked_add(8 * blocks).is_none_or(|len| len > map.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Mapped { file: name, map, data, checked: (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect() })
    }

    /// What is said of a file whose blocks are what was written, but not by neardup: the block in which it is seen.
    pub fn damage(&self, offset: usize) -> Unread {
        Unread::Damage { file: self.file, offset: offset / BLOCK * BLOCK }
    }

    /// The column at an offset, of so many values, which lie within the data.
    pub fn column<T: Pod>(&self, (offset, len): (usize, usize)) -> Checked<Column<T>> {
        let end = len.checked_mul(size_of::<T>()).and_then(|size| offset.checked_add(size));
        if offset.is_multiple_of(align_of::<T>()) && end.is_some_and(|end| end <= self.data) {
            return Ok(Column { offset, len, of: PhantomData });
        }
        Err(self.damage(0))
    }

    /// Values of a column, their blocks checked. Beyond its end there are none: whatever named them is damaged.
    #[inline]
    pub fn get<T: Pod>(&self, column: Column<T>, range: Range<usize>) -> Checked<&[T]> {
        if range.start > range.end || range.end > column.len {
            return Err(self.damage(column.offset));
        }
        let size = size_of::<T>();
        let bytes = column.offset + size * range.start..column.offset + size * range.end;
        if !bytes.is_empty() {
            for block in bytes.start / BLOCK..=(bytes.end - 1) / BLOCK {
                if self.checked[block / 64].load(Ordering::Relaxed) >> (block % 64) & 1 == 0 {
                    self.check(block)?;
                }
            }
        }
        Ok(bytemuck::cast_slice(&self.map[bytes]))
    }

    /// One value of a column.
    #[inline]
    pub fn one<T: Pod>(&self, column: Column<T>, place: usize) -> Checked<T> {
        Ok(self.get(column, place..place + 1)?[0])
    }

    /// Ask for a value of a column, which is wanted soon.
    #[inline(always)]
    pub fn prefetch<T: Pod>(&self, column: Column<T>, place: usize) {
        #[cfg(target_arch = "x86_64")]
        if let Some(byte) = self.map.get(column.offset + size_of::<T>() * place) {
            use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
            // SAFETY: SSE is there on every processor of this architecture, and a prefetch reads nothing.
            unsafe { _mm_prefetch(std::ptr::from_ref(byte).cast(), _MM_HINT_T0) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (column, place);
    }

    #[cold]
    fn check(&self, block: usize) -> Checked<()> {
        let offset = block * BLOCK;
        let found = xxh3_64(&self.map[offset..self.data.min(offset + BLOCK)]);
        let written = self.data + 8 * block;
        if self.map[written..written + 8] != found.to_le_bytes() {
            return Err(self.damage(offset));
        }
        self.checked[block / 64].fetch_or(1 << (block % 64), Ordering::Relaxed);
        Ok(())
    }
}
