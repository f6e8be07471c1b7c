//! The lines of a head that decide where its request ends.

use crate::connect::{TWO_LENGTHS, parse_length};

use super::escape::is_unescaped;
use super::search::is_plain;
use super::{FOLDED, KEPT, Refusal, TLS_HANDSHAKE, UNESCAPED};

const CONTENT_LENGTH: &[u8] = b"content-length";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding";
const HOST: &[u8] = b"host";

const TWO_FRAMINGS: Refusal = "it has both a Content-Length and a Transfer-Encoding";
const DISGUISED: Refusal = "it has a Content-Length or Transfer-Encoding written with an underscore";

/// What a head says of the body behind it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Body {
    #[default]
    None,
    Length(u64),
    Chunked,
}

/// Whether a line that begins with this byte can say anything of the body.
pub(super) fn may_frame(first: u8) -> bool {
    matches!(first, b'c' | b'C' | b't' | b'T' | b' ' | b'\t')
}

impl Body {
    /// Learns from a field line, of which at least the first bytes are here.
    pub(super) fn learn(&mut self, start: &[u8]) -> Result<(), Refusal> {
        let (name, is_length) = match start[0] {
            b'c' | b'C' => (CONTENT_LENGTH, true),
            b't' | b'T' => (TRANSFER_ENCODING, false),
            b' ' | b'\t' => {
                return Err(FOLDED);
            }
            _ => return Ok(()),
        };
        match named(start, name) {
            Named::Otherwise => Ok(()),
            Named::Disguised => Err(DISGUISED),
            Named::So(_) if start.len() > KEPT => {
                Err("its Content-Length or Transfer-Encoding line is too long")
            }
            Named::So(value) if is_length => self.has_length(value),
            Named::So(value) => self.has_coding(value),
        }
    }

    fn has_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::None => *self = Self::Length(parse_length(value)?),
            Self::Length(_) => return Err(TWO_LENGTHS),
            Self::Chunked => return Err(TWO_FRAMINGS),
        }
        Ok(())
    }

    fn has_coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::None if value.eq_ignore_ascii_case(b"chunked") => *self = Self::Chunked,
            Self::None => return Err("its transfer coding is not just `chunked`"),
            Self::Length(_) => return Err(TWO_FRAMINGS),
            Self::Chunked => return Err("it has more than one Transfer-Encoding"),
        }
        Ok(())
    }
}

/// Looks at a part of a request line, or all of it, for what hyper passes over in silence.
pub(super) fn check_request_line(part: &[u8], from_start: bool) -> Result<(), Refusal> {
    if from_start && part.first() == Some(&TLS_HANDSHAKE) {
        return Err("it is a TLS handshake, and this port speaks plain HTTP; use http:// or another port");
    }
    if is_plain(part) {
        return Ok(());
    }
    match part.iter().find(|byte| **byte == b'#' || !byte.is_ascii() || is_unescaped(byte)) {
        Some(b'#') => Err("its target has a fragment (`#`), which is for the client alone"),
        Some(byte) if byte.is_ascii() => Err(UNESCAPED),
        _ => Err("its first line has a byte that is not ASCII; a target is to be percent-encoded"),
    }
}

/// A trailer cannot say where its message ends or where it goes, for that was decided (RFC 9110 section 6.5.1).
pub(super) fn check_trailer(start: &[u8]) -> Result<(), Refusal> {
    let first = start.first().copied().unwrap_or_default();
    let framing = [CONTENT_LENGTH, TRANSFER_ENCODING, HOST];
    if matches!(first, b' ' | b'\t') {
        Err(FOLDED)
    } else if framing.iter().any(|name| !matches!(named(start, name), Named::Otherwise)) {
        Err("its trailers have a field that frames or routes a message")
    } else {
        Ok(())
    }
}

enum Named<'a> {
    /// With this value.
    So(&'a [u8]),
    /// With `_` for `-`, which is the same to a backend that makes variables of names (RFC 3875 section 4.1.18).
    Disguised,
    Otherwise,
}

fn named<'a>(line: &'a [u8], name: &[u8]) -> Named<'a> {
    let Some((own, [b':', value @ ..])) = line.split_at_checked(name.len()) else { return Named::Otherwise };
    if own.eq_ignore_ascii_case(name) {
        return Named::So(trim(value));
    }
    let same =
        |(own, wanted): (&u8, &u8)| own.eq_ignore_ascii_case(wanted) || (*own == b'_' && *wanted == b'-');
    if own.iter().zip(name).all(same) { Named::Disguised } else { Named::Otherwise }
}

/// Without blanks around it (RFC 9110 section 5.5): these two bytes and no others.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
