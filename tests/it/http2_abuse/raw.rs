//! A client of HTTP/2 that sends what frames it likes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use crate::support::PATIENCE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

pub const PROTOCOL_ERROR: u32 = 0x1;
pub const ENHANCE_YOUR_CALM: u32 = 0xb;

/// `:status: 200` and `:status: 431`, as they come in a header list (RFC 7541 appendices A and B).
pub const OK: &[u8] = &[0x88];
pub const HEAD_TOO_LARGE: &[u8] = &[0x48, 0x83, 0x69, 0x90, 0xff];

/// What the last PING says that a client sends: once it comes back, all before it was looked at.
const LAST: &[u8; 8] = b"the last";

/// A frame.
#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of an RST_STREAM, or of a GOAWAY behind the last stream's number.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The fields of a GET.
pub fn get(path: &str) -> Vec<u8> {
    let mut fields = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    fields.extend(path.as_bytes());
    fields.extend([0x01, 4]);
    fields.extend(b"test");
    fields
}

/// The fields of a POST.
pub fn post(path: &str) -> Vec<u8> {
    let mut fields = get(path);
    fields[0] = 0x83;
    fields
}

/// A length in the way of HPACK, behind a prefix of 7 bits that is all ones if it is long (RFC 7541 section 5.1).
pub fn length(length: usize) -> Vec<u8> {
    if length < 127 {
        return vec![u8::try_from(length).unwrap()];
    }
    let (mut bytes, mut rest) = (vec![127], length - 127);
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128 + 128).unwrap());
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// A setting.
pub fn setting(name: u16, value: u32) -> Vec<u8> {
    [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// One connection.
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Connects and says what clients say first, with these settings.
    pub fn with(address: SocketAddr, settings: &[u8]) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut raw = Self { stream };
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        raw.send(&frame(SETTINGS, 0, 0, settings));
        raw.send(&frame(SETTINGS, ACK, 0, &[]));
        raw
    }

    /// The same with no settings.
    pub fn to(address: SocketAddr) -> Self {
        Self::with(address, &[])
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the connection takes bytes");
    }

    /// Sends bytes, if the connection still takes them.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next frame, unless the connection ends.
    pub fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).ok()?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of this kind.
    pub fn expect(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame().expect("the connection goes on");
            assert!(frame.kind != GOAWAY || kind == GOAWAY, "{frame:?}");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Waits until all that was sent so far has been looked at.
    pub fn catch_up(&mut self) {
        let frames = self.try_catch_up();
        assert!(frames.is_none(), "the connection goes on: {frames:?}");
    }

    /// The same, unless the connection ends: then what came meanwhile.
    pub fn try_catch_up(&mut self) -> Option<Vec<Frame>> {
        // What it said last can still be read when it takes no more.
        let _ = self.stream.write_all(&frame(PING, 0, 0, LAST));
        let mut frames = Vec::new();
        while let Some(frame) = self.frame() {
            if frame.kind == PING && frame.payload == LAST {
                return None;
            }
            frames.push(frame);
        }
        Some(frames)
    }

    /// Sends all of this, for as long as it is taken, and gives what came by the end of the connection: or by the time
    /// that all was looked at, if the connection goes on.
    pub fn attack(mut self, bytes: impl IntoIterator<Item = Vec<u8>>) -> Vec<Frame> {
        let mut reader = Self { stream: self.stream.try_clone().unwrap() };
        let frames = thread::spawn(move || {
            let mut frames = Vec::new();
            while let Some(frame) = reader.frame() {
                let last = frame.kind == PING && frame.payload == LAST;
                frames.push(frame);
                if last {
                    break;
                }
            }
            frames
        });
        let last = frame(PING, 0, 0, LAST);
        let _ = bytes.into_iter().chain([last]).try_for_each(|bytes| self.stream.write_all(&bytes));
        frames.join().unwrap()
    }
}
