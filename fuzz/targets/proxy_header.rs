//! The header of the PROXY protocol: it is read in one way however its bytes come, and claims no byte that is not its own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loadbalancer::server::proxy_protocol::{Parsed, parse};

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes);
    if let Parsed::Complete { length, .. } = whole {
        assert_eq!(parse(&bytes[..length]), whole, "what stands behind it is the client's");
    }
    for end in 0..bytes.len() {
        match (parse(&bytes[..end]), whole) {
            (Parsed::Bad(_), Parsed::Bad(_)) => {}
            (Parsed::Partial(more), Parsed::Complete { length, .. }) => {
                assert!(more > 0 && end + more <= length, "it asks for bytes of the client: {end} + {more}");
            }
            (Parsed::Partial(more), _) => assert!(more > 0, "it waits for nothing"),
            (early, Parsed::Complete { length, .. }) => {
                assert!(end >= length && early == whole, "{early:?} after {end} bytes, {whole:?} after all");
            }
            (early, late) => panic!("{early:?} after {end} bytes, {late:?} after all"),
        }
    }
});
