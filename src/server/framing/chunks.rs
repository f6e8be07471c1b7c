//! The frames of a chunked body (RFC 9112 section 7.1), from its first size to its last.

use super::Refusal;

/// Digits that a size may have: as many as the largest one has.
const DIGITS: u8 = 16;
/// Bytes of extensions behind one size.
const EXTENSIONS: u16 = 1024;
/// Bytes of extensions of all chunks of a body at which hyper gives up without saying why.
const ALL_EXTENSIONS: u16 = 16 * 1024;

/// Follows a chunked body.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunks {
    place: Place,
    /// Bytes of extensions so far.
    extended: u16,
}

/// A place in a chunked body.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In a size, behind so many digits of it.
    Size { size: u64, digits: u8 },
    /// In the extensions behind a size, which are so long already.
    Extensions { size: u64, length: u16, quotes: Quotes },
    /// Before the line feed behind a size.
    SizeEnd { size: u64 },
    /// In a chunk, of which so many bytes are to come.
    Data { left: u64 },
    /// Before the carriage return behind a chunk.
    DataEnd,
    /// Before the line feed behind a chunk.
    DataLineFeed,
}

/// Whether a quoted string is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    Closed,
    Open,
    /// Behind a backslash.
    Escaping,
}

/// What was looked at.
pub(super) enum Passed {
    All,
    /// So many bytes: the line of the last, empty chunk ends there.
    Last(usize),
}

impl Default for Place {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

impl Chunks {
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Passed, Refusal> {
        let mut at = 0;
        while at < bytes.len() {
            if let Place::Data { left } = &mut self.place {
                let taken =
                    usize::try_from(*left).map_or(bytes.len() - at, |left| left.min(bytes.len() - at));
                *left -= taken as u64;
                at += taken;
                if *left == 0 {
                    self.place = Place::DataEnd;
                }
                continue;
            }
            self.place = self.place.step(bytes[at])?;
            at += 1;
            match self.place {
                Place::Data { left: 0 } => return Ok(Passed::Last(at)),
                Place::Extensions { length: 1.., .. } => self.extend()?,
                _ => {}
            }
        }
        Ok(Passed::All)
    }

    fn extend(&mut self) -> Result<(), Refusal> {
        self.extended += 1;
        match self.extended {
            ALL_EXTENSIONS => Err("the extensions of its chunks are too long together"),
            _ => Ok(()),
        }
    }
}

impl Place {
    /// One byte of a frame.
    fn step(self, byte: u8) -> Result<Self, Refusal> {
        match (self, byte) {
            (Self::Size { digits: 0, .. }, b'\r' | b'\n' | b';') => Err("a chunk of its body has no size"),
            (Self::Size { size, .. }, b'\r') => Ok(Self::SizeEnd { size }),
            (Self::Size { size, .. }, b';') => {
                Ok(Self::Extensions { size, length: 0, quotes: Quotes::Closed })
            }
            (Self::Size { size, digits }, byte) => {
                let digit = hex(byte).ok_or("a chunk's size is not a hexadecimal number alone")?;
                match digits {
                    DIGITS => Err("a chunk's size has too many digits"),
                    _ => Ok(Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }),
                }
            }
            (Self::Extensions { size, quotes: Quotes::Closed, .. }, b'\r') => Ok(Self::SizeEnd { size }),
            (Self::Extensions { size, length, quotes }, byte) => {
                let quotes = extend(quotes, byte)?;
                match length {
                    EXTENSIONS => Err("a chunk's extensions are too long"),
                    _ => Ok(Self::Extensions { size, length: length + 1, quotes }),
                }
            }
            (Self::SizeEnd { size }, b'\n') => Ok(Self::Data { left: size }),
            (Self::SizeEnd { .. }, _) => Err("a carriage return behind a chunk's size ends no line"),
            (Self::DataEnd, b'\r') => Ok(Self::DataLineFeed),
            (Self::DataLineFeed, b'\n') => Ok(Self::default()),
            (Self::DataEnd | Self::DataLineFeed | Self::Data { .. }, _) => {
                Err("a chunk of its body does not end where its size says")
            }
        }
    }
}

fn extend(quotes: Quotes, byte: u8) -> Result<Quotes, Refusal> {
    match (quotes, byte) {
        (_, b'\r' | b'\n') => Err("a line end is within a chunk's extensions"),
        (_, 0..=8 | 11..=31 | 127) => Err("a chunk's extensions have a control character"),
        (Quotes::Closed, b'"') => Ok(Quotes::Open),
        (Quotes::Open, b'"') => Ok(Quotes::Closed),
        (Quotes::Open, b'\\') => Ok(Quotes::Escaping),
        (Quotes::Escaping, _) => Ok(Quotes::Open),
        (quotes, _) => Ok(quotes),
    }
}

fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
