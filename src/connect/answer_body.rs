//! The body of a backend's answer.

use hyper::body::{Body as _, Incoming, SizeHint};

use super::http2::Download;

/// The body of an answer, to be read with the connection that it comes on.
#[derive(Debug)]
pub enum AnswerBody {
    /// From a connection of its own.
    Http1(Incoming),
    /// From a stream.
    Http2(Box<Download>),
}

impl AnswerBody {
    /// Whether nothing more is to come.
    pub fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    /// Whether its client is given nothing more: it has ended, or may have no content.
    pub fn gives_nothing(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.gives_nothing(),
        }
    }

    /// Whether all of the content is here: only trailers or the word that nothing follows may still come.
    pub fn has_all(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.has_all(),
        }
    }

    /// How much is to come.
    pub fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}
