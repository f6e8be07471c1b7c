//! Where each request of a client ends, read strictly: what two readers could end in different places is refused
//! (request smuggling, RFC 9112 section 11.2).
//!
//! hyper parses requests, but it forgives some things and says nothing of them: line ends without a carriage return,
//! a length beside a transfer coding, a length said twice, blanks behind the size of a chunk. So this looks at the
//! bytes before hyper does. It knows only what decides where a request ends; that names, values and targets hold what
//! they may is left to hyper, which refuses the rest.
//!
//! It keeps no more of a line than its first bytes, and allocates nothing.

mod chunks;
mod escape;
mod explain;
mod fields;
mod search;
#[cfg(test)]
mod tests;

use chunks::{Chunks, Passed};
use fields::Body;
use search::line_feed;

pub(super) use escape::escape;
pub(super) use explain::explain;

/// What is wrong with a request, as the client is told.
pub type Refusal = &'static str;

/// Empty lines that may come before a request line (RFC 9112 section 2.2).
const EMPTY_LINES: u8 = 2;
/// The first byte of a TLS record that begins a handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// So much of a line is kept until the rest of it comes. A field that frames a message must fit.
const KEPT: usize = 64;

const FOLDED: Refusal = "a line of it begins with a blank, which would continue the one before";
/// What hyper would refuse, unless it is [`escape`]d before.
pub(super) const UNESCAPED: Refusal =
    "its first line has one of the bytes \" < > `; write %22, %3C, %3E or %60";
const BARE_LINE_FEED: Refusal = "a line of it ends without a carriage return";

/// Follows the bytes of one client's connection from request to request.
///
/// ```
/// use loadbalancer::server::Framing;
///
/// let mut framing = Framing::default();
/// assert_eq!(framing.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next"), Ok(27));
/// assert!(framing.is_between());
/// assert!(framing.feed(b"GET /next HTTP/1.1\nHost: a\n\n").is_err());
/// ```
#[derive(Debug, Default)]
pub struct Framing {
    state: State,
    body: Body,
    partial: Partial,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Before a request line, behind so many empty ones.
    Start(u8),
    Fields,
    /// So many bytes of the body are to come.
    Length(u64),
    Chunks(Chunks),
    Trailers,
    Refused(Refusal),
}

impl Default for State {
    fn default() -> Self {
        Self::Start(0)
    }
}

/// What comes behind a line.
enum Next {
    Line,
    Body,
    /// Another request, if any.
    Request,
}

impl Framing {
    /// Looks at bytes of the request under way, or of a new one, and tells how many of them belong to it: all, unless it
    /// ends before.
    ///
    /// # Errors
    /// They are not a request that has one meaning only. Nothing behind them can be trusted, and all calls from now on
    /// say the same.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        match self.scan(bytes) {
            Ok(taken) => Ok(taken),
            Err(refusal) => {
                self.state = State::Refused(refusal);
                Err(refusal)
            }
        }
    }

    /// Whether a request has just ended, or none has begun yet.
    pub fn is_between(&self) -> bool {
        matches!(self.state, State::Start(0)) && self.partial.length == 0
    }

    /// Whether nothing of a request has come but empty lines in its place.
    pub fn is_before_a_line(&self) -> bool {
        matches!(self.state, State::Start(_)) && self.partial.length == 0
    }

    /// Whether the request's head has not come to its end.
    pub fn is_before_body(&self) -> bool {
        matches!(self.state, State::Start(_) | State::Fields)
    }

    /// Whether the request's head has come to its end, and its body has not.
    pub fn is_amid_body(&self) -> bool {
        matches!(self.state, State::Length(_) | State::Chunks(_) | State::Trailers)
    }

    fn scan(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let (taken, next) = match &mut self.state {
                State::Length(left) => {
                    let taken = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    *left -= taken as u64;
                    (taken, if *left == 0 { Next::Request } else { Next::Body })
                }
                State::Chunks(chunks) => match chunks.feed(rest)? {
                    Passed::All => (rest.len(), Next::Body),
                    Passed::Last(taken) => {
                        self.state = State::Trailers;
                        (taken, Next::Line)
                    }
                },
                State::Start(_) | State::Fields | State::Trailers => self.lines(rest)?,
                State::Refused(refusal) => return Err(refusal),
            };
            at += taken;
            if let Next::Request = next {
                self.state = State::default();
                break;
            }
        }
        Ok(at)
    }

    /// Goes through lines until something else comes. Tells how many bytes they were.
    fn lines(&mut self, bytes: &[u8]) -> Result<(usize, Next), Refusal> {
        let mut rest = bytes;
        if self.partial.length > 0 || !matches!(self.state, State::Fields) {
            let Some(length) = line_feed(rest) else {
                self.part(rest)?;
                return Ok((rest.len(), Next::Line));
            };
            let (line, behind) = rest.split_at(length + 1);
            rest = behind;
            let next =
                if self.partial.length == 0 { self.whole(line)? } else { self.last_part(&line[..length])? };
            if !matches!(self.state, State::Fields) || matches!(next, Next::Request) {
                return Ok((length + 1, next));
            }
        }
        match self.fields(rest)? {
            [b'\r', b'\n', behind @ ..] => Ok((bytes.len() - behind.len(), self.head_ends())),
            rest => {
                self.partial.add(rest);
                Ok((bytes.len(), Next::Line))
            }
        }
    }

    /// Passes the field lines that are here in one piece, which is what heads mostly are, and gives what is behind them.
    fn fields<'a>(&mut self, mut bytes: &'a [u8]) -> Result<&'a [u8], Refusal> {
        while !matches!(bytes, [b'\r', b'\n', ..])
            && let Some(length) = line_feed(bytes)
        {
            let (line, behind) = bytes.split_at(length);
            let [first, .., b'\r'] = line else { return Err(BARE_LINE_FEED) };
            if fields::may_frame(*first) {
                self.body.learn(&line[..length - 1])?;
            }
            bytes = &behind[1..];
        }
        Ok(bytes)
    }

    /// A line in one piece.
    fn whole(&mut self, line: &[u8]) -> Result<Next, Refusal> {
        if let State::Start(_) = self.state {
            fields::check_request_line(line, true)?;
        }
        let [line @ .., b'\r', b'\n'] = line else { return Err(BARE_LINE_FEED) };
        self.line(line)
    }

    /// A part of a line whose end has not come.
    fn part(&mut self, part: &[u8]) -> Result<(), Refusal> {
        if let State::Start(_) = self.state {
            fields::check_request_line(part, self.partial.length == 0)?;
        }
        self.partial.add(part);
        Ok(())
    }

    /// The rest of a line that came in parts, without its line feed.
    fn last_part(&mut self, part: &[u8]) -> Result<Next, Refusal> {
        self.part(part)?;
        let Partial { start, length, last } = std::mem::take(&mut self.partial);
        if last != b'\r' {
            return Err(BARE_LINE_FEED);
        }
        self.line(&start[..start.len().min(length - 1)])
    }

    /// A line without its end, of which at least the first bytes are here.
    fn line(&mut self, start: &[u8]) -> Result<Next, Refusal> {
        match (self.state, start) {
            (State::Fields, []) => return Ok(self.head_ends()),
            (State::Fields, _) => self.body.learn(start)?,
            (State::Trailers, []) => return Ok(Next::Request),
            (State::Trailers, _) => fields::check_trailer(start)?,
            (State::Start(EMPTY_LINES), []) => return Err("empty lines come in place of it"),
            (State::Start(empty), []) => self.state = State::Start(empty + 1),
            _ => self.state = State::Fields,
        }
        Ok(Next::Line)
    }

    fn head_ends(&mut self) -> Next {
        self.state = match std::mem::take(&mut self.body) {
            Body::None | Body::Length(0) => return Next::Request,
            Body::Length(length) => State::Length(length),
            Body::Chunked => State::Chunks(Chunks::default()),
        };
        Next::Body
    }
}

/// What is known of a line whose end has not come.
#[derive(Debug)]
struct Partial {
    /// One byte more than is looked at tells that there are more.
    start: [u8; KEPT + 1],
    length: usize,
    last: u8,
}

impl Default for Partial {
    fn default() -> Self {
        Self { start: [0; KEPT + 1], length: 0, last: 0 }
    }
}

impl Partial {
    fn add(&mut self, part: &[u8]) {
        let Some(last) = part.last() else { return };
        if let Some(room) = self.start.get_mut(self.length..) {
            let kept = room.len().min(part.len());
            room[..kept].copy_from_slice(&part[..kept]);
        }
        self.last = *last;
        self.length = self.length.saturating_add(part.len());
    }
}
