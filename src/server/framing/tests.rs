mod properties;

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n";
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const NEXT: &str = "GET /next";

/// Feeds pieces, each of which may hold ends of requests, and tells where requests end, or what is wrong.
fn ends<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<usize>, Refusal> {
    let mut framing = Framing::default();
    let (mut at, mut ends) = (0, Vec::new());
    for mut piece in pieces {
        while !piece.is_empty() {
            let taken = framing.feed(piece)?;
            assert!(taken > 0, "no progress");
            at += taken;
            piece = &piece[taken..];
            if framing.is_between() {
                ends.push(at);
            } else {
                assert!(piece.is_empty(), "it stopped amid a request");
            }
        }
    }
    Ok(ends)
}

/// Whatever the pieces, the verdict is the same.
fn verdict(bytes: &[u8]) -> Result<Vec<usize>, Refusal> {
    let whole = ends([bytes]);
    assert_eq!(whole, ends(bytes.chunks(1)), "byte by byte: {}", bytes.escape_ascii());
    whole
}

fn accepted(request: &str) {
    let bytes = [request, NEXT].concat();
    assert_eq!(verdict(bytes.as_bytes()), Ok(vec![request.len()]), "{request:?}");
}

fn refused(request: &str, why: &str) {
    match verdict(request.as_bytes()) {
        Err(refusal) => assert!(refusal.contains(why), "{request:?}: {refusal}"),
        Ok(ends) => panic!("{request:?} was accepted: {ends:?}"),
    }
}

#[test]
fn a_request_without_a_body_ends_with_its_head() {
    for fields in ["", "X-A: b\r\n", "Cookie: a\r\n", "TE: trailers\r\n", "Content-Length: 0\r\n", "C:\r\n"] {
        accepted(&format!("{GET}{fields}\r\n"));
    }
    accepted(&format!("\r\n\r\n{GET}\r\n"));
    let long = "a".repeat(5 * KEPT);
    accepted(&format!("GET /{long} HTTP/1.1\r\nC{long}: {long}\r\n\r\n"));
    for length in KEPT - 2..KEPT + 3 {
        accepted(&format!("GET / HTTP/1.1\r\n{}\r\n\r\n", "c".repeat(length)));
    }
}

#[test]
fn a_body_of_a_known_length_ends_there() {
    for field in ["Content-Length: 5", "content-length:5", "CONTENT-LENGTH: \t 5 \t"] {
        accepted(&format!("{GET}{field}\r\n\r\nhello"));
    }
    accepted(&format!("{GET}Content-Length: 2\r\nX: y\r\n\r\n\r\n"));
}

#[test]
fn a_chunked_body_ends_behind_its_trailers() {
    let long = "e".repeat(1000);
    for body in [
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "0000000000000005\r\nhello\r\n000\r\n\r\n",
        "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
        "5;a\r\nhello\r\n0;a=b;c=\"d;\\\" e\"\r\n\r\n",
        "5; a = b\r\nhello\r\n0\r\n\r\n",
        "2\r\n\r\n\r\n0\r\nX-Sum: 1\r\nContent-MD5: x\r\n\r\n",
        &format!("1;{long}\r\na\r\n0\r\n\r\n"),
    ] {
        accepted(&format!("{CHUNKED}{body}"));
        accepted(&format!("{}{body}", CHUNKED.replace("chunked", "\tChUnKeD ")));
    }
}

#[test]
fn several_requests_end_one_after_the_other() {
    let requests = [format!("{GET}\r\n"), format!("{CHUNKED}1\r\na\r\n0\r\n\r\n"), format!("{GET}\r\n")];
    let found = verdict(requests.concat().as_bytes()).expect("they are requests");
    let sizes = requests.iter().scan(0, |end, request| {
        *end += request.len();
        Some(*end)
    });
    assert_eq!(found, sizes.collect::<Vec<_>>());
}

#[test]
fn a_line_that_ends_without_a_carriage_return_is_refused() {
    for request in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &format!("GET / HTTP/1.1\r\nX: {}\n\r\n", "a".repeat(3 * KEPT)),
        &format!("{CHUNKED}0\r\n\n"),
        &format!("{CHUNKED}0\r\nX: y\n\r\n"),
    ] {
        refused(request, "without a carriage return");
    }
}

#[test]
fn two_ways_to_frame_a_body_are_refused() {
    let (length, other, coding) =
        ("Content-Length: 5\r\n", "content-length: 6\r\n", "Transfer-Encoding: chunked\r\n");
    refused(&format!("{GET}{length}{coding}\r\n"), "both");
    refused(&format!("{GET}{coding}X: y\r\n{length}\r\n"), "both");
    refused(&format!("{GET}{length}{length}\r\nhello"), "more than one Content-Length");
    refused(&format!("{GET}{length}{other}\r\nhello"), "more than one Content-Length");
    refused(&format!("{GET}{coding}{coding}\r\n"), "more than one Transfer-Encoding");
    for name in ["Content_Length", "content_length", "CONTENT_LENGTH"] {
        refused(&format!("{GET}{name}: 5\r\n\r\nhello"), "underscore");
    }
    refused(&format!("{GET}Transfer_Encoding: chunked\r\n\r\n"), "underscore");
    refused(&format!("{GET}X: y\r\n Content-Length: 5\r\n\r\n"), "begins with a blank");
}

#[test]
fn a_length_that_is_not_one_number_is_refused() {
    for (length, why) in [
        ("", "not a number"),
        ("+5", "not a number"),
        ("-0", "not a number"),
        ("0x5", "not a number"),
        ("5_", "not a number"),
        ("5 5", "not a number"),
        ("\u{b}5", "not a number"),
        ("5, 5", "a list"),
        ("5,", "a list"),
        ("05", "begins with a zero"),
        ("18446744073709551616", "larger than"),
        ("99999999999999999999999999", "larger than"),
    ] {
        refused(&format!("{GET}Content-Length: {length}\r\n\r\nhello"), why);
    }
    refused(&format!("{GET}Content-Length: {}5\r\n\r\nhello", " ".repeat(KEPT)), "too long");
}

#[test]
fn a_coding_that_is_not_just_chunked_is_refused() {
    for coding in [
        "",
        "gzip",
        "xchunked",
        "chunkedx",
        "chunked;a",
        "chunked, chunked",
        "gzip, chunked",
        "chunked,",
        ",chunked",
        "\"chunked\"",
        "chun ked",
        "\u{b}chunked",
        "chunked\u{0}",
    ] {
        refused(&format!("{GET}Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n"), "not just `chunked`");
    }
}

#[test]
fn chunks_whose_frames_could_be_read_in_two_ways_are_refused() {
    for (body, why) in [
        ("\r\nhello", "no size"),
        (";a\r\nhello", "no size"),
        ("+5\r\nhello", "not a hexadecimal"),
        ("-5\r\nhello", "not a hexadecimal"),
        ("0x5\r\nhello", "not a hexadecimal"),
        ("5 \r\nhello", "not a hexadecimal"),
        (" 5\r\nhello", "not a hexadecimal"),
        ("5 ;a\r\nhello", "not a hexadecimal"),
        ("5\nhello", "not a hexadecimal"),
        ("5_0\r\nhello", "not a hexadecimal"),
        ("00000000000000005\r\nhello", "too many digits"),
        ("10000000000000000\r\nhello", "too many digits"),
        ("5\rhello", "ends no line"),
        ("5;a\nhello", "line end"),
        ("5;a\r0\r\nhello", "ends no line"),
        ("5;a=\"\r\nhello\"\r\n", "line end"),
        ("5;a=\"\\\r\nhello", "line end"),
        ("5;\u{0}\r\nhello", "control"),
        ("5\r\nhello0\r\n\r\n", "where its size says"),
        ("5\r\nhello\n0\r\n\r\n", "where its size says"),
        ("5\r\nhello\r0\r\n\r\n", "where its size says"),
        ("4\r\nhello\r\n0\r\n\r\n", "where its size says"),
    ] {
        refused(&format!("{CHUNKED}{body}"), why);
    }
    refused(&format!("{CHUNKED}5;{}\r\nhello", "e".repeat(1025)), "too long");
    let fifteen = format!("1;{}\r\nx\r\n", "e".repeat(1024)).repeat(15);
    refused(&format!("{CHUNKED}{fifteen}1;{}", "e".repeat(1024)), "too long together");
    accepted(&format!("{CHUNKED}{fifteen}1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(1023)));
}

#[test]
fn trailers_that_frame_or_route_are_refused() {
    for trailer in ["Content-Length: 5", "transfer-encoding: chunked", "Host: b", "Content_Length: 5"] {
        refused(&format!("{CHUNKED}0\r\nX: y\r\n{trailer}\r\n\r\n"), "frames or routes");
    }
    refused(&format!("{CHUNKED}0\r\nX: y\r\n z\r\n\r\n"), "begins with a blank");
}

#[test]
fn what_hyper_would_pass_over_before_and_in_a_request_line_is_refused() {
    refused("\r\n\r\n\r\n", "empty lines");
    refused("GET /a#b HTTP/1.1\r\n\r\n", "fragment");
    refused("GET /caf\u{e9} HTTP/1.1\r\n\r\n", "not ASCII");
    refused("\u{16}\u{3}\u{1}", "TLS");
}

#[test]
fn a_refusal_is_for_good() {
    let mut framing = Framing::default();
    let refusal = framing.feed(b"GET / HTTP/1.1\n").unwrap_err();
    assert_eq!(framing.feed(format!("{GET}\r\n").as_bytes()), Err(refusal));
}

#[test]
fn what_hyper_refuses_is_explained() {
    for (head, why) in [
        ("G(T / HTTP/1.1\r\n", "method"),
        ("\r\n GET / HTTP/1.1\r\n", "method"),
        ("GET /\r\n", "no version"),
        ("GET  / HTTP/1.1\r\n", "one space"),
        ("GET / HTTP/1.1 \r\n", "one space"),
        ("GET /\u{0} HTTP/1.1\r\n", "target"),
        ("GET / HTTP/1.2\r\n", "neither HTTP/1.1 nor"),
        ("GET / http/1.1\r\n", "does not end with the version"),
        ("GET / HTTP/1.1\r\nno colon\r\n", "no colon"),
        ("GET / HTTP/1.1\r\n: a\r\n", "no name"),
        ("GET / HTTP/1.1\r\nA : a\r\n", "blank before the colon"),
        ("GET / HTTP/1.1\r\nA(: a\r\n", "not a token"),
        ("GET / HTTP/1.1\r\nA: a\u{0}\r\n", "control"),
    ] {
        let told = explain(head.as_bytes()).unwrap_or("nothing");
        assert!(told.contains(why), "{head:?}: {told}");
    }
    assert_eq!(explain(format!("{GET}X: caf\u{e9}\r\n\r\n\u{0}").as_bytes()), None);
}
