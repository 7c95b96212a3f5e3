//! Changes to valid input: [`Mutator`]. Bits and bytes, lengths in both byte orders, digits, words of the format,
//! pieces of other inputs, deep nesting, and what lies inside base64.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::random::Random;

/// The longest input, in bytes.
const MAX_LEN: usize = 1 << 20;
const MAX_CHANGES: usize = 6;
/// Numbers at which something changes.
const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    3,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];
/// The least number of characters that look like base64.
const MIN_BASE64: usize = 16;

/// What inputs are made of.
pub(crate) struct Mutator<'a> {
    /// Valid inputs.
    pub(crate) seeds: &'a [Vec<u8>],
    /// Words of the format.
    pub(crate) words: &'a [&'a str],
}

impl Mutator<'_> {
    /// One changed input.
    pub(crate) fn input(&self, random: &mut Random) -> Vec<u8> {
        let mut input = random.pick(self.seeds).cloned().unwrap_or_default();
        for _ in 0..=random.below(MAX_CHANGES) {
            self.change(random, &mut input);
            input.truncate(MAX_LEN);
        }
        input
    }

    fn change(&self, random: &mut Random, input: &mut Vec<u8>) {
        let (start, end) = range(random, input.len());
        match random.below(14) {
            0 => {
                if let Some(byte) = input.get_mut(start) {
                    *byte ^= 1 << random.below(8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(start) {
                    *byte = random.byte();
                }
            }
            2 => input.truncate(start),
            3 => drop(input.drain(start..end)),
            4 => {
                let piece = input[start..end].to_vec();
                let at = random.below(input.len() + 1);
                drop(input.splice(at..at, piece));
            }
            5 => {
                let piece: Vec<u8> = (0..random.below(32)).map(|_| random.byte()).collect();
                drop(input.splice(start..start, piece));
            }
            6 => self.splice(random, input),
            7 | 8 => set_number(random, input, start),
            9 => set_digits(random, input, start),
            10 | 11 => {
                let word = random
                    .pick(self.words)
                    .map(|word| word.as_bytes().to_vec())
                    .unwrap_or_default();
                let end = if random.below(2) == 0 { start } else { end };
                drop(input.splice(start..end, word));
            }
            12 => repeat(random, input, start),
            _ => change_base64(random, input, start),
        }
    }

    /// The start of the input, then the end of a seed.
    fn splice(&self, random: &mut Random, input: &mut Vec<u8>) {
        let at = random.below(input.len() + 1);
        if let Some(other) = random.pick(self.seeds) {
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}

/// A range that is short more often than not.
fn range(random: &mut Random, len: usize) -> (usize, usize) {
    let start = random.below(len + 1);
    let longest = [4, 64, 4096][random.below(3)];
    (start, start + random.below((len - start).min(longest) + 1))
}

/// Overwrites bytes by a number that matters, of any width and byte order.
fn set_number(random: &mut Random, input: &mut [u8], start: usize) {
    let len = input.len() as u64;
    let number = match random.below(3) {
        0 => len.wrapping_add(random.next() % 17).wrapping_sub(8),
        _ => random.pick(&NUMBERS).copied().unwrap_or(0),
    };
    let width = [1, 2, 4, 8][random.below(4)];
    let mut bytes = number.to_le_bytes()[..width].to_vec();
    if random.below(4) == 0 {
        bytes.reverse();
    }
    for (byte, new) in input.iter_mut().skip(start).zip(bytes) {
        *byte = new;
    }
}

/// Replaces the next decimal number.
fn set_digits(random: &mut Random, input: &mut Vec<u8>, start: usize) {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let Some(first) = input.iter().skip(start).position(is_digit).map(|offset| start + offset) else {
        return;
    };
    let count = input.iter().skip(first).take_while(|byte| is_digit(byte)).count();
    let number = random.pick(&NUMBERS).copied().unwrap_or(0);
    let text = match random.below(6) {
        0 => format!("-{number}"),
        1 => format!("{number}{number}"),
        2 => format!("{number}.5e300"),
        _ => number.to_string(),
    };
    drop(input.splice(first..first + count, text.into_bytes()));
}

/// Repeats a few bytes many times: what deep nesting and long lists are made of.
fn repeat(random: &mut Random, input: &mut Vec<u8>, start: usize) {
    const OPENERS: [&[u8]; 6] = [b"[", b"{\"a\":", b"- ", b"\x0a\xff\x01", b"{", b" "];
    let end = (start + 1 + random.below(8)).min(input.len());
    let piece = match random.below(2) {
        0 => input[start..end].to_vec(),
        _ => random.pick(&OPENERS).map(|piece| piece.to_vec()).unwrap_or_default(),
    };
    let times = [10, 200, 10_000][random.below(3)];
    drop(input.splice(start..start, piece.repeat(times)));
}

/// Changes a byte of what the next run of base64 encodes.
fn change_base64(random: &mut Random, input: &mut Vec<u8>, start: usize) {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let mut first = start;
    while first < input.len() {
        let count = input[first..].iter().take_while(|byte| is_base64(byte)).count();
        if count >= MIN_BASE64 {
            let padding = input[first + count..]
                .iter()
                .take(2)
                .take_while(|byte| **byte == b'=')
                .count();
            let run = first..first + count + padding;
            if let Ok(mut bytes) = STANDARD.decode(&input[run.clone()]) {
                let at = random.below(bytes.len());
                match random.below(3) {
                    0 => set_number(random, &mut bytes, at),
                    1 => bytes.truncate(at),
                    _ => bytes[at] ^= 1 << random.below(8),
                }
                drop(input.splice(run, STANDARD.encode(bytes).into_bytes()));
                return;
            }
        }
        first += count + 1;
    }
}
