//! What a `Host` can be.

/// Whether it is one: RFC 3986 section 3.2.2 and an optional port, without user information.
pub fn is_host(host: &[u8]) -> bool {
    let (name, is_named_by) = match host {
        [b'[', rest @ ..] => (rest, ADDRESS),
        host => (host, NAME),
    };
    let end = name.iter().position(|byte| HOST_BYTES[usize::from(*byte)] & is_named_by == 0);
    let (name, rest) = name.split_at(end.unwrap_or(name.len()));
    let port = match (is_named_by, rest) {
        (ADDRESS, [b']', port @ ..]) => port,
        (ADDRESS, _) => return false,
        (_, port) => port,
    };
    let is_port = matches!(port, [] | [b':', ..]) && port.iter().skip(1).all(u8::is_ascii_digit);
    is_port && !name.is_empty()
}

const NAME: u8 = 1;
const ADDRESS: u8 = 2;

/// For each byte, whether a name may have it, and whether an address in brackets.
const HOST_BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let letter = byte as u8;
        let named = letter.is_ascii_alphanumeric()
            || matches!(
                letter,
                b'.' | b'-'
                    | b'_'
                    | b'~'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
            );
        let address = letter.is_ascii_hexdigit() || matches!(letter, b':' | b'.');
        bytes[byte] = if named { NAME } else { 0 } | if address { ADDRESS } else { 0 };
        byte += 1;
    }
    bytes
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_may_have_a_port() {
        for host in ["a", "a.b-c_d:80", "a:", "10.0.0.1:8080", "[::1]", "[::ffff:10.0.0.1]:80", "a,b"] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":80",
            "a:b",
            "a:80:80",
            "a/b",
            "a b",
            "u@a",
            "[::1",
            "[]",
            "[::1]a",
            "a]",
            "::1",
            "a#",
            "a\\b",
            "b%2Eexample",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
