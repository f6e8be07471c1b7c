//! Names of machines, and what looks like one.

use std::net::{Ipv4Addr, SocketAddrV6};

use super::said::{Said, say};

/// Why a text is no name of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameFault {
    /// It ends in a number, as no name does (RFC 3696 section 2): who looks it up takes `10.1` for 10.0.0.1, and `010.0.0.1` for
    /// 8.0.0.1.
    Number,
    /// It has letters beyond ASCII.
    Foreign,
    /// It has something else that no name has.
    Other,
}

impl NameFault {
    /// What is said of it. `other` is for what looks like no name at all.
    pub(super) fn said(self, other: Said) -> Said {
        match self {
            Self::Number => say(
                "no address, and no name ends in a number",
                "write all four numbers of an address, without zeros before them: 10.0.0.1",
            ),
            Self::Foreign => say("has letters beyond ASCII", "write the name in punycode: xn--..."),
            Self::Other => other,
        }
    }
}

/// Whether it can be a name in the DNS.
pub(super) fn check_name(text: &str) -> Result<(), NameFault> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    // The last label may be followed by the root's, which is empty.
    let bare = text.strip_suffix('.').unwrap_or(text);
    let last = bare.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match () {
        () if text.len() > 253 || bare.split('.').any(str::is_empty) => Err(NameFault::Other),
        () if text.chars().all(fits) => {
            if is_number {
                Err(NameFault::Number)
            } else {
                Ok(())
            }
        }
        () if text.chars().all(|c| fits(c) || (!c.is_ascii() && c.is_alphanumeric())) => {
            Err(NameFault::Foreign)
        }
        () => Err(NameFault::Other),
    }
}

/// The same, or an IPv4 address.
pub(super) fn check_host(text: &str) -> Result<(), NameFault> {
    if text.parse::<Ipv4Addr>().is_ok() { Ok(()) } else { check_name(text) }
}

/// An IPv6 address that lacks its brackets, in them and with its port.
pub(super) fn in_brackets(text: &str) -> Option<String> {
    let is_one = |text: &String| text.parse::<SocketAddrV6>().is_ok();
    let with_port = text.rsplit_once(':').map(|(ip, port)| format!("[{ip}]:{port}"));
    let whole = Some(text).filter(|text| is_one(&format!("[{text}]:1")));
    with_port.filter(is_one).or_else(|| whole.map(|text| format!("[{text}]:PORT")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_in_a_number_or_has_other_letters_is_no_name() {
        for name in ["a", "a.b-c_d", "a.", "1.a", "_srv._tcp.a", "0xa.b", "a1", "xn--mnchen-3ya.example"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in
            ["1", "10.1", "010.0.0.1", "10.0.0.1", "a.1", "a.1.", "0x7f000001", "0X7F.1", "a.0x", "1.2.3.4.5"]
        {
            assert_eq!(check_name(name), Err(NameFault::Number), "{name}");
        }
        assert_eq!(check_name("münchen.example"), Err(NameFault::Foreign));
        for name in ["", ".", ".a", "a..b", "a b", "a/b", "a:1", "ü b", "[::1]", &"a".repeat(254)] {
            assert_eq!(check_name(name), Err(NameFault::Other), "{name}");
        }
        assert_eq!([check_host("10.0.0.1"), check_host("10.1")], [Ok(()), Err(NameFault::Number)]);
    }

    #[test]
    fn an_address_that_lacks_its_brackets_is_put_into_them() {
        for (text, put) in [
            ("::1:8080", Some("[::1]:8080")),
            (":::80", Some("[::]:80")),
            ("::1", Some("[::1]:PORT")),
            ("0:0:0:0:0:0:0:1:80", Some("[0:0:0:0:0:0:0:1]:80")),
            ("fe80::1%2:80", Some("[fe80::1%2]:80")),
            ("[::1]:80", None),
            ("a:b:80", None),
            ("127.0.0.1:80", None),
            (":80", None),
        ] {
            assert_eq!(in_brackets(text).as_deref(), put, "{text}");
        }
    }
}
