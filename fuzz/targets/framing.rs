//! Where a request ends: it is told in one way however the bytes come, and never with a bare line feed in its head. The
//! first byte seeds where they are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loadbalancer::server::{Framing, Refusal};

/// The ends of the requests in the bytes, and what refused the rest.
fn ends<'a>(parts: impl Iterator<Item = &'a [u8]>) -> (Vec<usize>, Option<Refusal>, bool) {
    let (mut framing, mut ends, mut at) = (Framing::default(), Vec::new(), 0);
    for mut part in parts {
        while !part.is_empty() {
            match framing.feed(part) {
                Ok(taken) => {
                    assert!(taken > 0 && taken <= part.len(), "{taken} of {}", part.len());
                    at += taken;
                    part = &part[taken..];
                    if framing.is_between() {
                        ends.push(at);
                    } else {
                        assert!(part.is_empty(), "it stopped amid a request");
                    }
                }
                Err(refusal) => {
                    assert_eq!(
                        framing.feed(b"GET / HTTP/1.1\r\n\r\n"),
                        Err(refusal),
                        "it forgot that it refused"
                    );
                    return (ends, Some(refusal), false);
                }
            }
        }
    }
    (ends, None, framing.is_before_body())
}

fuzz_target!(|bytes: &[u8]| {
    let Some((seed, bytes)) = bytes.split_first() else { return };
    let whole = ends([bytes].into_iter());
    let step = usize::from(seed % 7) + 1;
    let cut = ends(bytes.chunks(step));
    assert_eq!((&whole.0, whole.1.is_some(), whole.2), (&cut.0, cut.1.is_some(), cut.2), "cut by {step}");
    let mut start = 0;
    for end in whole.0 {
        let request = &bytes[start..end];
        let head = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(request.len());
        let lines = request[..head].split(|byte| *byte == b'\n').rev().skip(1);
        for line in lines {
            assert!(line.ends_with(b"\r"), "a bare line feed in {:?}", request.escape_ascii().to_string());
        }
        start = end;
    }
});
