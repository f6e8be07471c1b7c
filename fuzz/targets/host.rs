//! Hosts: what is taken for one has no byte that ends a host elsewhere, and reads back as it is.
#![no_main]

use std::net::IpAddr;

use hyper::header::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use loadbalancer::config::Networks;
use loadbalancer::proxy::forwarded::origin;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let trusted = Networks::of([("10.0.0.0/8".parse().expect("a network"), ())]);
    let host_in = |value: HeaderValue| {
        let headers =
            HeaderMap::from_iter([(hyper::header::HeaderName::from_static("x-forwarded-host"), value)]);
        origin(&headers, IpAddr::from([10, 0, 0, 1]), &trusted).expect("a trusted peer is believed").host
    };
    let Some(host) = host_in(value) else { return };
    let text = host.to_str().expect("a host is text");
    let wanted = bytes.rsplit(|byte| *byte == b',').next().expect("one entry").trim_ascii();
    assert_eq!(text.as_bytes(), wanted);
    assert!(
        !text.contains(['/', '\\', '@', '#', '?', ' ', '\t', ',', '"', '<', '>', '|', '^', '`', '{', '}']),
        "{text:?}"
    );
    let name = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').expect("a bracket is closed").0,
        None => {
            assert!(text.matches(':').count() <= 1 && !text.contains(['[', ']']), "{text:?}");
            text.split(':').next().expect("a name")
        }
    };
    assert!(!name.is_empty(), "{text:?}");
    if let Some((_, port)) =
        text.rsplit_once(':').filter(|(host, _)| !text.starts_with('[') || host.ends_with(']'))
    {
        assert!(port.bytes().all(|byte| byte.is_ascii_digit()), "{text:?}");
    }
    assert_eq!(host_in(host.clone()), Some(host), "it reads back otherwise");
});
