//! What Python sees: flat arrays in, flat arrays out, the GIL released in between.

use crate::datasketch::{self, Scheme, TokenHash};
use crate::hash::{integer_token_hash, text_token_hash, whole, windows};
use crate::minhash::{band_keys as keys_of, lean_masks, lean_signature, row_order, Lattice, Value};
use crate::path::Path;
use crate::sign::{self, on_threads, sign_many, Document, Product, Recipe, Signed, Stage};
use crate::table::fingerprint;
use crate::verify;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::{PyIndexError, PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyList, PyString};
use std::ops::Range;
use std::sync::OnceLock;

mod joins;
mod prepared;
mod segments;
mod tables;

/// What a token is taken to weigh where threads share the work.
const TOKEN: usize = 16;

type Array1<'py, T> = Bound<'py, PyArray1<T>>;
type Array2<'py, T> = Bound<'py, PyArray2<T>>;

/// What is used of Python itself and of numpy.
struct Names {
    isascii: Py<PyAny>,
    encode: Py<PyAny>,
    decode: Py<PyAny>,
    join: Py<PyAny>,
    join_bytes: Py<PyAny>,
    map: Py<PyAny>,
    empty: Py<PyAny>,
    utf_8: Py<PyString>,
    surrogatepass: Py<PyString>,
}

static NAMES: OnceLock<Names> = OnceLock::new();

fn names() -> &'static Names {
    NAMES.get().expect("the module was imported")
}

/// Look up all that is looked up once, when the module is imported. Where that is done when it is first needed, a process that is
/// forked while another thread does it waits for that thread, which it has not, for ever.
fn look_up_names(py: Python<'_>) -> PyResult<()> {
    let (text, bytes) = (py.get_type::<PyString>(), py.get_type::<PyBytes>());
    let names = Names {
        isascii: text.getattr("isascii")?.unbind(),
        encode: text.getattr("encode")?.unbind(),
        decode: bytes.getattr("decode")?.unbind(),
        join: text.getattr("join")?.unbind(),
        join_bytes: bytes.getattr("join")?.unbind(),
        map: py.import("builtins")?.getattr("map")?.unbind(),
        empty: py.import("numpy")?.getattr("empty")?.unbind(),
        utf_8: PyString::new(py, "utf-8").unbind(),
        surrogatepass: PyString::new(py, "surrogatepass").unbind(),
    };
    let _ = NAMES.set(names); // they are there when it is imported again
    py.detach(|| Python::attach(|_| ()));
    text.name()?;
    drop(PyArray1::<u8>::zeros(py, 0, false).readonly());
    let recipe = PyDict::new(py);
    for name in ["chars", "verification"] {
        recipe.set_item(name, false)?;
    }
    for name in ["size", "secret", "num_perm", "seed"] {
        recipe.set_item(name, 1)?;
    }
    recipe.extract::<RecipeArgs>().map(drop)
}

/// A string's UTF-8: in place for ASCII, otherwise a temporary encoding that the string does not keep.
enum Utf8<'py> {
    Ascii(Bound<'py, PyString>),
    Encoded(Bound<'py, PyBytes>),
}

impl<'py> Utf8<'py> {
    fn new(text: &Bound<'py, PyString>) -> PyResult<Self> {
        let ascii = names().isascii.bind(text.py()).call1((text,))?.is_truthy()?;
        Utf8::of(text, ascii)
    }

    /// Of a text that is known to be ASCII or not.
    fn of(text: &Bound<'py, PyString>, ascii: bool) -> PyResult<Self> {
        let py = text.py();
        if ascii {
            return Ok(Utf8::Ascii(text.clone()));
        }
        let encoded = names().encode.bind(py).call1((text, &names().utf_8, &names().surrogatepass))?;
        Ok(Utf8::Encoded(encoded.cast_into::<PyBytes>()?))
    }

    fn bytes(&self) -> PyResult<&[u8]> {
        match self {
            Utf8::Ascii(text) => Ok(text.to_str()?.as_bytes()),
            Utf8::Encoded(bytes) => Ok(bytes.as_bytes()),
        }
    }
}

/// The normalised tokens of a text: their bytes one after another, and where each begins and ends.
#[pyfunction]
fn tokens<'py>(py: Python<'py>, text: &Bound<'py, PyString>, chars: bool) -> PyResult<(Bound<'py, PyBytes>, Array1<'py, u32>)> {
    let text = Utf8::new(text)?;
    let bytes = text.bytes()?;
    let (data, edges) = py.detach(|| sign::tokens(bytes, chars));
    if u32::try_from(data.len()).is_err() {
        return Err(PyOverflowError::new_err(format!("the normalised text has {} bytes, more than 4 GiB; split the document", data.len())));
    }
    Ok((PyBytes::new(py, &data), edges.into_pyarray(py)))
}

/// The distinct shingle hashes of a text, sorted.
#[pyfunction]
fn shingle_hashes<'py>(py: Python<'py>, text: &Bound<'py, PyString>, chars: bool, size: usize, secret: u64) -> PyResult<Array1<'py, u64>> {
    let text = Utf8::new(text)?;
    let bytes = text.bytes()?;
    Ok(py.detach(|| sign::shingle_hashes(bytes, chars, size, secret)).into_pyarray(py))
}

/// The hashes of ready tokens, strings and integers.
#[pyfunction]
fn token_hashes<'py>(py: Python<'py>, tokens: &Bound<'py, PyAny>, secret: u64) -> PyResult<Array1<'py, u64>> {
    let mut hashes = Vec::new();
    for (i, token) in tokens.try_iter()?.enumerate() {
        let token = token?;
        if let Ok(text) = token.cast::<PyString>() {
            hashes.push(text_token_hash(Utf8::new(text)?.bytes()?, secret));
        } else if token.is_instance_of::<PyInt>() && !token.is_instance_of::<PyBool>() {
            let value = token.extract::<i64>().map_err(|_| {
                PyOverflowError::new_err(format!(
                    "token {i} is {token}, which does not fit in 64 signed bits; use integers from -2**63 to 2**63 - 1, or strings"
                ))
            })?;
            hashes.push(integer_token_hash(value, secret));
        } else {
            let kind = token.get_type().name()?;
            return Err(PyTypeError::new_err(format!("token {i} is of type {kind}; a token is a string or an integer")));
        }
    }
    Ok(hashes.into_pyarray(py))
}

/// The hashes of all windows of token hashes in order, repeats included.
#[pyfunction]
fn window_hashes<'py>(py: Python<'py>, tokens: PyReadonlyArray1<'py, u64>, size: usize) -> PyResult<Array1<'py, u64>> {
    let tokens = tokens.as_slice()?;
    let mut out = Vec::new();
    if tokens.len() >= size {
        windows(tokens, size, &mut out);
    } else if !tokens.is_empty() {
        out.push(whole(tokens));
    }
    Ok(out.into_pyarray(py))
}

type SignedArrays<'py> = (Bound<'py, PyAny>, Array1<'py, u64>, Array1<'py, u64>, Array1<'py, u32>);

/// Slots, 32 bits each or 64.
#[derive(FromPyObject)]
enum Values<'py> {
    Narrow(PyReadonlyArray2<'py, u32>),
    Wide(PyReadonlyArray2<'py, u64>),
}

impl Values<'_> {
    fn shape(&self) -> [usize; 2] {
        let shape = match self {
            Values::Narrow(values) => values.shape(),
            Values::Wide(values) => values.shape(),
        };
        [shape[0], shape[1]]
    }
}

/// An array that is to be written. Not zeroed, a large one gets large pages; where there is too little memory, numpy's error.
fn empty<'py, V: numpy::Element>(py: Python<'py>, rows: usize, columns: usize) -> PyResult<Bound<'py, PyArray2<V>>> {
    let array = names().empty.bind(py).call1(((rows, columns), numpy::dtype::<V>(py)))?;
    Ok(array.cast_into()?)
}

/// Sign documents straight into the arrays that Python gets.
fn signed<'py>(py: Python<'py>, documents: &[Document], recipe: RecipeArgs, threads: usize) -> PyResult<SignedArrays<'py>> {
    if recipe.slots.is_some() {
        let texts = documents.iter().map(|document| match *document {
            Document::Text(text) => Ok(datasketch::Document::Text(text)),
            _ => Err(PyValueError::new_err("datasketch's schemes sign the bytes of shingles, not the hashes of words-v1")),
        });
        return signed_as_datasketch(py, &texts.collect::<PyResult<Vec<_>>>()?, recipe, threads);
    }
    let (recipe, path) = recipe.recipe()?;
    let values = empty(py, documents.len(), recipe.lattice.num_perm())?;
    let mut rows = values.readwrite();
    let rows = rows.as_slice_mut()?;
    let signed = py.detach(|| sign_many(&recipe, documents, threads, path, rows));
    Ok((values.into_any(), signed.counts.into_pyarray(py), signed.offsets.into_pyarray(py), signed.hashes.into_pyarray(py)))
}

fn signed_as_datasketch<'py>(
    py: Python<'py>,
    documents: &[datasketch::Document],
    recipe: RecipeArgs,
    threads: usize,
) -> PyResult<SignedArrays<'py>> {
    fn sign<'py, V: datasketch::Value + numpy::Element>(
        py: Python<'py>,
        documents: &[datasketch::Document],
        (recipe, path): &(datasketch::Recipe, Path),
        threads: usize,
    ) -> PyResult<SignedArrays<'py>> {
        let values = empty::<V>(py, documents.len(), recipe.num_perm())?;
        let mut rows = values.readwrite();
        let rows = rows.as_slice_mut()?;
        let signed = py.detach(|| datasketch::sign_many(recipe, documents, threads, *path, rows)).map_err(too_long)?;
        Ok((values.into_any(), signed.counts.into_pyarray(py), signed.offsets.into_pyarray(py), signed.hashes.into_pyarray(py)))
    }
    let recipe = recipe.datasketch()?;
    if recipe.0.scheme == Scheme::Affine64 {
        sign::<u64>(py, documents, &recipe, threads)
    } else {
        sign::<u32>(py, documents, &recipe, threads)
    }
}

fn too_long(place: usize) -> PyErr {
    PyOverflowError::new_err(format!("document {place} has a token of more than 1 GiB, which is hashed whole; split the document"))
}

/// How documents are signed; see `sign.Recipe`, and where there are `slots`, `datasketch.Recipe`.
#[derive(FromPyObject)]
struct RecipeArgs<'py> {
    #[pyo3(item)]
    chars: bool,
    #[pyo3(item)]
    size: usize,
    #[pyo3(item)]
    secret: u64,
    #[pyo3(item)]
    num_perm: usize,
    #[pyo3(item)]
    seed: u64,
    #[pyo3(item)]
    verification: bool,
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
    slots: Option<(PyReadonlyArray1<'py, u64>, PyReadonlyArray1<'py, u64>)>,
}

impl RecipeArgs<'_> {
    fn check(&self) -> PyResult<Path> {
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

    fn recipe(&self) -> PyResult<(Recipe, Path)> {
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

/// Sign a list of strings.
#[pyfunction]
fn sign_texts<'py>(py: Python<'py>, texts: &Bound<'py, PyList>, recipe: RecipeArgs, threads: usize) -> PyResult<SignedArrays<'py>> {
    for (i, text) in texts.iter().enumerate() {
        if !text.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(format!("text {i} is of type {}; a text is a str", text.get_type().name()?)));
        }
    }
    // One call for all of them: a call each takes as long as signing a short text.
    let ascii = names().map.bind(py).call1((&names().isascii, texts))?;
    let held = texts
        .iter()
        .zip(ascii.try_iter()?)
        .map(|(text, ascii)| Utf8::of(text.cast()?, ascii?.is_truthy()?))
        .collect::<PyResult<Vec<_>>>()?;
    let documents = held.iter().map(|text| text.bytes().map(Document::Text)).collect::<PyResult<Vec<_>>>()?;
    signed(py, &documents, recipe, threads)
}

fn cut<'a, T>(data: &'a [T], offsets: &[u64]) -> PyResult<Vec<&'a [T]>> {
    offsets
        .windows(2)
        .map(|o| data.get(o[0] as usize..o[1] as usize))
        .collect::<Option<_>>()
        .ok_or_else(|| PyIndexError::new_err("offsets that are not ascending places in the data"))
}

/// Sign the texts `buffers[which[i]][starts[i]:stops[i]]`, UTF-8.
#[pyfunction]
fn sign_spans<'py>(
    py: Python<'py>,
    buffers: Vec<PyReadonlyArray1<'py, u8>>,
    which: PyReadonlyArray1<'py, u32>,
    starts: PyReadonlyArray1<'py, u64>,
    stops: PyReadonlyArray1<'py, u64>,
    recipe: RecipeArgs,
    threads: usize,
) -> PyResult<SignedArrays<'py>> {
    let buffers = buffers.iter().map(|b| b.as_slice()).collect::<Result<Vec<_>, _>>()?;
    let (which, starts, stops) = (which.as_slice()?, starts.as_slice()?, stops.as_slice()?);
    if which.len() != starts.len() || which.len() != stops.len() {
        return Err(PyValueError::new_err(format!(
            "{} buffers, {} starts and {} stops; they are equally many",
            which.len(),
            starts.len(),
            stops.len()
        )));
    }
    let documents = which
        .iter()
        .zip(starts.iter().zip(stops))
        .map(|(&b, (&start, &stop))| buffers.get(b as usize)?.get(start as usize..stop as usize).map(Document::Text))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| PyIndexError::new_err("starts and stops that are not places in the buffers"))?;
    signed(py, &documents, recipe, threads)
}

/// The number of characters of the texts of `sign_spans`.
#[pyfunction]
fn span_lengths<'py>(
    py: Python<'py>,
    buffers: Vec<PyReadonlyArray1<'py, u8>>,
    which: PyReadonlyArray1<'py, u32>,
    starts: PyReadonlyArray1<'py, u64>,
    stops: PyReadonlyArray1<'py, u64>,
) -> PyResult<Array1<'py, i64>> {
    let buffers = buffers.iter().map(|b| b.as_slice()).collect::<Result<Vec<_>, _>>()?;
    let spans = which.as_slice()?.iter().zip(starts.as_slice()?.iter().zip(stops.as_slice()?));
    let lengths = spans
        .map(|(&b, (&start, &stop))| {
            let text = buffers.get(b as usize)?.get(start as usize..stop as usize)?;
            Some(text.iter().filter(|&&byte| byte & 0xC0 != 0x80).count() as i64)
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| PyIndexError::new_err("starts and stops that are not places in the buffers"))?;
    Ok(lengths.into_pyarray(py))
}

fn sign_flat<'py>(
    py: Python<'py>,
    hashes: PyReadonlyArray1<'py, u64>,
    offsets: PyReadonlyArray1<'py, u64>,
    recipe: RecipeArgs,
    threads: usize,
    document: for<'a> fn(&'a [u64]) -> Document<'a>,
) -> PyResult<SignedArrays<'py>> {
    let documents: Vec<_> = cut(hashes.as_slice()?, offsets.as_slice()?)?.into_iter().map(document).collect();
    signed(py, &documents, recipe, threads)
}

/// Sign documents given as lists of ready tokens, strings or bytes, by the bytes of their shingles.
///
/// Whichever thread signs some documents fetches their tokens first: meanwhile the others sign, and no more bytes are in memory
/// than are being signed.
#[pyfunction]
fn sign_token_lists<'py>(py: Python<'py>, lists: Vec<Py<PyList>>, recipe: RecipeArgs, threads: usize) -> PyResult<SignedArrays<'py>> {
    fn sign<'py, V: datasketch::Value + numpy::Element>(
        py: Python<'py>,
        lists: &[Py<PyList>],
        (recipe, path): &(datasketch::Recipe, Path),
        threads: usize,
    ) -> PyResult<SignedArrays<'py>> {
        let values = empty::<V>(py, lists.len(), recipe.num_perm())?;
        let mut rows = values.readwrite();
        let (mut rest, mut jobs) = (rows.as_slice_mut()?, Vec::new());
        for share in sign::shares(lists.iter().map(|list| TOKEN * list.bind(py).len())) {
            let own;
            (own, rest) = rest.split_at_mut(share.len() * recipe.num_perm());
            jobs.push((share, own));
        }
        let sign = |share: Range<usize>, ready: Vec<TokenBytes>, rows: &mut [V]| {
            let documents: Vec<_> = ready.iter().map(|(bytes, edges)| datasketch::Document::Tokens { bytes, edges }).collect();
            datasketch::sign_many(recipe, &documents, 1, *path, rows).map_err(|place| too_long(share.start + place))
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
        let signed: Signed = parts.into_iter().collect::<PyResult<_>>()?;
        Ok((values.into_any(), signed.counts.into_pyarray(py), signed.offsets.into_pyarray(py), signed.hashes.into_pyarray(py)))
    }
    let recipe = recipe.datasketch()?;
    if recipe.0.scheme == Scheme::Affine64 {
        sign::<u64>(py, &lists, &recipe, threads)
    } else {
        sign::<u32>(py, &lists, &recipe, threads)
    }
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
fn sign_token_hashes<'py>(
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
fn sign_shingle_hashes<'py>(
    py: Python<'py>,
    hashes: PyReadonlyArray1<'py, u64>,
    offsets: PyReadonlyArray1<'py, u64>,
    recipe: RecipeArgs,
    threads: usize,
) -> PyResult<SignedArrays<'py>> {
    sign_flat(py, hashes, offsets, recipe, threads, |hashes| Document::Hashes(hashes))
}

/// The band keys of signatures, row by row.
#[pyfunction]
fn band_keys<'py>(py: Python<'py>, values: Values<'py>, bands: usize, rows: usize, threads: usize) -> PyResult<Array2<'py, u64>> {
    fn all<V: Value + Sync>(values: &[V], num_perm: usize, bands: usize, rows: usize, threads: usize, keys: &mut [u64]) {
        let order = row_order(num_perm);
        let jobs = values.chunks(1024 * num_perm).zip(keys.chunks_mut(1024 * bands)).collect();
        on_threads(jobs, threads, |(values, keys): (&[V], &mut [u64])| {
            keys_of(values, &order, bands, rows, keys);
        });
    }
    let [n, num_perm] = values.shape();
    if bands * rows > num_perm {
        return Err(PyValueError::new_err(format!("{bands} bands of {rows} rows need {} slots, there are {num_perm}", bands * rows)));
    }
    let mut keys = vec![0; n * bands];
    match &values {
        Values::Narrow(values) => {
            let values = values.as_slice()?;
            py.detach(|| all(values, num_perm, bands, rows, threads, &mut keys));
        }
        Values::Wide(values) => {
            let values = values.as_slice()?;
            py.detach(|| all(values, num_perm, bands, rows, threads, &mut keys));
        }
    }
    keys.into_pyarray(py).reshape([n, bands])
}

/// What the bands keep of band keys.
#[pyfunction]
fn fingerprints<'py>(py: Python<'py>, keys: PyReadonlyArray2<'py, u64>) -> PyResult<Array2<'py, u32>> {
    let shape = [keys.shape()[0], keys.shape()[1]];
    keys.as_slice()?.iter().map(|&key| fingerprint(key)).collect::<Vec<_>>().into_pyarray(py).reshape(shape)
}

/// The lean signature of each row: 8 mixed bits a slot, four slots a word.
#[pyfunction]
fn lean_signatures<'py>(py: Python<'py>, values: Values<'py>, threads: usize) -> PyResult<Array2<'py, u32>> {
    fn all<V: Value + Sync>(values: &[V], num_perm: usize, threads: usize, words: &mut [u32]) {
        let (masks, width) = (lean_masks(num_perm), num_perm.div_ceil(4));
        let jobs = values.chunks(1024 * num_perm).zip(words.chunks_mut(1024 * width)).collect();
        on_threads(jobs, threads, |(values, words): (&[V], &mut [u32])| {
            values.chunks_exact(num_perm).zip(words.chunks_exact_mut(width)).for_each(|(v, w)| lean_signature(v, &masks, w))
        });
    }
    let [n, num_perm] = values.shape();
    let width = num_perm.div_ceil(4);
    let mut words = vec![0; n * width];
    match &values {
        Values::Narrow(values) => {
            let values = values.as_slice()?;
            py.detach(|| all(values, num_perm, threads, &mut words));
        }
        Values::Wide(values) => {
            let values = values.as_slice()?;
            py.detach(|| all(values, num_perm, threads, &mut words));
        }
    }
    words.into_pyarray(py).reshape([n, width])
}

/// The set hash of each document, from its evidence and band keys.
#[pyfunction]
fn set_hashes<'py>(
    py: Python<'py>,
    evidence: PyReadonlyArray1<'py, u32>,
    offsets: PyReadonlyArray1<'py, u64>,
    keys: PyReadonlyArray2<'py, u64>,
) -> PyResult<Array1<'py, u64>> {
    let bands = keys.shape()[1];
    let keys = keys.as_slice()?.chunks_exact(bands);
    let sets = cut(evidence.as_slice()?, offsets.as_slice()?)?;
    Ok(sets.into_iter().zip(keys).map(|(h, k)| verify::set_hash(h, k)).collect::<Vec<_>>().into_pyarray(py))
}

/// How many verification hashes two documents share.
#[pyfunction]
fn intersection(a: PyReadonlyArray1<'_, u32>, b: PyReadonlyArray1<'_, u32>) -> PyResult<usize> {
    Ok(verify::intersection(a.as_slice()?, b.as_slice()?, 0).unwrap_or(0))
}

/// The smallest intersection at which sets of `n` and `m` match.
#[pyfunction]
fn least_intersection(n: usize, m: usize, threshold: f64) -> usize {
    verify::least_intersection(n, m, threshold)
}

#[pymodule]
fn _kernels(m: &Bound<'_, PyModule>) -> PyResult<()> {
    look_up_names(m.py())?;
    m.add("UNICODE_VERSION", crate::unicode::VERSION)?;
    m.add("PATHS", Path::available().into_iter().map(Path::name).collect::<Vec<_>>())?;
    m.add_function(wrap_pyfunction!(tokens, m)?)?;
    m.add_function(wrap_pyfunction!(shingle_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(token_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(window_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(sign_texts, m)?)?;
    m.add_function(wrap_pyfunction!(sign_spans, m)?)?;
    m.add_function(wrap_pyfunction!(span_lengths, m)?)?;
    m.add_function(wrap_pyfunction!(sign_token_lists, m)?)?;
    m.add_function(wrap_pyfunction!(sign_token_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(sign_shingle_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(band_keys, m)?)?;
    m.add_function(wrap_pyfunction!(lean_signatures, m)?)?;
    m.add_function(wrap_pyfunction!(set_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(intersection, m)?)?;
    m.add_function(wrap_pyfunction!(least_intersection, m)?)?;
    m.add_function(wrap_pyfunction!(fingerprints, m)?)?;
    m.add_function(wrap_pyfunction!(segments::block_checksums, m)?)?;
    m.add_function(wrap_pyfunction!(segments::pack_ids, m)?)?;
    m.add_function(wrap_pyfunction!(segments::unpack_ids, m)?)?;
    m.add_function(wrap_pyfunction!(segments::id_fingerprints, m)?)?;
    m.add_function(wrap_pyfunction!(segments::sorted_run, m)?)?;
    m.add_function(wrap_pyfunction!(joins::buckets, m)?)?;
    m.add_function(wrap_pyfunction!(joins::partners, m)?)?;
    m.add_function(wrap_pyfunction!(joins::candidates, m)?)?;
    m.add_function(wrap_pyfunction!(joins::sampled_buckets, m)?)?;
    m.add_function(wrap_pyfunction!(joins::compare, m)?)?;
    m.add_function(wrap_pyfunction!(joins::heavy_join, m)?)?;
    m.add_function(wrap_pyfunction!(joins::prefix_join, m)?)?;
    m.add_function(wrap_pyfunction!(joins::preceded, m)?)?;
    m.add_function(wrap_pyfunction!(joins::first_independent_set, m)?)?;
    m.add_function(wrap_pyfunction!(joins::keep_first, m)?)?;
    m.add_function(wrap_pyfunction!(joins::components, m)?)?;
    m.add_function(wrap_pyfunction!(joins::intersections, m)?)?;
    m.add_function(wrap_pyfunction!(joins::compare_readings, m)?)?;
    m.add_function(wrap_pyfunction!(joins::total_weights, m)?)?;
    m.add_function(wrap_pyfunction!(joins::shared_weights, m)?)?;
    m.add("DamageError", m.py().get_type::<segments::DamageError>())?;
    m.add_class::<prepared::Prepared>()?;
    m.add_class::<prepared::Preparation>()?;
    m.add_class::<tables::DocumentTable>()?;
    m.add_class::<segments::Segment>()?;
    m.add_class::<segments::SegmentTable>()
}
