//! What Python sees: flat arrays in, flat arrays out, the GIL released in between.

use crate::hash::{integer_token_hash, text_token_hash, whole, windows};
use crate::minhash::{band_keys as keys_of, lean_signature, row_order, Lattice};
use crate::path::Path;
use crate::sign::{self, on_threads, sign_many, Document, Product, Recipe, Stage};
use crate::store::Store;
use crate::table::{Answer, Found, Row, Table};
use crate::verify;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::{PyIndexError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyInt, PyList, PyString, PyTuple};
use std::ops::Range;
use std::sync::RwLock;

type Array1<'py, T> = Bound<'py, PyArray1<T>>;
type Array2<'py, T> = Bound<'py, PyArray2<T>>;

/// A string's UTF-8: in place for ASCII, otherwise a temporary encoding that the string does not keep.
enum Utf8<'py> {
    Ascii(Bound<'py, PyString>),
    Encoded(Bound<'py, PyBytes>),
}

impl<'py> Utf8<'py> {
    fn new(text: &Bound<'py, PyString>) -> PyResult<Self> {
        let py = text.py();
        if text.call_method0(intern!(py, "isascii"))?.is_truthy()? {
            return Ok(Utf8::Ascii(text.clone()));
        }
        let encoded = text.call_method1(intern!(py, "encode"), (intern!(py, "utf-8"), intern!(py, "surrogatepass")))?;
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

type SignedArrays<'py> = (Array2<'py, u32>, Array1<'py, u64>, Array1<'py, u64>, Array1<'py, u32>);

/// Sign documents straight into the arrays that Python gets.
fn signed<'py>(py: Python<'py>, documents: &[Document], recipe: RecipeArgs, threads: usize) -> PyResult<SignedArrays<'py>> {
    let (recipe, path) = recipe.recipe()?;
    let values = PyArray2::zeros(py, [documents.len(), recipe.lattice.num_perm()], false);
    let mut rows = values.readwrite();
    let rows = rows.as_slice_mut()?;
    let signed = py.detach(|| sign_many(&recipe, documents, threads, path, rows));
    Ok((values, signed.counts.into_pyarray(py), signed.offsets.into_pyarray(py), signed.hashes.into_pyarray(py)))
}

/// How documents are signed; see `sign.Recipe`.
#[derive(FromPyObject)]
struct RecipeArgs {
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
}

impl RecipeArgs {
    fn recipe(&self) -> PyResult<(Recipe, Path)> {
        if !(1..=32).contains(&self.size) || !(2..=4096).contains(&self.num_perm) {
            return Err(PyValueError::new_err(format!("size {} or num_perm {} out of range", self.size, self.num_perm)));
        }
        let lattice = Lattice::new(self.num_perm, self.seed);
        let product = match (self.floor.as_deref(), self.verification) {
            (None, true) => Product::SignatureAndHashes,
            (None, false) => Product::Signature,
            (Some("boundaries"), _) => Product::Floor(Stage::Boundaries),
            (Some("tokens"), _) => Product::Floor(Stage::Tokens),
            (Some("shingles"), _) => Product::Floor(Stage::Shingles),
            (Some(other), _) => return Err(PyValueError::new_err(format!("floor is '{other}'; it is boundaries, tokens or shingles"))),
        };
        let path = match &self.path {
            None => Path::detect(),
            Some(name) => Path::available().into_iter().find(|p| p.name() == name).ok_or_else(|| {
                let names: Vec<_> = Path::available().into_iter().map(Path::name).collect();
                PyValueError::new_err(format!("path is '{name}'; this processor has {}", names.join(", ")))
            })?,
        };
        Ok((Recipe { chars: self.chars, size: self.size, secret: self.secret, lattice, product }, path))
    }
}

/// Sign a list of strings.
#[pyfunction]
fn sign_texts<'py>(py: Python<'py>, texts: &Bound<'py, PyList>, recipe: RecipeArgs, threads: usize) -> PyResult<SignedArrays<'py>> {
    let held = texts
        .iter()
        .enumerate()
        .map(|(i, text)| match text.cast::<PyString>() {
            Ok(text) => Utf8::new(text),
            Err(_) => Err(PyTypeError::new_err(format!("text {i} is of type {}; a text is a str", text.get_type().name()?))),
        })
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
fn band_keys<'py>(
    py: Python<'py>,
    values: PyReadonlyArray2<'py, u32>,
    bands: usize,
    rows: usize,
    threads: usize,
) -> PyResult<Array2<'py, u64>> {
    let [n, num_perm] = [values.shape()[0], values.shape()[1]];
    if bands * rows > num_perm {
        return Err(PyValueError::new_err(format!("{bands} bands of {rows} rows need {} slots, there are {num_perm}", bands * rows)));
    }
    let values = values.as_slice()?;
    let mut keys = vec![0; n * bands];
    py.detach(|| {
        let order = row_order(num_perm);
        let jobs = values.chunks(1024 * num_perm).zip(keys.chunks_mut(1024 * bands)).collect();
        on_threads(jobs, threads, |(values, keys): (&[u32], &mut [u64])| {
            values.chunks_exact(num_perm).zip(keys.chunks_exact_mut(bands)).for_each(|(v, k)| keys_of(v, &order, rows, k))
        });
    });
    keys.into_pyarray(py).reshape([n, bands])
}

/// The lean signature of each row: 8 mixed bits a slot, four slots a word.
#[pyfunction]
fn lean_signatures<'py>(py: Python<'py>, values: PyReadonlyArray2<'py, u32>, threads: usize) -> PyResult<Array2<'py, u32>> {
    let [n, num_perm] = [values.shape()[0], values.shape()[1]];
    let width = num_perm.div_ceil(4);
    let values = values.as_slice()?;
    let mut words = vec![0; n * width];
    py.detach(|| {
        let jobs = values.chunks(1024 * num_perm).zip(words.chunks_mut(1024 * width)).collect();
        on_threads(jobs, threads, |(values, words): (&[u32], &mut [u32])| {
            values.chunks_exact(num_perm).zip(words.chunks_exact_mut(width)).for_each(|(v, w)| lean_signature(v, w))
        });
    });
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

/// Matches of a batch: offsets by document, then for each match its entry, agreement and size.
type Matches<'py> = (Array1<'py, u64>, Array1<'py, u32>, Array1<'py, u32>, Array1<'py, u32>);

fn flat<'py>(py: Python<'py>, rows: impl Iterator<Item = Vec<Found>>) -> Matches<'py> {
    let (mut offsets, mut entries, mut agreements, mut sizes) = (vec![0], vec![], vec![], vec![]);
    for row in rows {
        entries.extend(row.iter().map(|f| f.entry));
        agreements.extend(row.iter().map(|f| f.agreement));
        sizes.extend(row.iter().map(|f| f.size));
        offsets.push(entries.len() as u64);
    }
    (offsets.into_pyarray(py), entries.into_pyarray(py), agreements.into_pyarray(py), sizes.into_pyarray(py))
}

/// A batch of documents for the table: band keys, set hashes, sizes, and evidence by offsets.
struct Batch<'py> {
    keys: PyReadonlyArray2<'py, u64>,
    set_hashes: PyReadonlyArray1<'py, u64>,
    sizes: PyReadonlyArray1<'py, u32>,
    evidence: PyReadonlyArray1<'py, u32>,
    offsets: PyReadonlyArray1<'py, u64>,
}

impl<'a, 'py> FromPyObject<'a, 'py> for Batch<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let tuple = object.cast::<PyTuple>()?;
        Ok(Batch {
            keys: tuple.get_item(0)?.extract()?,
            set_hashes: tuple.get_item(1)?.extract()?,
            sizes: tuple.get_item(2)?.extract()?,
            evidence: tuple.get_item(3)?.extract()?,
            offsets: tuple.get_item(4)?.extract()?,
        })
    }
}

impl Batch<'_> {
    fn rows(&self, bands: usize, slots: usize) -> PyResult<Vec<Row<'_>>> {
        let evidence = cut(self.evidence.as_slice()?, self.offsets.as_slice()?)?;
        let (set_hashes, sizes) = (self.set_hashes.as_slice()?, self.sizes.as_slice()?);
        let n = evidence.len();
        let words = slots.div_ceil(4);
        let fits = |(evidence, &size): (&&[u32], &u32)| evidence.len() == if slots == 0 { size as usize } else { words };
        if self.keys.shape() != [n, bands] || [set_hashes.len(), sizes.len()] != [n, n] || !evidence.iter().zip(sizes).all(fits) {
            return Err(PyValueError::new_err(format!(
                "a batch of {n} documents with keys of shape {:?} and {} words of evidence, the table has {} bands and {} slots",
                self.keys.shape(),
                self.evidence.len(),
                bands,
                slots
            )));
        }
        let keys = self.keys.as_slice()?.chunks_exact(bands);
        let rows = keys.zip(set_hashes).zip(sizes).zip(evidence);
        Ok(rows.map(|(((keys, &set_hash), &size), evidence)| Row { keys, set_hash, size, evidence }).collect())
    }
}

/// Buckets, and the evidence by which their members are checked. Safe to use from many threads.
#[pyclass(frozen, module = "neardup._kernels")]
struct BucketTable {
    table: RwLock<Table>,
    bands: usize,
    slots: usize,
}

#[pymethods]
impl BucketTable {
    #[new]
    fn new(bands: usize, bucket_limit: usize, slots: usize) -> Self {
        BucketTable { table: RwLock::new(Table::new(bands, bucket_limit, slots)), bands, slots }
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.table.read().unwrap().len())
    }

    /// The entry of each document of the batch, -1 for those without shingles.
    fn insert<'py>(&self, py: Python<'py>, batch: Batch<'py>, threads: usize) -> PyResult<Array1<'py, i64>> {
        let rows = batch.rows(self.bands, self.slots)?;
        let entries = py.detach(|| self.table.write().unwrap().insert(&rows, threads));
        Ok(entries.into_iter().map(|entry| entry.map_or(-1, i64::from)).collect::<Vec<_>>().into_pyarray(py))
    }

    /// What each document of the batch matches, and whether its look-up was truncated.
    fn query<'py>(
        &self,
        py: Python<'py>,
        batch: Batch<'py>,
        threshold: f64,
        threads: usize,
    ) -> PyResult<(Matches<'py>, Array1<'py, bool>)> {
        let rows = batch.rows(self.bands, self.slots)?;
        let answers = py.detach(|| self.table.read().unwrap().query_many(&rows, threshold, threads));
        let truncated: Vec<_> = answers.iter().map(|a| a.truncated).collect();
        Ok((flat(py, answers.into_iter().map(|a| a.found)), truncated.into_pyarray(py)))
    }

    /// In order, insert each document that matches none before it: its entry or -1, and what it matched.
    fn add_unless_match<'py>(&self, py: Python<'py>, batch: Batch<'py>, threshold: f64) -> PyResult<(Array1<'py, i64>, Matches<'py>)> {
        let rows = batch.rows(self.bands, self.slots)?;
        let results: Vec<Result<Option<u32>, Answer>> = py.detach(|| {
            let mut table = self.table.write().unwrap();
            rows.into_iter().map(|row| table.add_unless_match(row, threshold)).collect()
        });
        let entries: Vec<_> = results.iter().map(|r| r.as_ref().ok().copied().flatten().map_or(-1, i64::from)).collect();
        Ok((entries.into_pyarray(py), flat(py, results.into_iter().map(|r| r.err().unwrap_or_default().found))))
    }

    /// The fingerprints of the entries from `start` to `stop`, a row each, for `pairs`.
    fn fingerprints<'py>(&self, py: Python<'py>, start: u32, stop: u32, threads: usize) -> PyResult<Array2<'py, u32>> {
        let rows = py.detach(|| self.table.read().unwrap().fingerprints(start..stop, threads));
        rows.into_pyarray(py).reshape([(stop - start) as usize, self.bands])
    }

    /// All matching pairs of the entries from `start` on, whose fingerprints are given, with earlier ones: (entry, earlier,
    /// agreement, their sizes).
    #[allow(clippy::type_complexity)]
    fn pairs<'py>(
        &self,
        py: Python<'py>,
        start: u32,
        fingerprints: PyReadonlyArray2<'py, u32>,
        threshold: f64,
        threads: usize,
    ) -> PyResult<(Array1<'py, u32>, Array1<'py, u32>, Array1<'py, u32>, Array1<'py, u32>, Array1<'py, u32>)> {
        if fingerprints.shape()[1] != self.bands {
            return Err(PyValueError::new_err(format!(
                "{} fingerprints an entry, the table has {} bands",
                fingerprints.shape()[1],
                self.bands
            )));
        }
        let fingerprints = fingerprints.as_slice()?;
        let found: Vec<_> = py.detach(|| {
            let table = self.table.read().unwrap();
            let rows = table.pairs(start, fingerprints, threshold, threads);
            rows.into_iter()
                .flat_map(|(e, found)| found.into_iter().map(|f| (e, f.entry, f.agreement, table.size(e), f.size)).collect::<Vec<_>>())
                .collect()
        });
        Ok((
            found.iter().map(|f| f.0).collect::<Vec<_>>().into_pyarray(py),
            found.iter().map(|f| f.1).collect::<Vec<_>>().into_pyarray(py),
            found.iter().map(|f| f.2).collect::<Vec<_>>().into_pyarray(py),
            found.iter().map(|f| f.3).collect::<Vec<_>>().into_pyarray(py),
            found.iter().map(|f| f.4).collect::<Vec<_>>().into_pyarray(py),
        ))
    }
}

/// An id as the table keeps it: the UTF-8 of a string; of an integer, after a byte that UTF-8 has not, as few as there may be.
fn id_bytes(id: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = id.cast::<PyString>() {
        return Ok(Utf8::new(text)?.bytes()?.to_vec());
    }
    let number: i64 = id.extract()?;
    let folded = ((number << 1) ^ (number >> 63)) as u64;
    let mut bytes = vec![INTEGER];
    bytes.extend(&folded.to_le_bytes()[..8 - folded.leading_zeros() as usize / 8]);
    Ok(bytes)
}

const INTEGER: u8 = 0xFF;

/// Ids on their way to Python, taken from the table while its lock is held.
#[derive(Default)]
struct IdList {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl IdList {
    fn push(&mut self, id: &[u8]) {
        self.bytes.extend_from_slice(id);
        self.ends.push(self.bytes.len());
    }

    fn object<'py>(&self, py: Python<'py>, place: usize) -> PyResult<Bound<'py, PyAny>> {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        let bytes = &self.bytes[start..self.ends[place]];
        if let Some((&INTEGER, bytes)) = bytes.split_first() {
            let mut folded = [0; 8];
            folded[..bytes.len()].copy_from_slice(bytes);
            let folded = u64::from_le_bytes(folded);
            return Ok(((folded >> 1) as i64 ^ -((folded & 1) as i64)).into_pyobject(py)?.into_any());
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(PyString::new(py, text).into_any()),
            // Lone surrogates.
            Err(_) => PyBytes::new(py, bytes).call_method1(intern!(py, "decode"), (intern!(py, "utf-8"), intern!(py, "surrogatepass"))),
        }
    }

    fn list<'py>(&self, py: Python<'py>, range: Range<usize>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, range.map(|place| self.object(py, place)).collect::<PyResult<Vec<_>>>()?)
    }
}

/// The documents that a look-up found: their ids, agreements and sizes.
#[derive(Default)]
struct Hits {
    ids: IdList,
    columns: Vec<(u32, u32)>,
}

impl Hits {
    fn push(&mut self, store: &Store, found: &Found) {
        for document in store.ids.members(found.entry) {
            self.ids.push(store.ids.id(document));
            self.columns.push((found.agreement, found.size));
        }
    }

    fn tuples<'py>(&self, py: Python<'py>, range: Range<usize>) -> PyResult<Bound<'py, PyList>> {
        let tuples = range.map(|i| Ok((self.ids.object(py, i)?, self.columns[i].0, self.columns[i].1)));
        PyList::new(py, tuples.collect::<PyResult<Vec<_>>>()?)
    }
}

/// A bucket table whose entries have documents, known by their ids. Safe to use from many threads; each call is atomic.
#[pyclass(frozen, module = "neardup._kernels")]
struct DocumentTable {
    store: RwLock<Store>,
    bands: usize,
    slots: usize,
}

#[pymethods]
impl DocumentTable {
    #[new]
    fn new(bands: usize, bucket_limit: usize, slots: usize) -> Self {
        DocumentTable { store: RwLock::new(Store::new(Table::new(bands, bucket_limit, slots))), bands, slots }
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.store.read().unwrap().ids.len())
    }

    fn __contains__(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> bool {
        // What cannot be an id is not there.
        id_bytes(id).is_ok_and(|id| py.detach(|| self.store.read().unwrap().ids.find(&id).is_some()))
    }

    /// All ids, in order of insertion.
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut ids = IdList::default();
        py.detach(|| {
            let store = self.store.read().unwrap();
            store.ids.iter().for_each(|document| ids.push(store.ids.id(document)));
        });
        ids.list(py, 0..ids.ends.len())
    }

    /// Add documents; or the place of the first whose id is there already, and nothing was added.
    fn add<'py>(&self, py: Python<'py>, ids: Vec<Bound<'py, PyAny>>, batch: Batch<'py>, threads: usize) -> PyResult<Option<usize>> {
        let rows = batch.rows(self.bands, self.slots)?;
        if ids.len() != rows.len() {
            return Err(PyValueError::new_err(format!("{} ids and {} documents", ids.len(), rows.len())));
        }
        let ids = ids.iter().map(id_bytes).collect::<PyResult<Vec<_>>>()?;
        Ok(py.detach(|| self.store.write().unwrap().add(&ids, &rows, threads)).err())
    }

    /// Add one document, or what it matches, and nothing was added; None when its id is there already.
    fn add_unless_match<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyAny>,
        batch: Batch<'py>,
        threshold: f64,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let rows = batch.rows(self.bands, self.slots)?;
        let [row] = rows[..] else { return Err(PyValueError::new_err(format!("one id and {} documents", rows.len()))) };
        let (id, mut hits) = (id_bytes(id)?, Hits::default());
        let done = py.detach(|| {
            let mut store = self.store.write().unwrap();
            let answer = store.add_unless_match(&id, row, threshold)?;
            answer.found.iter().for_each(|found| hits.push(&store, found));
            Some(())
        });
        done.map(|()| hits.tuples(py, 0..hits.columns.len())).transpose()
    }

    /// Remove a document. Whether it was there.
    fn remove(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = id_bytes(id)?;
        Ok(py.detach(|| self.store.write().unwrap().remove(&id)))
    }

    /// Give a document another content. Whether it was there.
    fn replace<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>, batch: Batch<'py>) -> PyResult<bool> {
        let rows = batch.rows(self.bands, self.slots)?;
        let [row] = rows[..] else { return Err(PyValueError::new_err(format!("one id and {} documents", rows.len()))) };
        let id = id_bytes(id)?;
        Ok(py.detach(|| self.store.write().unwrap().replace(&id, row)))
    }

    /// What each document of the batch matches, (id, agreement, size), and whether its look-up was truncated.
    #[allow(clippy::type_complexity)]
    fn query<'py>(&self, py: Python<'py>, batch: Batch<'py>, threshold: f64, threads: usize) -> PyResult<Vec<(Bound<'py, PyList>, bool)>> {
        let rows = batch.rows(self.bands, self.slots)?;
        let (hits, ends) = py.detach(|| {
            let store = self.store.read().unwrap();
            let (mut hits, mut ends) = (Hits::default(), Vec::with_capacity(rows.len()));
            for answer in store.table.query_many(&rows, threshold, threads) {
                answer.found.iter().for_each(|found| hits.push(&store, found));
                ends.push((hits.columns.len(), answer.truncated));
            }
            (hits, ends)
        });
        let mut start = 0;
        ends.into_iter().map(|(end, truncated)| Ok((hits.tuples(py, std::mem::replace(&mut start, end)..end)?, truncated))).collect()
    }

    /// What a document is verified by; None when it is not there.
    fn evidence<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Option<Array1<'py, u32>>> {
        let id = id_bytes(id)?;
        let evidence = py.detach(|| {
            let store = self.store.read().unwrap();
            let document = store.ids.find(&id)?;
            Some(store.ids.entry(document).map_or_else(Vec::new, |entry| store.table.evidence(entry).to_vec()))
        });
        Ok(evidence.map(|evidence| evidence.into_pyarray(py)))
    }

    /// One more than the highest entry ever made.
    fn entries(&self, py: Python<'_>) -> u32 {
        py.detach(|| self.store.read().unwrap().table.len() as u32)
    }

    /// The fingerprints of the entries from `start` to `stop`, a row each, for `pairs`.
    fn fingerprints<'py>(&self, py: Python<'py>, start: u32, stop: u32, threads: usize) -> PyResult<Array2<'py, u32>> {
        let rows = py.detach(|| self.store.read().unwrap().table.fingerprints(start..stop, threads));
        rows.into_pyarray(py).reshape([(stop - start) as usize, self.bands])
    }

    /// All matching pairs of the entries from `start` on, whose fingerprints are given: copies, and entries with earlier ones.
    /// The ids of both sides, their agreement and sizes.
    #[allow(clippy::type_complexity)]
    fn pairs<'py>(
        &self,
        py: Python<'py>,
        start: u32,
        fingerprints: PyReadonlyArray2<'py, u32>,
        threshold: f64,
        threads: usize,
    ) -> PyResult<Vec<(Bound<'py, PyList>, Bound<'py, PyList>, u32, u32, u32)>> {
        let stop = start + fingerprints.shape()[0] as u32;
        let fingerprints = fingerprints.as_slice()?;
        let (mut ids, mut pairs) = (IdList::default(), Vec::new());
        py.detach(|| {
            let store = self.store.read().unwrap();
            let mut members = |entry| {
                let from = ids.ends.len();
                store.ids.members(entry).for_each(|document| ids.push(store.ids.id(document)));
                from..ids.ends.len()
            };
            for entry in start..stop {
                if store.ids.members(entry).nth(1).is_some() {
                    let (all, size) = (members(entry), store.table.size(entry));
                    pairs.push((all.clone(), all, store.table.full_agreement(size), size, size));
                }
            }
            for (entry, found) in store.table.pairs(start, fingerprints, threshold, threads) {
                let all = if found.is_empty() { 0..0 } else { members(entry) };
                for other in found {
                    pairs.push((all.clone(), members(other.entry), other.agreement, store.table.size(entry), other.size));
                }
            }
        });
        let listed = |(a, b, agreement, n, m): (Range<usize>, Range<usize>, u32, u32, u32)| {
            let ours = ids.list(py, a.clone())?;
            // Copies are one list, which is how they are told.
            let theirs = if a == b { ours.clone() } else { ids.list(py, b)? };
            Ok((ours, theirs, agreement, n, m))
        };
        pairs.into_iter().map(listed).collect()
    }

    /// Bytes of memory: postings, evidence, entries, ids.
    fn nbytes(&self, py: Python<'_>) -> [usize; 4] {
        py.detach(|| {
            let store = self.store.read().unwrap();
            let [postings, evidence, entries] = store.table.nbytes();
            [postings, evidence, entries, store.ids.nbytes()]
        })
    }
}

#[pymodule]
fn _kernels(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("UNICODE_VERSION", crate::unicode::VERSION)?;
    m.add("PATHS", Path::available().into_iter().map(Path::name).collect::<Vec<_>>())?;
    m.add_function(wrap_pyfunction!(tokens, m)?)?;
    m.add_function(wrap_pyfunction!(shingle_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(token_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(window_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(sign_texts, m)?)?;
    m.add_function(wrap_pyfunction!(sign_spans, m)?)?;
    m.add_function(wrap_pyfunction!(span_lengths, m)?)?;
    m.add_function(wrap_pyfunction!(sign_token_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(sign_shingle_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(band_keys, m)?)?;
    m.add_function(wrap_pyfunction!(lean_signatures, m)?)?;
    m.add_function(wrap_pyfunction!(set_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(intersection, m)?)?;
    m.add_function(wrap_pyfunction!(least_intersection, m)?)?;
    m.add_class::<BucketTable>()?;
    m.add_class::<DocumentTable>()
}
