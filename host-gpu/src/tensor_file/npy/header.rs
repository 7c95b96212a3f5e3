//! The header of a `.npy` file: a Python dictionary literal with exactly the keys `descr`, `fortran_order` and `shape`.
//! This reads that grammar and no more of Python.

use super::super::TensorFileError;
use crate::tensor::ElementType;

/// Longest type that is worth repeating in an error.
const MAX_DESCR_CHARS: usize = 64;

/// A parsed header.
pub(super) struct Header {
    pub(super) element_type: ElementType,
    pub(super) big_endian: bool,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
}

impl Header {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, TensorFileError> {
        let text = std::str::from_utf8(bytes).map_err(|_| TensorFileError::Header { what: "it is not text" })?;
        let mut parser = Parser { rest: text };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        parser.expect('{', "it does not begin with `{`")?;
        while !parser.take('}') {
            let key = parser.string()?;
            parser.expect(':', "a key has no value")?;
            let repeated = match key {
                "descr" => descr.replace(parser.descr()?).is_some(),
                "fortran_order" => fortran_order.replace(parser.boolean()?).is_some(),
                "shape" => shape.replace(parser.shape()?).is_some(),
                _ => {
                    return Err(TensorFileError::Header {
                        what: "it has an unknown key",
                    });
                }
            };
            if repeated {
                return Err(TensorFileError::Header {
                    what: "a key stands twice",
                });
            }
            if !parser.take(',') {
                parser.expect('}', "it does not end with `}`")?;
                break;
            }
        }
        if !parser.rest.trim().is_empty() {
            return Err(TensorFileError::Header {
                what: "something follows the dictionary",
            });
        }
        let missing = TensorFileError::Header {
            what: "a key is missing",
        };
        match (descr, fortran_order, shape) {
            (Some((element_type, big_endian)), Some(fortran_order), Some(shape)) => Ok(Self {
                element_type,
                big_endian,
                fortran_order,
                shape,
            }),
            _ => Err(missing),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.trim_start();
        let after = rest.strip_prefix(wanted);
        self.rest = after.unwrap_or(rest);
        after.is_some()
    }

    fn expect(&mut self, wanted: char, what: &'static str) -> Result<(), TensorFileError> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(TensorFileError::Header { what })
        }
    }

    fn string(&mut self) -> Result<&'a str, TensorFileError> {
        let quote = if self.take('\'') {
            '\''
        } else if self.take('"') {
            '"'
        } else {
            return Err(TensorFileError::Header {
                what: "a string is missing",
            });
        };
        let (text, rest) = self.rest.split_once(quote).ok_or(TensorFileError::Header {
            what: "a string does not end",
        })?;
        self.rest = rest;
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool, TensorFileError> {
        let rest = self.rest.trim_start();
        for (text, value) in [("True", true), ("False", false)] {
            if let Some(rest) = rest.strip_prefix(text) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err(TensorFileError::Header {
            what: "`fortran_order` is neither True nor False",
        })
    }

    fn shape(&mut self) -> Result<Vec<usize>, TensorFileError> {
        self.expect('(', "`shape` is not a tuple")?;
        let mut shape = Vec::new();
        while !self.take(')') {
            let rest = self.rest.trim_start();
            let digits = rest.len() - rest.trim_start_matches(|char: char| char.is_ascii_digit()).len();
            let dim = rest[..digits].parse();
            shape.push(dim.map_err(|_| TensorFileError::Header {
                what: "a dimension is no number",
            })?);
            // Python 2 wrote long integers with an L.
            self.rest = rest[digits..].strip_prefix('L').unwrap_or(&rest[digits..]);
            if !self.take(',') {
                self.expect(')', "`shape` does not end")?;
                break;
            }
        }
        Ok(shape)
    }

    /// The type and whether it is big-endian. Records are lists, and everything else is a string.
    fn descr(&mut self) -> Result<(ElementType, bool), TensorFileError> {
        let rest = self.rest.trim_start();
        if !rest.starts_with(['\'', '"']) {
            return Err(TensorFileError::ElementType {
                descr: rest.chars().take(MAX_DESCR_CHARS).collect(),
            });
        }
        let descr = self.string()?;
        let unsupported = || TensorFileError::ElementType {
            descr: descr.chars().take(MAX_DESCR_CHARS).collect(),
        };
        let (order, code) = match descr.strip_prefix(['<', '>', '|', '=']) {
            Some(code) => (descr.chars().next(), code),
            None => (None, descr),
        };
        let element_type = match code {
            "b1" | "?" => ElementType::Bool,
            "u1" => ElementType::U8,
            "i1" => ElementType::I8,
            "u2" => ElementType::U16,
            "i2" => ElementType::I16,
            "u4" => ElementType::U32,
            "i4" => ElementType::I32,
            "u8" => ElementType::U64,
            "i8" => ElementType::I64,
            "f2" => ElementType::F16,
            "f4" => ElementType::F32,
            "f8" => ElementType::F64,
            _ => return Err(unsupported()),
        };
        Ok((element_type, order == Some('>')))
    }
}
