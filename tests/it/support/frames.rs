//! HTTP/2 frames (RFC 9113 section 4), byte for byte.

use std::io::{Read, Result};

use super::Client;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const SETTINGS: u8 = 4;

/// A frame that came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload that fits");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// What a client says first: the preface, and settings that change nothing.
pub fn settings() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// A request in one frame that ends its stream: fields by name and value, in the clear (RFC 7541 section 6.2.2).
pub fn head(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    const END_STREAM_AND_HEADERS: u8 = 5;
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text"));
            block.extend(text.bytes());
        }
    }
    frame(HEADERS, END_STREAM_AND_HEADERS, stream, &block)
}

/// Reads a frame.
pub fn read_frame(from: &mut impl Read) -> Result<Frame> {
    let mut head = [0; 9];
    from.read_exact(&mut head)?;
    let mut payload = vec![0; number(&head[..3]) as usize];
    from.read_exact(&mut payload)?;
    Ok(Frame { kind: head[3], flags: head[4], stream: number(&head[5..]) & (u32::MAX >> 1), payload })
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

impl Client {
    /// Reads a frame.
    pub fn frame(&mut self) -> Frame {
        let head = self.bytes(9);
        let payload = self.bytes(number(&head[..3]) as usize);
        Frame { kind: head[3], flags: head[4], stream: number(&head[5..]) & (u32::MAX >> 1), payload }
    }

    /// Reads frames up to one of this kind.
    pub fn frame_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame();
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Reads what a stream carries as its body, to the stream's end.
    pub fn body_of(&mut self, stream: u32) -> Vec<u8> {
        const END_STREAM: u8 = 1;
        let mut body = Vec::new();
        loop {
            let frame = self.frame();
            if frame.stream != stream || ![DATA, HEADERS].contains(&frame.kind) {
                continue;
            }
            if frame.kind == DATA {
                body.extend(frame.payload);
            }
            if frame.flags & END_STREAM > 0 {
                return body;
            }
        }
    }
}
