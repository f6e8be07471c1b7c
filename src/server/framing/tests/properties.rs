use httparse::Status;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// What requests are made of, and what they should not be made of.
const PARTS: [&str; 40] = [
    GET,
    GET,
    CHUNKED,
    "POST / HTTP/1.1\r\n",
    "\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ":",
    ";",
    "\"",
    "\\",
    ",",
    "#",
    "\u{0}",
    "\u{16}",
    "\u{e9}",
    "X: y\r\n",
    "Host: b\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: ",
    "Content_Length: 5\r\n",
    "Content-Length",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: ",
    "chunked",
    "gzip",
    "5\r\nhello\r\n",
    "hello",
    "0\r\n\r\n",
    "0\r\n",
    "5",
    "a;b=\"c\"\r\n0123456789\r\n",
    "ffffffffffffffff",
    "1",
    "a long part of a line, longer than what is kept of it: more, and more, and more",
];

fn request() -> impl Strategy<Value = Vec<u8>> {
    vec(select(&PARTS[..]), 0..12).prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #[test]
    fn however_bytes_are_cut_they_mean_the_same(bytes in request(), cuts in vec(1..40_usize, 0..20)) {
        let (mut rest, mut pieces) = (&bytes[..], Vec::new());
        for cut in cuts {
            let (piece, others) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = others;
        }
        pieces.push(rest);
        prop_assert_eq!(ends(pieces), verdict(&bytes));
    }

    /// A head ends for hyper's parser where it ends here, or it is refused by one of both.
    #[test]
    fn a_head_ends_where_the_parser_behind_says(bytes in request()) {
        let mut framing = Framing::default();
        let mut end = None;
        for (at, byte) in bytes.iter().enumerate() {
            if framing.feed(&[*byte]).is_err() {
                return Ok(());
            }
            if framing.is_between() || !framing.is_before_body() {
                end = Some(at + 1);
                break;
            }
        }
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut parsed = httparse::Request::new(&mut headers);
        match (parsed.parse(&bytes), end) {
            (Err(_), _) => {}
            (Ok(Status::Complete(length)), end) => {
                prop_assert_eq!(Some(length), end);
                let body = parsed.headers.iter().any(|field| {
                    field.name.eq_ignore_ascii_case("transfer-encoding")
                        || field.name.eq_ignore_ascii_case("content-length") && field.value != b"0"
                });
                prop_assert_eq!(body, !framing.is_before_body());
            }
            (Ok(Status::Partial), end) => prop_assert_eq!(None, end),
        }
    }
}
