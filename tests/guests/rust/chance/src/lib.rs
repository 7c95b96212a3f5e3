//! Numbers of chance, decided by a seed alone, of the kinds that find faults: small numbers, edges, pointers, noise.

use std::cell::{Cell, RefCell};

/// Calls that a guest makes at most.
pub const CALLS: u32 = 64;
/// Kinds of handles that a guest has.
const KINDS: usize = 4;
/// What stands for a handle where there is none: calls with it are left out.
pub const NONE: i32 = -1;
/// Bytes that the guest knows to be its own, for results and arguments.
const BUFFER_BYTES: usize = 4096;

/// A source of numbers and of memory.
#[derive(Debug)]
pub struct Chance {
    state: Cell<u64>,
    handles: RefCell<[Vec<i32>; KINDS]>,
    buffer: RefCell<Box<[u8]>>,
}

impl Chance {
    /// By the program's first argument, 16 hex digits.
    #[must_use]
    pub fn from_arguments() -> Self {
        let seed = std::env::args()
            .nth(1)
            .and_then(|text| u64::from_str_radix(&text, 16).ok());
        let chance = Self {
            state: Cell::new(seed.unwrap_or(0) ^ 0x9e37_79b9_7f4a_7c15),
            handles: RefCell::default(),
            buffer: RefCell::new(vec![0; BUFFER_BYTES].into()),
        };
        chance.shuffle();
        chance
    }

    /// 64 bits, by xorshift.
    pub fn next(&self) -> u64 {
        let mut state = self.state.get().max(1);
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.state.set(state);
        state
    }

    /// A number from 0 to below `limit`.
    pub fn below(&self, limit: u32) -> i32 {
        let number = (self.next() >> 16) % u64::from(limit.max(1));
        i32::try_from(number).unwrap_or(0)
    }

    /// True once in `of` times.
    pub fn rarely(&self, of: u32) -> bool {
        self.below(of) == 0
    }

    /// Anything at all.
    pub fn any(&self) -> i32 {
        match self.below(5) {
            0 => -self.below(64),
            1 => 1_i32.wrapping_shl(u32::from(self.below(32).to_le_bytes()[0])),
            2 => self.address() + self.below(4096),
            _ => i32::from_le_bytes(*self.next().to_le_bytes().first_chunk().unwrap_or(&[0; 4])),
        }
    }

    /// Mostly `likely`, sometimes anything.
    pub fn mostly(&self, likely: i32) -> i32 {
        if self.rarely(300) { self.any() } else { likely }
    }

    /// As [`mostly`](Self::mostly), 64 bits wide, where no number is a trap.
    pub fn mostly_long(&self, likely: i32) -> i64 {
        if self.rarely(12) {
            i64::from_le_bytes(self.next().to_le_bytes())
        } else {
            i64::from(likely)
        }
    }

    /// Remembers a handle of some kind.
    pub fn keep(&self, kind: usize, handle: i32) {
        if let Some(handles) = self.handles.borrow_mut().get_mut(kind) {
            handles.push(handle);
        }
    }

    /// Remembers the handle in the result, if it is one.
    pub fn keep_result(&self, kind: usize, or: usize) {
        match self.result_word(0) & 0xff {
            0 => self.keep(kind, self.result_word(4)),
            1 => self.keep(or, self.result_word(4)),
            _ => {}
        }
    }

    /// A handle of that kind, if there is one.
    pub fn handle(&self, kind: usize) -> i32 {
        let handles = self.handles.borrow();
        let known = handles.get(kind).and_then(|known| {
            let at = self.below(u32::try_from(known.len()).unwrap_or(0));
            known.get(usize::try_from(at).unwrap_or(0)).copied()
        });
        self.mostly(known.unwrap_or_else(|| if self.rarely(30) { self.below(8) } else { NONE }))
    }

    /// A handle of that kind that is not used again. Now and then it is.
    pub fn last_use(&self, kind: usize) -> i32 {
        let handle = self.handle(kind);
        if let Some(known) = self.handles.borrow_mut().get_mut(kind)
            && !self.rarely(100)
        {
            known.retain(|one| *one != handle);
        }
        handle
    }

    /// Where the guest's buffer begins; 8 bytes aligned as an allocator gives it.
    pub fn address(&self) -> i32 {
        let at = self.buffer.borrow().as_ptr().addr();
        i32::try_from(at).unwrap_or(0)
    }

    /// An address in the buffer's first half, rightly aligned.
    pub fn place(&self) -> i32 {
        self.mostly(self.address() + self.below(128) * 8)
    }

    /// Where results go: the buffer's last part.
    pub fn result(&self) -> i32 {
        self.mostly(self.address() + 3072)
    }

    /// The word of the result at `offset`.
    pub fn result_word(&self, offset: usize) -> i32 {
        let buffer = self.buffer.borrow();
        let word = buffer.get(3072 + offset..).and_then(|rest| rest.first_chunk());
        word.map_or(0, |word| i32::from_le_bytes(*word))
    }

    /// Writes words at the start of the buffer: lists and records that calls take from memory.
    pub fn write(&self, words: &[i32]) -> i32 {
        let mut buffer = self.buffer.borrow_mut();
        for (target, word) in buffer.chunks_exact_mut(4).zip(words) {
            target.copy_from_slice(&word.to_le_bytes());
        }
        drop(buffer);
        self.address()
    }

    /// A name: a pointer and a length. Mostly one that means something.
    pub fn name(&self) -> (i32, i32) {
        const NAMES: [&[u8]; 6] = [b"add", b"A", b"B", b"C", b"no-such-model", b"\xff\xfe"];
        let count = if self.rarely(50) { 6 } else { 5 };
        let which = usize::try_from(self.below(count)).unwrap_or(0);
        let name = NAMES.get(which).copied().unwrap_or_default();
        let at = i32::try_from(name.as_ptr().addr()).unwrap_or(0);
        (self.mostly(at), self.mostly(i32::try_from(name.len()).unwrap_or(0)))
    }

    /// Fills the buffer's first half with numbers of chance, most of them small.
    pub fn shuffle(&self) {
        let words: Vec<i32> = (0..512)
            .map(|_| if self.rarely(6) { self.any() } else { self.below(5) })
            .collect();
        self.write(&words);
    }
}
