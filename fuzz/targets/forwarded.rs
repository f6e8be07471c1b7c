//! What proxies say of a request: whatever stands in the fields, only what trusted ones wrote is believed. The first byte
//! says which fields there are, and lines are their values in turn.
#![no_main]

use std::net::IpAddr;

use hyper::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use loadbalancer::config::Networks;
use loadbalancer::proxy::forwarded::{MOST_HOPS, client_of, origin, told};

static NAMES: [HeaderName; 4] = [
    HeaderName::from_static("x-forwarded-for"),
    FORWARDED,
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-host"),
];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let chosen: Vec<_> = NAMES.iter().enumerate().filter(|(bit, _)| choice & (1 << bit) != 0).collect();
    let mut headers = HeaderMap::new();
    for (index, line) in rest.split(|byte| *byte == b'\n').enumerate() {
        if let Ok(value) = HeaderValue::from_bytes(line)
            && !chosen.is_empty()
        {
            headers.append(chosen[index % chosen.len()].1, value);
        }
    }
    let peer = IpAddr::from([10, 0, 0, 1]);
    let trusted = Networks::of([("10.0.0.0/8".parse().expect("a network"), ())]);
    assert_eq!(origin(&headers, IpAddr::from([192, 0, 2, 1]), &trusted), None, "a stranger is believed");
    let found = origin(&headers, peer, &trusted).expect("a trusted peer is believed");

    let chain = found.chain.as_bytes();
    let mut entries = chain.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    assert_eq!(entries.next(), Some(&b"10.0.0.1"[..]), "the last of the chain is who connected to us");
    if let Some(host) = &found.host {
        let fits = |byte: &u8| byte.is_ascii_graphic() && !b"/\\@#?\"<>,".contains(byte);
        assert!(!host.is_empty() && host.as_bytes().iter().all(fits), "{host:?}");
    }
    assert!(found.proto.is_none_or(|proto| proto == "http" || proto == "https"));

    // To read the chain that we pass on leads to the same client: the next of our kind agrees with us.
    if entries.count() < MOST_HOPS {
        let again = client_of(chain, |address| trusted.hold(address));
        assert_eq!(again, Some(found.client), "read from {:?}", found.chain);
    }
    let told_here = told(rest, |address| trusted.hold(address));
    for hop in told_here.hops.iter().rev().skip(1) {
        assert!(trusted.hold(*hop), "what stands left of {hop} was believed");
    }
    assert!(told(rest, |_| true).hops.len() <= MOST_HOPS);
});
