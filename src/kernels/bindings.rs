//! What Python sees: flat arrays in, flat arrays out, the GIL released in between.

use crate::band::fingerprint;
use crate::hash::{integer_token_hash, text_token_hash, whole, windows};
use crate::keeping::Keeping;
use crate::minhash::{band_keys as keys_of, lean_masks, lean_signatures as lean_signatures_of, row_order, Value};
use crate::path::Path;
use crate::room::{self, NoRoom};
use crate::sign;
use crate::threads::on_threads;
use crate::verify;
use numpy::{Element, IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::{PyIndexError, PyMemoryError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyString};
use std::alloc::System;
use std::sync::OnceLock;

mod hits;
mod ids;
mod joins;
mod matcher;
mod objects;
mod prepared;
mod rows;
mod segments;
mod signing;
mod tables;

#[global_allocator]
static ALLOCATOR: Keeping<System> = Keeping::new(System);

type Array1<'py, T> = Bound<'py, PyArray1<T>>;
type Array2<'py, T> = Bound<'py, PyArray2<T>>;

impl From<NoRoom> for PyErr {
    fn from(NoRoom(bytes): NoRoom) -> PyErr {
        PyMemoryError::new_err(format!("no memory for an array of {bytes} bytes; use smaller batches, or allow more memory"))
    }
}

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
    recipe.extract::<signing::RecipeArgs>().map(drop)
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

/// The rows of an array, one after another. (`as_slice` gives columns too, where those are.)
fn rows_of<'a, T: Element>(rows: &'a PyReadonlyArray2<'_, T>) -> PyResult<&'a [T]> {
    in_rows(rows)?;
    Ok(rows.as_slice()?)
}

/// Refuse an array whose rows do not lie one after another.
fn in_rows<'py, T: Element>(array: &Bound<'py, PyArray2<T>>) -> PyResult<()> {
    if array.is_c_contiguous() {
        return Ok(());
    }
    let [n, width] = [array.shape()[0], array.shape()[1]];
    Err(PyValueError::new_err(format!(
        "the rows of an array of {n} by {width} do not lie one after another; numpy.ascontiguousarray copies it so that they do"
    )))
}

fn cut<'a, T>(data: &'a [T], offsets: &[u64]) -> PyResult<Vec<&'a [T]>> {
    let part = |o: &[u64]| data.get(o[0] as usize..o[1] as usize);
    room::tried(
        offsets.windows(2).map(|o| part(o).ok_or_else(|| PyIndexError::new_err("offsets that are not ascending places in the data"))),
    )
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
    let mut keys = room::filled(0, n * bands)?;
    match &values {
        Values::Narrow(values) => {
            let values = rows_of(values)?;
            py.detach(|| all(values, num_perm, bands, rows, threads, &mut keys));
        }
        Values::Wide(values) => {
            let values = rows_of(values)?;
            py.detach(|| all(values, num_perm, bands, rows, threads, &mut keys));
        }
    }
    keys.into_pyarray(py).reshape([n, bands])
}

/// What the bands keep of band keys.
#[pyfunction]
fn fingerprints<'py>(py: Python<'py>, keys: PyReadonlyArray2<'py, u64>) -> PyResult<Array2<'py, u32>> {
    let shape = [keys.shape()[0], keys.shape()[1]];
    room::collected(rows_of(&keys)?.iter().map(|&key| fingerprint(key)))?.into_pyarray(py).reshape(shape)
}

/// The lean signature of each row: 8 mixed bits a slot, four slots a word.
#[pyfunction]
fn lean_signatures<'py>(py: Python<'py>, values: Values<'py>, threads: usize) -> PyResult<Array2<'py, u32>> {
    fn all<V: Value + Sync>(values: &[V], num_perm: usize, threads: usize, words: &mut [u32]) {
        let (masks, width) = (lean_masks(num_perm), num_perm.div_ceil(4));
        let jobs = values.chunks(1024 * num_perm).zip(words.chunks_mut(1024 * width)).collect();
        let path = Path::detect();
        on_threads(jobs, threads, |(values, words): (&[V], &mut [u32])| lean_signatures_of(values, &masks, words, path));
    }
    let [n, num_perm] = values.shape();
    let width = num_perm.div_ceil(4);
    let mut words = room::filled(0, n * width)?;
    match &values {
        Values::Narrow(values) => {
            let values = rows_of(values)?;
            py.detach(|| all(values, num_perm, threads, &mut words));
        }
        Values::Wide(values) => {
            let values = rows_of(values)?;
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
    let keys = rows_of(&keys)?.chunks_exact(bands);
    let sets = cut(evidence.as_slice()?, offsets.as_slice()?)?;
    Ok(room::collected(sets.into_iter().zip(keys).map(|(h, k)| verify::set_hash(h, k)))?.into_pyarray(py))
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
    m.add_function(wrap_pyfunction!(signing::sign_texts, m)?)?;
    m.add_function(wrap_pyfunction!(signing::sign_spans, m)?)?;
    m.add_function(wrap_pyfunction!(signing::span_lengths, m)?)?;
    m.add_function(wrap_pyfunction!(signing::sign_token_lists, m)?)?;
    m.add_function(wrap_pyfunction!(signing::sign_token_hashes, m)?)?;
    m.add_function(wrap_pyfunction!(signing::sign_shingle_hashes, m)?)?;
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
    m.add_function(wrap_pyfunction!(joins::crowds, m)?)?;
    m.add_function(wrap_pyfunction!(joins::crowd_join, m)?)?;
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
    m.add_class::<joins::WeightTable>()?;
    m.add_class::<matcher::Matcher>()?;
    m.add_class::<prepared::Prepared>()?;
    m.add_class::<prepared::Preparation>()?;
    m.add_class::<tables::DocumentTable>()?;
    m.add_class::<segments::Segment>()?;
    m.add_class::<segments::SegmentTable>()
}
