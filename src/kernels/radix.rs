//! Sorting of many things by numbers of 32 bits.

use crate::room::{self, Roomy};

/// Bits of a number that one pass sorts by.
const DIGIT: u32 = 8;

/// Fewer are as soon sorted by comparing them.
const FEW: usize = 1 << 10;

/// Sort by a number that each has; what has the same one stays in the order in which it is given, that of another number.
pub fn sort_by_number<T: Copy + Default>(values: &mut Vec<T>, number: impl Fn(&T) -> u32, other: impl Fn(&T) -> u32) -> Roomy<()> {
    if values.len() < FEW {
        values.sort_unstable_by_key(|value| (number(value), other(value)));
        return Ok(());
    }
    let mut sorted = room::filled(T::default(), values.len())?;
    for shift in (0..u32::BITS).step_by(DIGIT as usize) {
        let mut ends = [0usize; 1 << DIGIT];
        let digit = |value: &T| (number(value) >> shift) as usize & ((1 << DIGIT) - 1);
        values.iter().for_each(|value| ends[digit(value)] += 1);
        if ends.contains(&values.len()) {
            continue; // all have this digit
        }
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        for &value in values.iter() {
            let place = &mut ends[digit(&value)];
            sorted[*place] = value;
            *place += 1;
        }
        std::mem::swap(values, &mut sorted);
    }
    Ok(())
}

/// Sort by two numbers that each has, the high one first.
pub fn sort_by_two<T: Copy + Default>(values: &mut Vec<T>, high: impl Fn(&T) -> u32, low: impl Fn(&T) -> u32) -> Roomy<()> {
    if values.len() >= FEW {
        sort_by_number(values, &low, |_| 0)?; // and so many stay in that order
    }
    sort_by_number(values, high, low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_sorted_as_the_standard_library_sorts_them() {
        for (many, most) in [(5000, u32::MAX), (5000, 700), (100, 10), (2000, 1)] {
            let number = |i: u64| (crate::hash::mix64(i % 700) >> 32) as u32 % most;
            let mut values: Vec<u64> = (0..many).map(|i| u64::from(number(i)) << 32 | i).collect();
            let mut expected = values.clone();
            expected.sort_unstable();
            sort_by_number(&mut values, |value| (value >> 32) as u32, |&value| value as u32).unwrap();
            assert!(values == expected);
            let mut pairs: Vec<u64> = expected.iter().rev().map(|value| value.rotate_left(32)).collect();
            sort_by_two(&mut pairs, |&pair| pair as u32, |pair| (pair >> 32) as u32).unwrap();
            assert!(pairs.iter().map(|pair| pair.rotate_left(32)).eq(expected));
        }
    }
}
