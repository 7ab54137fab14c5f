//! Documents in, signatures out, written straight into the arrays that Python gets.

use super::{cut, names, Array1, Utf8};
use crate::batch::{shares, sign_many, Signed};
use crate::datasketch::{self, Scheme, TokenHash, Unsigned};
use crate::minhash::Lattice;
use crate::path::Path;
use crate::room;
use crate::sign::{Document, Product, Recipe, Stage};
use crate::threads::on_threads;
use numpy::{IntoPyArray, PyArray2, PyArrayMethods, PyReadonlyArray1};
use pyo3::exceptions::{PyIndexError, PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use std::ops::Range;

/// How documents are signed; see `sign.Recipe`, and where there are `slots`, `datasketch.Recipe`.
#[derive(FromPyObject)]
pub(super) struct RecipeArgs<'py> {
    #[pyo3(item)]
    chars: bool,
    #[pyo3(item)]
    size: usize,
    #[pyo3(item)]
    secret: u64,
    #[pyo3(item)]
    pub(super) num_perm: usize,
    #[pyo3(item)]
    seed: u64,
    #[pyo3(item)]
    pub(super) verification: bool,
    /// The last stage of the floor under signing, for benchmarks.
    #[pyo3(item, default)]
    floor: Option<String>,
    #[pyo3(item, default)]
    path: Option<String>,
    #[pyo3(item, default)]
    scheme: Option<String>,
    #[pyo3(item, default)]
    token_hash: Option<String>,
    /// The factor and the summand of each slot.
    #[pyo3(item, default)]
    pub(super) slots: Option<(PyReadonlyArray1<'py, u64>, PyReadonlyArray1<'py, u64>)>,
}

impl RecipeArgs<'_> {
    pub(super) fn check(&self) -> PyResult<Path> {
        if !(1..=32).contains(&self.size) || !(2..=4096).contains(&self.num_perm) {
            return Err(PyValueError::new_err(format!("size {} or num_perm {} out of range", self.size, self.num_perm)));
        }
        match &self.path {
            None => Ok(Path::detect()),
            Some(name) => Path::available().into_iter().find(|p| p.name() == name).ok_or_else(|| {
                let names: Vec<_> = Path::available().into_iter().map(Path::name).collect();
                PyValueError::new_err(format!("path is '{name}'; this processor has {}", names.join(", ")))
            }),
        }
    }

    pub(super) fn recipe(&self) -> PyResult<(Recipe, Path)> {
        let path = self.check()?;
        let lattice = Lattice::new(self.num_perm, self.seed);
        let product = match (self.floor.as_deref(), self.verification) {
            (None, true) => Product::SignatureAndHashes,
            (None, false) => Product::Signature,
            (Some("boundaries"), _) => Product::Floor(Stage::Boundaries),
            (Some("tokens"), _) => Product::Floor(Stage::Tokens),
            (Some("shingles"), _) => Product::Floor(Stage::Shingles),
            (Some(other), _) => return Err(PyValueError::new_err(format!("floor is '{other}'; it is boundaries, tokens or shingles"))),
        };
        Ok((Recipe { chars: self.chars, size: self.size, secret: self.secret, lattice, product }, path))
    }

    fn datasketch(&self) -> PyResult<(datasketch::Recipe, Path)> {
        let path = self.check()?;
        let (scheme, hash) = (self.scheme.as_deref().unwrap_or(""), self.token_hash.as_deref().unwrap_or(""));
        let scheme = match scheme {
            "datasketch-affine32" => Scheme::Affine32,
            "datasketch-affine64" => Scheme::Affine64,
            "datasketch-legacy" => Scheme::Legacy,
            _ => return Err(PyValueError::new_err(format!("no scheme '{scheme}'"))),
        };
        let hash = TokenHash::named(hash).ok_or_else(|| PyValueError::new_err(format!("no token hash '{hash}'")))?;
        let Some((factors, summands)) = &self.slots else { return Err(PyValueError::new_err("no slots")) };
        let (factors, summands) = (factors.as_slice()?, summands.as_slice()?);
        if [factors.len(), summands.len()] != [self.num_perm; 2] {
            return Err(PyValueError::new_err(format!(
                "{} factors and {} summands of {} slots",
                factors.len(),
                summands.len(),
                self.num_perm
            )));
        }
        let words = (self.chars, self.size, self.secret);
        Ok((datasketch::Recipe::new(words, scheme, hash, (factors, summands), self.verification), path))
    }
}

/// What a token is taken to weigh where threads share the work.
const TOKEN: usize = 16;

type SignedArrays<'py> = (Bound<'py, PyAny>, Array1<'py, u64>, Array1<'py, u64>, Array1<'py, u32>);

/// An array that is to be written. Not zeroed, a large one gets large pages; where there is too little memory, numpy's error.
fn empty<'py, V: numpy::Element>(py: Python<'py>, rows: usize, columns: usize) -> PyResult<Bound<'py, PyArray2<V>>> {
    let array = names().empty.bind(py).call1(((rows, columns), numpy::dtype::<V>(py)))?;
    Ok(array.cast_into()?)
}

/// What signs rows straight into the array that Python gets.
fn written<'py, V: numpy::Element>(
    py: Python<'py>,
    rows: usize,
    columns: usize,
    sign: impl FnOnce(&mut [V]) -> PyResult<Signed>,
) -> PyResult<SignedArrays<'py>> {
    let values = empty(py, rows, columns)?;
    let signed = sign(values.readwrite().as_slice_mut()?)?;
    Ok((values.into_any(), signed.counts.into_pyarray(py), signed.offsets.into_pyarray(py), signed.hashes.into_pyarray(py)))
}

fn signed<'py>(py: Python<'py>, documents: &[Document], recipe: RecipeArgs, threads: usize) -> PyResult<SignedArrays<'py>> {
    if recipe.slots.is_some() {
        let texts = documents.iter().map(|document| match *document {
            Document::Text(text) => Ok(datasketch::Document::Text(text)),
            _ => Err(PyValueError::new_err("datasketch's schemes sign the bytes of shingles, not the hashes of words-v1")),
        });
        return signed_as_datasketch(py, Source::Texts(room::tried(texts)?), recipe, threads);
    }
    let (recipe, path) = recipe.recipe()?;
    written(py, documents.len(), recipe.lattice.num_perm(), |rows| Ok(py.detach(|| sign_many(&recipe, documents, threads, path, rows))?))
}

/// What is signed by the schemes of datasketch.
enum Source<'a> {
    Texts(Vec<datasketch::Document<'a>>),
    Lists(Vec<Py<PyList>>),
}

fn signed_as_datasketch<'py>(py: Python<'py>, source: Source, recipe: RecipeArgs, threads: usize) -> PyResult<SignedArrays<'py>> {
    fn sign<'py, V: datasketch::Value + numpy::Element>(
        py: Python<'py>,
        source: &Source,
        (recipe, path): &(datasketch::Recipe, Path),
        threads: usize,
    ) -> PyResult<SignedArrays<'py>> {
        match source {
            Source::Texts(texts) => written(py, texts.len(), recipe.num_perm(), |rows: &mut [V]| {
                py.detach(|| sign_many(recipe, texts, threads, *path, rows)).map_err(|why| unsigned(why, 0))
            }),
            Source::Lists(lists) => {
                written(py, lists.len(), recipe.num_perm(), |rows: &mut [V]| sign_lists(py, lists, recipe, *path, threads, rows))
            }
        }
    }
    let recipe = recipe.datasketch()?;
    if recipe.0.scheme == Scheme::Affine64 {
        sign::<u64>(py, &source, &recipe, threads)
    } else {
        sign::<u32>(py, &source, &recipe, threads)
    }
}

/// Said of a batch after so many documents.
fn unsigned(why: Unsigned, before: usize) -> PyErr {
    match why {
        Unsigned::TooLong(place) => PyOverflowError::new_err(format!(
            "document {} has a token of more than 1 GiB, which is hashed whole; split the document",
            before + place
        )),
        Unsigned::NoRoom(no_room) => no_room.into(),
    }
}

/// Sign a list of strings.
#[pyfunction]
pub(super) fn sign_texts<'py>(
    py: Python<'py>,
    texts: &Bound<'py, PyList>,
    recipe: RecipeArgs,
    threads: usize,
) -> PyResult<SignedArrays<'py>> {
    for (i, text) in texts.iter().enumerate() {
        if !text.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(format!("text {i} is of type {}; a text is a str", text.get_type().name()?)));
        }
    }
    // One call for all of them: a call each takes as long as signing a short text.
    let ascii = names().map.bind(py).call1((&names().isascii, texts))?;
    let mut held = Vec::new();
    room::reserve(&mut held, texts.len())?;
    for (text, ascii) in texts.iter().zip(ascii.try_iter()?) {
        held.push(Utf8::of(text.cast()?, ascii?.is_truthy()?)?);
    }
    let documents = room::tried(held.iter().map(|text| text.bytes().map(Document::Text)))?;
    signed(py, &documents, recipe, threads)
}

/// The texts `buffers[which[i]][starts[i]:stops[i]]`.
fn spans<'a>(buffers: &[&'a [u8]], which: &[u32], starts: &[u64], stops: &[u64]) -> PyResult<Vec<&'a [u8]>> {
    if which.len() != starts.len() || which.len() != stops.len() {
        return Err(PyValueError::new_err(format!(
            "{} buffers, {} starts and {} stops; they are equally many",
            which.len(),
            starts.len(),
            stops.len()
        )));
    }
    let text = |b: u32, start: u64, stop: u64| buffers.get(b as usize)?.get(start as usize..stop as usize);
    room::tried(which.iter().zip(starts.iter().zip(stops)).map(|(&b, (&start, &stop))| {
        text(b, start, stop).ok_or_else(|| PyIndexError::new_err("starts and stops that are not places in the buffers"))
    }))
}

fn slices<'a>(buffers: &'a [PyReadonlyArray1<'_, u8>]) -> PyResult<Vec<&'a [u8]>> {
    Ok(buffers.iter().map(|b| b.as_slice()).collect::<Result<_, _>>()?)
}

/// Sign the texts `buffers[which[i]][starts[i]:stops[i]]`, UTF-8.
#[pyfunction]
pub(super) fn sign_spans<'py>(
    py: Python<'py>,
    buffers: Vec<PyReadonlyArray1<'py, u8>>,
    which: PyReadonlyArray1<'py, u32>,
    starts: PyReadonlyArray1<'py, u64>,
    stops: PyReadonlyArray1<'py, u64>,
    recipe: RecipeArgs,
    threads: usize,
) -> PyResult<SignedArrays<'py>> {
    let texts = spans(&slices(&buffers)?, which.as_slice()?, starts.as_slice()?, stops.as_slice()?)?;
    let documents = room::collected(texts.into_iter().map(Document::Text))?;
    signed(py, &documents, recipe, threads)
}

/// The number of characters of the texts of `sign_spans`.
#[pyfunction]
pub(super) fn span_lengths<'py>(
    py: Python<'py>,
    buffers: Vec<PyReadonlyArray1<'py, u8>>,
    which: PyReadonlyArray1<'py, u32>,
    starts: PyReadonlyArray1<'py, u64>,
    stops: PyReadonlyArray1<'py, u64>,
) -> PyResult<Array1<'py, i64>> {
    let texts = spans(&slices(&buffers)?, which.as_slice()?, starts.as_slice()?, stops.as_slice()?)?;
    let length = |text: &[u8]| text.iter().filter(|&&byte| byte & 0xC0 != 0x80).count() as i64;
    Ok(room::collected(texts.into_iter().map(length))?.into_pyarray(py))
}

fn sign_flat<'py>(
    py: Python<'py>,
    hashes: PyReadonlyArray1<'py, u64>,
    offsets: PyReadonlyArray1<'py, u64>,
    recipe: RecipeArgs,
    threads: usize,
    document: for<'a> fn(&'a [u64]) -> Document<'a>,
) -> PyResult<SignedArrays<'py>> {
    let documents = room::collected(cut(hashes.as_slice()?, offsets.as_slice()?)?.into_iter().map(document))?;
    signed(py, &documents, recipe, threads)
}

/// Sign documents given as lists of ready tokens, strings or bytes, by the bytes of their shingles.
#[pyfunction]
pub(super) fn sign_token_lists<'py>(
    py: Python<'py>,
    lists: Vec<Py<PyList>>,
    recipe: RecipeArgs,
    threads: usize,
) -> PyResult<SignedArrays<'py>> {
    signed_as_datasketch(py, Source::Lists(lists), recipe, threads)
}

/// Whichever thread signs some documents fetches their tokens first: meanwhile the others sign, and no more bytes are in memory
/// than are being signed.
fn sign_lists<V: datasketch::Value>(
    py: Python<'_>,
    lists: &[Py<PyList>],
    recipe: &datasketch::Recipe,
    path: Path,
    threads: usize,
    rows: &mut [V],
) -> PyResult<Signed> {
    let (mut rest, mut jobs) = (rows, Vec::new());
    for share in shares(lists.iter().map(|list| TOKEN * list.bind(py).len())) {
        let own;
        (own, rest) = rest.split_at_mut(share.len() * recipe.num_perm());
        jobs.push((share, own));
    }
    let sign = |share: Range<usize>, ready: Vec<TokenBytes>, rows: &mut [V]| {
        let documents: Vec<_> = ready.iter().map(|(bytes, edges)| datasketch::Document::Tokens { bytes, edges }).collect();
        sign_many(recipe, &documents, 1, path, rows).map_err(|why| unsigned(why, share.start))
    };
    let parts = if threads > 1 {
        py.detach(|| {
            on_threads(jobs, threads, |(share, rows)| {
                let ready = Python::try_attach(|py| fetched(py, &lists[share.clone()], recipe))
                    .ok_or_else(|| PyRuntimeError::new_err("Python is ending"))??;
                sign(share, ready, rows)
            })
        })
    } else {
        let one = |(share, rows): (Range<usize>, &mut [V])| {
            let ready = fetched(py, &lists[share.clone()], recipe)?;
            py.detach(|| sign(share, ready, rows))
        };
        jobs.into_iter().map(one).collect()
    };
    parts.into_iter().collect()
}

type TokenBytes = (Vec<u8>, Vec<u32>);

fn fetched(py: Python<'_>, lists: &[Py<PyList>], recipe: &datasketch::Recipe) -> PyResult<Vec<TokenBytes>> {
    lists.iter().map(|list| token_bytes(list.bind(py), recipe)).collect()
}

/// The bytes of tokens as their shingles have them, with padding, and where each token begins and ends.
fn token_bytes(tokens: &Bound<'_, PyList>, recipe: &datasketch::Recipe) -> PyResult<TokenBytes> {
    let between = if recipe.chars { "" } else { " " };
    let ready = if between == " " || recipe.size == 1 { joined(tokens) } else { None };
    let (mut bytes, edges) = ready.map_or_else(|| one_by_one(tokens, between), Ok)?;
    if u32::try_from(bytes.len() + datasketch::PADDING).is_err() {
        return Err(PyOverflowError::new_err(format!(
            "a document of tokens has {} bytes, more than 4 GiB; split the document",
            bytes.len()
        )));
    }
    bytes.resize(bytes.len() + datasketch::PADDING, 0);
    Ok((bytes, edges))
}

/// The same with spaces between, by one call for all tokens: one for each takes as long as its hash. None where they are not all
/// strings or all bytes, or the byte is in one of them by which they are told apart.
fn joined(tokens: &Bound<'_, PyList>) -> Option<TokenBytes> {
    let py = tokens.py();
    let whole = if tokens.iter().all(|token| token.is_exact_instance_of::<PyBytes>()) {
        Utf8::Encoded(names().join_bytes.bind(py).call1((PyBytes::new(py, b"\0"), tokens)).ok()?.cast_into().ok()?)
    } else {
        Utf8::new(names().join.bind(py).call1(("\0", tokens)).ok()?.cast().ok()?).ok()?
    };
    let whole = whole.bytes().ok()?;
    let mut bytes = Vec::with_capacity(whole.len() + datasketch::PADDING);
    bytes.extend_from_slice(whole);
    let mut edges = Vec::with_capacity(2 * tokens.len());
    datasketch::cut_at_nul(&mut bytes, &mut edges);
    (edges.len() == 2 * tokens.len()).then_some((bytes, edges))
}

/// The same token by token.
fn one_by_one(tokens: &Bound<'_, PyList>, between: &str) -> PyResult<TokenBytes> {
    let (mut bytes, mut edges) = (Vec::with_capacity(TOKEN * tokens.len()), Vec::with_capacity(2 * tokens.len()));
    for (i, token) in tokens.iter().enumerate() {
        if i > 0 {
            bytes.extend_from_slice(between.as_bytes());
        }
        edges.push(bytes.len() as u32);
        if let Ok(token) = token.cast::<PyString>() {
            bytes.extend_from_slice(Utf8::new(token)?.bytes()?);
        } else if let Ok(token) = token.cast::<PyBytes>() {
            bytes.extend_from_slice(token.as_bytes());
        } else {
            let kind = token.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "token {i} is of type {kind}; datasketch hashes bytes, so a token is a string or bytes"
            )));
        }
        edges.push(bytes.len() as u32);
    }
    Ok((bytes, edges))
}

/// Sign the documents whose token hashes are `hashes[offsets[i]:offsets[i + 1]]`, in order.
#[pyfunction]
pub(super) fn sign_token_hashes<'py>(
    py: Python<'py>,
    hashes: PyReadonlyArray1<'py, u64>,
    offsets: PyReadonlyArray1<'py, u64>,
    recipe: RecipeArgs,
    threads: usize,
) -> PyResult<SignedArrays<'py>> {
    sign_flat(py, hashes, offsets, recipe, threads, |hashes| Document::Tokens(hashes))
}

/// Sign the documents whose shingle hashes are `hashes[offsets[i]:offsets[i + 1]]`, in any order.
#[pyfunction]
pub(super) fn sign_shingle_hashes<'py>(
    py: Python<'py>,
    hashes: PyReadonlyArray1<'py, u64>,
    offsets: PyReadonlyArray1<'py, u64>,
    recipe: RecipeArgs,
    threads: usize,
) -> PyResult<SignedArrays<'py>> {
    sign_flat(py, hashes, offsets, recipe, threads, |hashes| Document::Hashes(hashes))
}
