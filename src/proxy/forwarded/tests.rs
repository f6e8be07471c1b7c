use hyper::header::{FORWARDED, HeaderMap, HeaderValue};
use ipnet::IpNet;
use proptest::prelude::*;

use super::*;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

fn trusted() -> Networks<()> {
    let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse::<IpNet>().expect("a network"));
    Networks::of(networks.map(|network| (network, ())))
}

fn head(lines: &[(HeaderName, &str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("a value"))).collect()
}

fn believed(lines: &[(HeaderName, &str)]) -> Origin {
    origin(&head(lines), PEER, &trusted()).expect("the peer is trusted")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_chain_is_walked_from_the_right_up_to_the_first_who_is_not_trusted() {
    for (chain, client) in [
        ("192.0.2.1", "192.0.2.1"),
        ("9.9.9.9, 192.0.2.1", "192.0.2.1"),
        ("9.9.9.9, 192.0.2.1, 10.1.1.1,10.2.2.2", "192.0.2.1"),
        ("10.9.9.9, 10.1.1.1", "10.9.9.9"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db9::1]:80, 2001:db8::7", "2001:db9::1"),
        ("[2001:db9::1]", "2001:db9::1"),
        ("::ffff:192.0.2.1, ::ffff:10.0.0.9", "192.0.2.1"),
        ("192.0.2.1, , ,", "192.0.2.1"),
        ("192.0.2.1, unknown, 10.0.0.9", "10.0.0.9"),
        ("192.0.2.1, _hidden", "10.0.0.1"),
        ("192.0.2.1, 10.0.0.300", "10.0.0.1"),
        ("192.0.2.1 10.0.0.2", "10.0.0.1"),
        ("", "10.0.0.1"),
    ] {
        assert_eq!(believed(&[(X_FORWARDED_FOR, chain)]).client, ip(client), "{chain}");
    }
}

#[test]
fn all_lines_of_a_chain_count_and_the_peer_is_added() {
    let origin = believed(&[(X_FORWARDED_FOR, "9.9.9.9"), (X_FORWARDED_FOR, "192.0.2.1, 10.0.0.2")]);
    assert_eq!(
        (origin.client, origin.chain.as_bytes()),
        (ip("192.0.2.1"), &b"9.9.9.9, 192.0.2.1, 10.0.0.2, 10.0.0.1"[..])
    );
    assert_eq!(believed(&[]).chain, "10.0.0.1");
}

#[test]
fn a_chain_is_walked_for_so_long_and_no_longer() {
    let hops = |count: usize| format!("192.0.2.1{}", ", 10.1.1.1".repeat(count));
    assert_eq!(client_of(hops(MOST_HOPS - 1).as_bytes(), |hop| trusted().hold(hop)), Some(ip("192.0.2.1")));
    assert_eq!(client_of(hops(MOST_HOPS).as_bytes(), |hop| trusted().hold(hop)), Some(ip("10.1.1.1")));
}

#[test]
fn who_is_not_trusted_is_not_believed() {
    let headers = head(&[(X_FORWARDED_FOR, "192.0.2.1")]);
    assert_eq!(origin(&headers, ip("192.0.2.9"), &trusted()), None);
    assert!(origin(&headers, ip("::ffff:10.0.0.7"), &trusted()).is_some());
}

#[test]
fn the_last_word_on_scheme_and_host_counts_if_it_is_well_formed() {
    let of = |proto: &str, host: &str| {
        let origin = believed(&[(X_FORWARDED_PROTO, proto), (X_FORWARDED_HOST, host)]);
        (
            origin.proto.map(|proto| proto.as_bytes().to_vec()),
            origin.host.map(|host| host.as_bytes().to_vec()),
        )
    };
    assert_eq!(of("HTTPS", "shop.test:8443"), (Some(b"https".to_vec()), Some(b"shop.test:8443".to_vec())));
    assert_eq!(
        of("gopher, http", "evil.test, shop.test"),
        (Some(b"http".to_vec()), Some(b"shop.test".to_vec()))
    );
    for (proto, host) in [("ftp", "a b"), ("", ""), ("https;", "a/b"), ("http,", "user@host")] {
        assert_eq!(of(proto, host), (None, None), "{proto} {host}");
    }
}

#[test]
fn forwarded_is_read_as_its_rfc_says() {
    let of = |text: &str| told(text.as_bytes(), |hop| trusted().hold(hop));
    let told = of(
        r#"for=9.9.9.9, For="[2001:db9::1]:4711";Proto=https ; host="shop.test";by=10.0.0.3, for=10.0.0.2"#,
    );
    assert_eq!(told.hops, [ip("10.0.0.2"), ip("2001:db9::1")]);
    assert_eq!((told.proto.as_deref(), told.host.as_deref()), (Some(&b"https"[..]), Some(&b"shop.test"[..])));
    assert_eq!(of(r#"for="192.0.2.\1""#).hops, [ip("192.0.2.1")], "a quoted pair");
    assert_eq!(of(r#"for=192.0.2.1;ext="a, for=6.6.6.6; \", \\""#).hops, [ip("192.0.2.1")]);
    let hidden = of("for=192.0.2.1, for=unknown;proto=https");
    assert_eq!(
        (hidden.hops.len(), hidden.proto.as_deref()),
        (0, Some(&b"https"[..])),
        "it is still the peer's word"
    );
    for text in [
        "for=192.0.2.1 for=1.1.1.1",
        "for==1.1.1.1",
        "for",
        "for=\"1.1.1.1",
        "for=1.1.1.1;for=2.2.2.2",
        "for=2001:db9::1",
        "for=\"2001:db9::1\"",
        "for=_a",
        "@",
    ] {
        assert!(of(text).hops.is_empty(), "{text}");
    }
}

#[test]
fn a_quote_that_a_client_leaves_open_hides_nothing_that_a_proxy_added() {
    for smuggled in ["for=\"", "for=\"\\", "\"", "for=9.9.9.9;x=\"a, for=8.8.8.8"] {
        let field = format!("{smuggled}, for=192.0.2.1");
        assert_eq!(told(field.as_bytes(), |_| false).hops, [ip("192.0.2.1")], "{field}");
    }
}

#[test]
fn of_the_two_families_one_is_believed_and_never_both() {
    let both = [(X_FORWARDED_FOR, "192.0.2.1"), (FORWARDED, "for=192.0.2.2;proto=https;host=evil.test")];
    let origin = believed(&both);
    assert_eq!((origin.client, origin.proto, origin.host), (ip("192.0.2.1"), None, None));
    let other = [
        (FORWARDED, "for=192.0.2.2;proto=https"),
        (X_FORWARDED_PROTO, "http"),
        (X_FORWARDED_HOST, "evil.test"),
    ];
    let origin = believed(&other);
    assert_eq!((origin.client, origin.chain.as_bytes()), (ip("192.0.2.2"), &b"192.0.2.2, 10.0.0.1"[..]));
    assert_eq!((origin.proto, origin.host), (Some(HeaderValue::from_static("https")), None));
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
        any::<u128>().prop_map(|bits| IpAddr::V6(bits.into()).to_canonical()),
        any::<u16>().prop_map(|low| IpAddr::V4((0x0a00_0000 | u32::from(low)).into())),
    ]
}

/// Text that looks like what is parsed, so that more than its first byte matters.
fn likely() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        Just(b"for=".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\\".to_vec()),
        Just(b", ".to_vec()),
        Just(b";proto=https".to_vec()),
        Just(b"10.0.0.1".to_vec()),
        Just(b"192.0.2.1".to_vec()),
        Just(b"[2001:db8::1]:80".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_stands_left_of_what_a_trusted_proxy_added_changes_nothing(
        left in likely(), client in address(), hops in 0_usize..5,
    ) {
        prop_assume!(!trusted().hold(client));
        let chain = [left.clone(), format!(", {client}{}", ", 10.0.0.2".repeat(hops)).into_bytes()].concat();
        prop_assert_eq!(client_of(&chain, |hop| trusted().hold(hop)), Some(client));
        let node = if client.is_ipv4() { client.to_string() } else { format!("\"[{client}]\"") };
        let field = [left, format!(", for={node};proto=http{}", ", for=10.0.0.2".repeat(hops)).into_bytes()].concat();
        let told = told(&field, |hop| trusted().hold(hop));
        prop_assert_eq!(told.hops.last(), Some(&client));
        prop_assert_eq!(told.proto.as_deref(), Some(&b"http"[..]));
    }

    #[test]
    fn any_bytes_end_in_an_answer_of_bounded_length(bytes in likely(), all_trusted: bool) {
        let told = told(&bytes, |_| all_trusted);
        prop_assert!(told.hops.len() <= MOST_HOPS);
        client_of(&bytes, |_| all_trusted);
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            for name in [FORWARDED, X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST] {
                let headers = HeaderMap::from_iter([(name, value.clone())]);
                let origin = origin(&headers, PEER, &trusted()).expect("the peer is trusted");
                prop_assert!(origin.chain.as_bytes().ends_with(b"10.0.0.1"));
            }
        }
    }
}
