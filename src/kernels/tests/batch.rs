//! Batches: whatever the path, the threads and the weights, what comes of each document is at its place.

use neardup_kernels::batch::{sign_many, sign_one, Signs};
use neardup_kernels::path::{Instructions, Path};
use neardup_kernels::room::NoRoom;

/// A scheme of one slot, which is the document's number; so are its verification hashes, as many as that is above a multiple of three.
struct Numbers {
    refused: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Document {
    number: usize,
    weight: usize,
}

#[derive(Debug, PartialEq)]
enum Unsigned {
    Refused(usize),
    NoRoom,
}

impl From<NoRoom> for Unsigned {
    fn from(_: NoRoom) -> Self {
        Unsigned::NoRoom
    }
}

impl Signs<u32> for Numbers {
    type Document<'a> = Document;
    /// How many it has signed.
    type Signer = usize;
    type Error = Unsigned;

    fn num_perm(&self) -> usize {
        1
    }

    fn weight(document: &Document) -> usize {
        document.weight
    }

    fn after(error: Unsigned, before: usize) -> Unsigned {
        match error {
            Unsigned::Refused(place) => Unsigned::Refused(before + place),
            Unsigned::NoRoom => error,
        }
    }

    unsafe fn sign_document<P: Instructions>(
        &self,
        document: Document,
        signer: &mut usize,
        values: &mut [u32],
        out: &mut Vec<u32>,
    ) -> Result<u64, Unsigned> {
        if self.refused.contains(&document.number) {
            return Err(Unsigned::Refused(0));
        }
        *signer += 1;
        values[0] = document.number as u32;
        out.extend(std::iter::repeat_n(document.number as u32, document.number % 3));
        Ok(document.number as u64)
    }
}

/// A hundred documents, every third of this weight and a little more than the one before: the heaviest, signed first, come last.
fn documents(weight: usize) -> Vec<Document> {
    (0..100).map(|number| Document { number, weight: if number % 3 == 0 { weight + 100 * number } else { 10 } }).collect()
}

fn each(mut check: impl FnMut(Path, usize, &[Document])) {
    for path in Path::available() {
        for threads in [1, 2, 5] {
            [10, 1 << 17, 1 << 19].into_iter().for_each(|weight| check(path, threads, &documents(weight)));
        }
    }
}

#[test]
fn signatures_counts_and_hashes_are_at_their_places() {
    each(|path, threads, documents| {
        let (mut values, recipe) = ([0; 100], Numbers { refused: Vec::new() });
        let signed = sign_many(&recipe, documents, threads, path, &mut values).expect("none is refused");
        assert_eq!(values.to_vec(), (0..100).collect::<Vec<u32>>());
        assert_eq!(signed.counts, (0..100).collect::<Vec<u64>>());
        for (place, offsets) in signed.offsets.windows(2).enumerate() {
            let own = &signed.hashes[offsets[0] as usize..offsets[1] as usize];
            assert_eq!(own, vec![place as u32; place % 3]);
        }
    });
}

#[test]
fn of_documents_that_are_refused_the_first_is_told() {
    each(|path, threads, documents| {
        for refused in [vec![0], vec![99], vec![70, 3, 50], vec![42, 41]] {
            let (first, recipe) = (*refused.iter().min().unwrap(), Numbers { refused });
            let error = sign_many(&recipe, documents, threads, path, &mut [0; 100]).err();
            assert_eq!(error, Some(Unsigned::Refused(first)));
        }
    });
}

#[test]
fn one_document_is_signed_with_memory_that_is_kept() {
    let (recipe, mut signer, mut values) = (Numbers { refused: vec![4] }, 5, [0]);
    let [fine, refused] = [7, 4].map(|number| Document { number, weight: 1 });
    assert_eq!(sign_one(&recipe, fine, &mut signer, Path::Portable, &mut values), Ok((7, vec![7])));
    assert_eq!((signer, values), (6, [7]));
    assert_eq!(sign_one(&recipe, refused, &mut signer, Path::Portable, &mut values), Err(Unsigned::Refused(0)));
}
