//! Many documents to their signatures: by runs, over threads, with the instructions that are asked for.

use crate::path::{Instructions, Path, Work};
use crate::room::{self, NoRoom};
use crate::threads::on_threads;
use std::cmp::Reverse;
use std::ops::Range;

/// A thread takes documents until they come to this many bytes.
const SHARE: usize = 1 << 18;

/// What signs documents of some kind, by slots of `V`.
pub trait Signs<V>: Sync {
    type Document<'a>: Copy + Sync;
    /// Working memory, reused from document to document.
    type Signer: Default;
    type Error: From<NoRoom> + Send;

    /// Slots of a signature.
    fn num_perm(&self) -> usize;

    /// About how many bytes there are to read.
    fn weight(document: &Self::Document<'_>) -> usize;

    /// Ask for the beginning of a document, which is wanted soon.
    #[inline(always)]
    fn prefetch(_: &Self::Document<'_>) {}

    /// What is wrong, said of a batch in which so many documents come before. It is said again of a batch that is a part of one: the
    /// numbers add up.
    fn after(error: Self::Error, _: usize) -> Self::Error {
        error
    }

    /// Sign one document, and append its verification hashes where they are wanted. The count of distinct shingles.
    ///
    /// # Safety
    /// The processor has the instructions of path `P`.
    unsafe fn sign_document<P: Instructions>(
        &self,
        document: Self::Document<'_>,
        signer: &mut Self::Signer,
        values: &mut [V],
        out: &mut Vec<u32>,
    ) -> Result<u64, Self::Error>;
}

/// What a batch has beside its signatures.
pub struct Signed {
    /// Distinct shingles.
    pub counts: Vec<u64>,
    /// The verification hashes of document i are `hashes[offsets[i]..offsets[i + 1]]`, when wanted.
    pub offsets: Vec<u64>,
    pub hashes: Vec<u32>,
}

impl FromIterator<Signed> for Signed {
    /// Batches one after another.
    fn from_iter<I: IntoIterator<Item = Signed>>(parts: I) -> Self {
        let mut all = Signed { counts: Vec::new(), offsets: vec![0], hashes: Vec::new() };
        for part in parts {
            let before = all.hashes.len() as u64;
            all.counts.extend(part.counts);
            all.offsets.extend(part.offsets[1..].iter().map(|&offset| before + offset));
            all.hashes.extend(part.hashes);
        }
        all
    }
}

/// Cut documents of these weights into runs of about `SHARE` each.
pub fn shares(weights: impl ExactSizeIterator<Item = usize>) -> Vec<Range<usize>> {
    let (n, mut runs, mut start, mut weight) = (weights.len(), Vec::new(), 0, 0);
    for (i, own) in weights.enumerate() {
        weight += own + 64;
        if weight >= SHARE {
            runs.push(start..i + 1);
            (start, weight) = (i + 1, 0);
        }
    }
    if start < n {
        runs.push(start..n);
    }
    runs
}

/// A run of documents, what signs them, and where their signatures go.
struct Run<'a, 'd, V, S: Signs<V>> {
    recipe: &'a S,
    signer: &'a mut S::Signer,
    documents: &'a [S::Document<'d>],
    values: &'a mut [V],
    counts: &'a mut [u64],
    sizes: &'a mut [u64],
}

impl<V, S: Signs<V>> Work for Run<'_, '_, V, S> {
    type Output = Result<Vec<u32>, S::Error>;

    /// Sign the run with one working memory; the verification hashes of its documents one after another.
    #[inline(always)]
    unsafe fn by<P: Instructions>(self) -> Self::Output {
        // Working memory of this function's own while it lasts: what is behind a reference is kept in registers less.
        let (mut own, mut out) = (std::mem::take(self.signer), Vec::new());
        let rows = self.values.chunks_exact_mut(self.recipe.num_perm());
        let next = self.documents.iter().skip(1).chain(self.documents.last());
        let documents = self.documents.iter().zip(next).enumerate();
        for (((place, (&document, next)), row), (count, size)) in documents.zip(rows).zip(self.counts.iter_mut().zip(self.sizes)) {
            let start = out.len();
            S::prefetch(next);
            // SAFETY: as the caller promised.
            let signed = unsafe { self.recipe.sign_document::<P>(document, &mut own, row, &mut out) };
            *count = signed.map_err(|error| S::after(error, place))?;
            *size = (out.len() - start) as u64;
        }
        *self.signer = own;
        Ok(out)
    }
}

/// Sign one document into `values`, with working memory that is kept. The count of distinct shingles, and the verification hashes
/// where they are wanted.
pub fn sign_one<V, S: Signs<V>>(
    recipe: &S,
    document: S::Document<'_>,
    signer: &mut S::Signer,
    path: Path,
    values: &mut [V],
) -> Result<(u64, Vec<u32>), S::Error> {
    assert!(values.len() == recipe.num_perm(), "a slot for each permutation");
    let (mut count, mut size) = ([0], [0]);
    let hashes = path.run(Run { recipe, signer, documents: &[document], values, counts: &mut count, sizes: &mut size })?;
    Ok((count[0], hashes))
}

/// Sign many documents; their signatures are written to `values`, row after row.
pub fn sign_many<V: Send, S: Signs<V>>(
    recipe: &S,
    documents: &[S::Document<'_>],
    threads: usize,
    path: Path,
    values: &mut [V],
) -> Result<Signed, S::Error> {
    let (n, num_perm) = (documents.len(), recipe.num_perm());
    assert!(values.len() == n * num_perm, "a row for each document");
    let (mut counts, mut offsets) = (room::filled(0, n)?, room::filled(0, n + 1)?);
    let mut runs = Vec::new();
    let (mut v, mut c, mut s) = (values, counts.as_mut_slice(), &mut offsets[1..]);
    // One thread does it in one run, whose hashes then lie one after another already.
    let shares = if threads > 1 { shares(documents.iter().map(S::weight)) } else { std::iter::once(0..n).collect() };
    for range in shares {
        let (some, place) = (&documents[range.clone()], range.start);
        let (values, counts, sizes);
        (values, v) = v.split_at_mut(some.len() * num_perm);
        (counts, c) = c.split_at_mut(some.len());
        (sizes, s) = s.split_at_mut(some.len());
        runs.push((place, some, values, counts, sizes));
    }
    // The heaviest first: none is left to one thread at the end, while the others have nothing to do.
    runs.sort_by_key(|(_, some, ..)| Reverse(some.iter().map(S::weight).sum::<usize>()));
    let mut parts = on_threads(runs, threads, |(place, documents, values, counts, sizes)| {
        let run = Run { recipe, signer: &mut S::Signer::default(), documents, values, counts, sizes };
        (place, path.run(run).map_err(|error| S::after(error, place)))
    });
    parts.sort_unstable_by_key(|&(place, _)| place);
    let hashes = room::joined(parts.into_iter().map(|(_, hashes)| hashes).collect::<Result<_, _>>()?)?;
    add_up(&mut offsets);
    Ok(Signed { counts, offsets, hashes })
}

/// From sizes to where each ends.
fn add_up(sizes: &mut [u64]) {
    let mut sum = 0;
    for size in sizes {
        sum += *size;
        *size = sum;
    }
}
