//! Answers that we give ourselves: redirects and texts of routes, what errors deserve, and pages in place of errors.

use hyper::body::{Body as _, Bytes};
use hyper::ext::ReasonPhrase;
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED,
    LOCATION, TRAILER, TRANSFER_ENCODING,
};
use hyper::{Response, StatusCode};

use crate::config::ErrorPage;

use super::body::Body;
use super::client::Mark;
use super::exchange::Exchange;
use super::grpc;
use super::headers::{announce_end, keep_to_http_1_0};

/// What may be asked for. Which of it a backend takes, it says itself.
pub(super) const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH");
/// The status of a client that left: there is nobody to read more than that.
const GONE: u16 = 499;
/// What speaks of a body, and not of the page in its place.
const OF_BODIES: [HeaderName; 15] = [
    ACCEPT_RANGES,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_LOCATION,
    CONTENT_RANGE,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    ETAG,
    LAST_MODIFIED,
    HeaderName::from_static("repr-digest"),
    TRAILER,
    TRANSFER_ENCODING,
];

/// An answer that we give ourselves.
#[derive(Debug)]
pub(super) struct Own {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// Whether a backend served the client.
    is_served: bool,
}

impl Own {
    /// Sends the client elsewhere.
    pub(super) fn redirect(status: StatusCode, to: String) -> Self {
        let to = HeaderValue::from_maybe_shared(Bytes::from(to)).expect("a text that is expanded is visible");
        Self::with(status, HeaderMap::from_iter([(LOCATION, to)]), Bytes::new())
    }

    /// What may be asked for.
    #[cold]
    pub(super) fn methods() -> Self {
        Self::with(StatusCode::OK, HeaderMap::from_iter([(ALLOW, METHODS)]), Bytes::new())
    }

    /// A text of the settings.
    pub(super) fn text(status: StatusCode, content_type: &HeaderValue, body: &Bytes) -> Self {
        let mut headers = HeaderMap::new();
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, content_type.clone());
        }
        Self::with(status, headers, body.clone())
    }

    /// A page in place of a backend's answer with this status and this head.
    pub(super) fn page(status: StatusCode, mut headers: HeaderMap, page: &ErrorPage) -> Self {
        for name in OF_BODIES {
            headers.remove(name);
        }
        headers.insert(CONTENT_TYPE, page.content_type.clone());
        Self { is_served: true, ..Self::with(status, headers, page.body.clone()) }
    }

    /// An answer to a failed request: its route's page for the status, or this text.
    pub(super) fn instead(
        status: StatusCode,
        fields: Vec<(HeaderName, HeaderValue)>,
        text: String,
        exchange: &Exchange,
    ) -> Self {
        let mut headers = HeaderMap::from_iter(fields);
        if status.as_u16() == GONE {
            return Self::with(status, headers, Bytes::new());
        }
        let page = exchange.treated().filter(|_| !exchange.is_grpc());
        let page = page.and_then(|treated| treated.page(status));
        let body = match page {
            Some(page) => {
                headers.insert(CONTENT_TYPE, page.content_type.clone());
                page.body.clone()
            }
            None => Bytes::from(text),
        };
        Self::with(status, headers, body)
    }

    fn with(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, body, is_served: false }
    }

    /// Gives it to the client.
    pub(super) fn give(self, mut exchange: Exchange) -> Response<Body> {
        let Self { status, mut headers, body, is_served } = self;
        exchange.answered(status.as_u16());
        let client = exchange.client();
        let open_ended = client.is(Mark::OpenEnded);
        if client.is(Mark::Unread) && !client.is(Mark::Stream) {
            announce_end(&mut headers);
        }
        if let Some(treated) = exchange.treated() {
            treated.finish(&mut headers);
            if is_served {
                treated.keep(&mut headers);
            }
        }
        if let Some(id) = exchange.id() {
            id.add_to_answer(&mut headers);
        }
        let mut response = if exchange.is_grpc() {
            for (name, value) in grpc::fields(status.as_u16(), &String::from_utf8_lossy(&body)) {
                headers.insert(name, value);
            }
            Response::new(Body::nothing(exchange))
        } else {
            let whole = !exchange.wants_no_body();
            if !whole && !body.is_empty() {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            }
            let mut response = Response::new(match whole && !body.is_empty() {
                true => Body::bytes(body, exchange),
                false => Body::nothing(exchange),
            });
            *response.status_mut() = status;
            response
        };
        if status.canonical_reason().is_none() {
            // hyper would write `<none>` in place of a phrase.
            response.extensions_mut().insert(ReasonPhrase::from_static(b""));
        }
        *response.headers_mut() = headers;
        if open_ended {
            let size = response.body().size_hint().exact();
            keep_to_http_1_0(&mut response, size);
        }
        response
    }
}
