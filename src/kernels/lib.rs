//! The kernels of neardup: pure functions over flat arrays, in the order in which data flows.
//!
//! `reference.py` is the specification of each of them. Nothing here reads configuration, keeps threads or knows Python;
//! `bindings` alone does, behind the feature `python`.

pub mod band;
pub mod bar;
pub mod batch;
pub mod datasketch;
pub mod distinct;
pub mod hash;
pub mod ids;
pub mod join;
pub mod keeping;
pub mod lookup;
pub mod mapped;
pub mod minhash;
pub mod normalize;
pub mod path;
pub mod prefix;
pub mod radix;
pub mod room;
pub mod segment;
pub mod segments;
pub mod sets;
pub mod sha1;
pub mod shared;
pub mod sign;
pub mod sketch;
pub mod store;
pub mod table;
mod tally;
pub mod text;
pub mod threads;
#[rustfmt::skip]
pub mod unicode;
pub mod verify;
pub mod weigh;

#[cfg(feature = "python")]
mod bindings;
