//! One frame of a delta: [`Frame`], its 24 bytes of header and the rules that a decoder holds it to before it reads,
//! allocates or writes anything for it.

use crate::{header::take, magnitude, planes::INTEGER_WIDTHS};

/// Bytes of a frame's header.
pub(crate) const HEADER_LEN: usize = 24;
/// Bytes of the new file that one frame makes, at most.
pub(crate) const MAX_LEN: u32 = 4 << 20;
/// The greatest width of elements: the longest quantised block is 292 bytes.
pub(crate) const MAX_WIDTH: u16 = 512;
/// Base bytes that the patches of a whole delta may read beyond the size of the new file: what bounds the reading
/// that a small hostile delta can ask for.
const PATCH_ALLOWANCE: u64 = 64 << 20;

/// How a frame's payload becomes bytes of the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Method {
    /// The payload as it is.
    Literal = 0,
    /// A range of the base; no payload.
    Copy = 1,
    /// A zstd frame.
    Zstd = 2,
    /// A zstd frame of grouped bytes.
    Grouped = 3,
    /// A zstd frame of the grouped bitwise difference from a range of the base of the same length.
    Xor = 4,
    /// A zstd frame of the grouped integer difference from a range of the base of the same length.
    Difference = 5,
    /// A zstd frame that refers to a range of the base, of any length, as its prefix.
    Patch = 6,
    /// As a difference, with the elements in the order of the base's magnitudes.
    Ordered = 7,
}

impl Method {
    const ALL: [Self; 8] = [
        Self::Literal,
        Self::Copy,
        Self::Zstd,
        Self::Grouped,
        Self::Xor,
        Self::Difference,
        Self::Patch,
        Self::Ordered,
    ];

    /// Whether the base range has the frame's length, when it has one at all.
    fn base(self) -> BaseUse {
        match self {
            Self::Literal | Self::Zstd | Self::Grouped => BaseUse::None,
            Self::Copy | Self::Xor | Self::Difference | Self::Ordered => BaseUse::SameLength,
            Self::Patch => BaseUse::AnyLength,
        }
    }

    fn takes_width(self, width: u16) -> bool {
        match self {
            Self::Literal | Self::Copy | Self::Zstd | Self::Patch => width == 0,
            Self::Grouped | Self::Xor => (1..=MAX_WIDTH).contains(&width),
            Self::Difference => INTEGER_WIDTHS.contains(&usize::from(width)),
            Self::Ordered => magnitude::WIDTHS.contains(&width),
        }
    }
}

#[derive(PartialEq, Eq)]
enum BaseUse {
    None,
    SameLength,
    AnyLength,
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) method: Method,
    /// Bytes of an element, for the methods that group.
    pub(crate) width: u16,
    /// Bytes of the new file that this frame makes.
    pub(crate) len: u32,
    pub(crate) base_len: u32,
    pub(crate) payload_len: u32,
    pub(crate) base_offset: u64,
}

/// Why a frame is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameFault {
    /// No method has that number.
    #[error("method {0} is unknown")]
    Method(u8),
    /// A byte that must be zero is not.
    #[error("a reserved byte is not zero")]
    Reserved,
    /// The frame makes nothing, or more than 4 MiB.
    #[error("a length of {0} bytes is not in 1 to 4194304")]
    Length(u32),
    /// The frame makes more than what the new file still lacks.
    #[error("it exceeds the size of the new file")]
    BeyondNew,
    /// The method does not know elements of that width.
    #[error("elements of {0} bytes do not suit its method")]
    Width(u16),
    /// The base range does not suit the method, or is not within the base.
    #[error("its base range does not suit its method or is not within the base")]
    BaseRange,
    /// The payload does not suit the method, or is longer than what it makes.
    #[error("a payload of {0} bytes does not suit its method and length")]
    Payload(u32),
    /// All patches together read too much of the base.
    #[error("patches read too much of the base")]
    PatchBudget,
}

impl Frame {
    pub(crate) fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = self.method as u8;
        bytes[2..4].copy_from_slice(&self.width.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.base_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.payload_len.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.base_offset.to_le_bytes());
        bytes
    }

    /// Reads a header and holds it against what the decoder knows.
    pub(crate) fn check(bytes: &[u8; HEADER_LEN], bounds: &mut Bounds) -> Result<Self, FrameFault> {
        let mut rest = &bytes[..];
        let [number, reserved] = take(&mut rest);
        let method = Method::ALL.into_iter().find(|method| *method as u8 == number);
        let frame = Self {
            method: method.ok_or(FrameFault::Method(number))?,
            width: u16::from_le_bytes(take(&mut rest)),
            len: u32::from_le_bytes(take(&mut rest)),
            base_len: u32::from_le_bytes(take(&mut rest)),
            payload_len: u32::from_le_bytes(take(&mut rest)),
            base_offset: u64::from_le_bytes(take(&mut rest)),
        };
        if reserved != 0 {
            return Err(FrameFault::Reserved);
        }
        bounds.admit(&frame)?;
        Ok(frame)
    }
}

/// What the next frame of a delta is held to.
#[derive(Debug)]
pub(crate) struct Bounds {
    base_size: u64,
    /// Bytes of the new file that no frame has made yet.
    pub(crate) left: u64,
    patch_budget: u64,
}

impl Bounds {
    pub(crate) fn new(base_size: u64, new_size: u64) -> Self {
        Self {
            base_size,
            left: new_size,
            patch_budget: patch_budget(new_size),
        }
    }

    fn admit(&mut self, frame: &Frame) -> Result<(), FrameFault> {
        if !(1..=MAX_LEN).contains(&frame.len) {
            return Err(FrameFault::Length(frame.len));
        }
        let left = self
            .left
            .checked_sub(u64::from(frame.len))
            .ok_or(FrameFault::BeyondNew)?;
        if !frame.method.takes_width(frame.width) {
            return Err(FrameFault::Width(frame.width));
        }
        let is_payload_right = match frame.method {
            Method::Copy => frame.payload_len == 0,
            Method::Literal => frame.payload_len == frame.len,
            _ => (1..=frame.len).contains(&frame.payload_len),
        };
        if !is_payload_right {
            return Err(FrameFault::Payload(frame.payload_len));
        }
        let is_base_right = match frame.method.base() {
            BaseUse::None => (frame.base_offset, frame.base_len) == (0, 0),
            BaseUse::SameLength => frame.base_len == frame.len && self.is_in_base(frame),
            BaseUse::AnyLength => (1..=MAX_LEN).contains(&frame.base_len) && self.is_in_base(frame),
        };
        if !is_base_right {
            return Err(FrameFault::BaseRange);
        }
        if frame.method == Method::Patch {
            let budget = self.patch_budget.checked_sub(u64::from(frame.base_len));
            self.patch_budget = budget.ok_or(FrameFault::PatchBudget)?;
        }
        self.left = left;
        Ok(())
    }

    fn is_in_base(&self, frame: &Frame) -> bool {
        let end = frame.base_offset.checked_add(u64::from(frame.base_len));
        end.is_some_and(|end| end <= self.base_size)
    }
}

/// Base bytes that all patches of a delta together may read.
pub(crate) fn patch_budget(new_size: u64) -> u64 {
    new_size.saturating_add(PATCH_ALLOWANCE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const FRAME: Frame = Frame {
        method: Method::Xor,
        width: 2,
        len: 100,
        base_len: 100,
        payload_len: 10,
        base_offset: 50,
    };

    fn check(frame: Frame) -> Result<Frame, FrameFault> {
        Frame::check(&frame.to_bytes(), &mut Bounds::new(150, 100))
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(check(FRAME), Ok(FRAME));
        let mut bounds = Bounds::new(150, 100);
        Frame::check(&FRAME.to_bytes(), &mut bounds).unwrap();
        assert_eq!(bounds.left, 0);
        assert_eq!(Frame::check(&FRAME.to_bytes(), &mut bounds), Err(FrameFault::BeyondNew));
    }

    #[test]
    fn every_rule_refuses() {
        let mut bytes = FRAME.to_bytes();
        bytes[0] = 8;
        assert_eq!(
            Frame::check(&bytes, &mut Bounds::new(150, 100)),
            Err(FrameFault::Method(8))
        );
        bytes = FRAME.to_bytes();
        bytes[1] = 1;
        assert_eq!(
            Frame::check(&bytes, &mut Bounds::new(150, 100)),
            Err(FrameFault::Reserved)
        );
        let xor = |change: fn(&mut Frame)| {
            let mut frame = FRAME;
            change(&mut frame);
            check(frame).unwrap_err()
        };
        assert_eq!(xor(|frame| frame.len = 0), FrameFault::Length(0));
        assert_eq!(xor(|frame| frame.len = MAX_LEN + 1), FrameFault::Length(MAX_LEN + 1));
        assert_eq!(xor(|frame| frame.len = 101), FrameFault::BeyondNew);
        assert_eq!(xor(|frame| frame.width = 0), FrameFault::Width(0));
        assert_eq!(xor(|frame| frame.width = 513), FrameFault::Width(513));
        assert_eq!(xor(|frame| frame.payload_len = 0), FrameFault::Payload(0));
        assert_eq!(xor(|frame| frame.payload_len = 101), FrameFault::Payload(101));
        assert_eq!(xor(|frame| frame.base_len = 99), FrameFault::BaseRange);
        assert_eq!(xor(|frame| frame.base_offset = 51), FrameFault::BaseRange);
        assert_eq!(xor(|frame| frame.base_offset = u64::MAX), FrameFault::BaseRange);
        assert_eq!(xor(|frame| frame.method = Method::Copy), FrameFault::Width(2));
        assert_eq!(xor(|frame| frame.method = Method::Grouped), FrameFault::BaseRange);
        let three = |frame: &mut Frame| (frame.method, frame.width) = (Method::Difference, 3);
        assert_eq!(xor(three), FrameFault::Width(3));
        let copy = |frame: &mut Frame| (frame.method, frame.width) = (Method::Copy, 0);
        assert_eq!(xor(copy), FrameFault::Payload(10));
        let literal = |frame: &mut Frame| (frame.method, frame.width) = (Method::Literal, 0);
        assert_eq!(xor(literal), FrameFault::Payload(10));
    }

    #[test]
    fn patches_have_a_budget() {
        let frame = Frame {
            method: Method::Patch,
            width: 0,
            len: 9,
            base_len: MAX_LEN,
            payload_len: 9,
            base_offset: 0,
        };
        let mut bounds = Bounds::new(u64::from(MAX_LEN), 1000);
        for _ in 0..16 {
            Frame::check(&frame.to_bytes(), &mut bounds).unwrap();
        }
        assert_eq!(
            Frame::check(&frame.to_bytes(), &mut bounds),
            Err(FrameFault::PatchBudget)
        );
    }
}
