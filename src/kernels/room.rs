//! Room for arrays that grow with what is given. Where the system has no memory for one the caller is told; Rust by itself would
//! end the process.

/// The system has no memory for an array of so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom(pub usize);

pub type Roomy<T> = Result<T, NoRoom>;

/// Make room for exactly so many more.
pub fn reserve<T>(array: &mut Vec<T>, more: usize) -> Roomy<()> {
    array.try_reserve_exact(more).map_err(|_| NoRoom(array.len().saturating_add(more).saturating_mul(size_of::<T>())))
}

/// Make room for so many more, and where there is none, for a quarter of what there is at least.
pub fn grow<T>(array: &mut Vec<T>, more: usize) -> Roomy<()> {
    if array.capacity() - array.len() >= more {
        return Ok(());
    }
    reserve(array, more.max(array.len() / 4 + 16))
}

/// Make room for so many more in an array that doubles, which is soon done with.
pub fn double<T>(array: &mut Vec<T>, more: usize) -> Roomy<()> {
    array.try_reserve(more).map_err(|_| NoRoom(array.len().saturating_add(more).saturating_mul(size_of::<T>())))
}

/// So many of one value.
pub fn filled<T: Clone>(value: T, n: usize) -> Roomy<Vec<T>> {
    let mut array = Vec::new();
    reserve(&mut array, n)?;
    array.resize(n, value);
    Ok(array)
}

pub fn collected<T>(items: impl ExactSizeIterator<Item = T>) -> Roomy<Vec<T>> {
    let mut array = Vec::new();
    reserve(&mut array, items.len())?;
    array.extend(items);
    Ok(array)
}

/// All of the items, or the first error.
pub fn tried<T, E: From<NoRoom>>(items: impl ExactSizeIterator<Item = Result<T, E>>) -> Result<Vec<T>, E> {
    let mut array = Vec::new();
    reserve(&mut array, items.len())?;
    for item in items {
        array.push(item?);
    }
    Ok(array)
}

/// Of items of which there may be many or few those that there are.
pub fn gathered<T>(items: impl Iterator<Item = T>) -> Roomy<Vec<T>> {
    let mut array = Vec::new();
    for item in items {
        double(&mut array, 1)?;
        array.push(item);
    }
    Ok(array)
}

/// Append what there is room for, while there was room for all before it.
pub fn push<T>(array: &mut Vec<T>, item: T, room: &mut Roomy<()>) {
    if room.is_ok() {
        *room = double(array, 1).map(|()| array.push(item));
    }
}

/// What threads did, one after another, or that there was no room for some of it.
pub fn all<T, E: From<NoRoom>>(parts: Vec<Result<Vec<T>, E>>) -> Result<Vec<T>, E> {
    Ok(joined(parts.into_iter().collect::<Result<_, E>>()?)?)
}

/// Arrays one after another.
pub fn joined<T>(mut parts: Vec<Vec<T>>) -> Roomy<Vec<T>> {
    if let [_] = parts[..] {
        return Ok(parts.swap_remove(0));
    }
    let mut all = Vec::new();
    reserve(&mut all, parts.iter().map(Vec::len).sum())?;
    parts.iter_mut().for_each(|part| all.append(part));
    Ok(all)
}
