//! Which connections begin with a PROXY header: the flag, and what is known of it.

use std::net::IpAddr;

use clap::{ArgAction, Args};

use super::access::Networks;
use super::address::Address;
use super::listen::Listener;

/// Which connections begin with a PROXY header, as the operator wrote it.
#[derive(Args, Clone, Debug)]
pub struct IntroducedFlags {
    /// Network (ADDRESS or ADDRESS/BITS, or `unix` for Unix sockets) whose connections must begin with a PROXY header (v1 or v2) that tells the client's address; repeat it for more
    #[arg(
        long = "proxy-protocol-from",
        env = "LOADBALANCER_PROXY_PROTOCOL_FROM",
        value_name = "NET",
        value_delimiter = ',',
        action = ArgAction::Append
    )]
    pub proxy_protocol_from: Vec<String>,
}

/// Whose connections begin with a PROXY header. Those of others must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduced {
    pub(super) networks: Networks<()>,
    pub(super) unix: bool,
}

impl Introduced {
    /// Whether who comes from this address to this listener must begin with a PROXY header.
    #[inline]
    pub fn holds(&self, address: IpAddr, listener: &Listener) -> bool {
        (self.unix || !self.networks.is_empty()) && self.finds(address, listener)
    }

    fn finds(&self, address: IpAddr, listener: &Listener) -> bool {
        match listener.address {
            Address::Unix(_) => self.unix,
            Address::Ip(_) => self.networks.hold(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::super::{Flags, Problems};
    use super::*;

    fn introduced(texts: &[&str]) -> Result<Introduced, Problems> {
        let texts = texts.iter().map(|text| format!("--proxy-protocol-from={text}"));
        let flags = Flags::try_parse_from(["loadbalancer".to_owned()].into_iter().chain(texts));
        flags.expect("flags that parse").resolve(4096).map(|config| config.introduced)
    }

    #[test]
    fn networks_and_unix_sockets_are_told_apart() {
        let tcp =
            Listener { name: "tcp".into(), address: Address::Ip(([127, 0, 0, 1], 80).into()), tls: false };
        let unix =
            Listener { name: "unix".into(), address: Address::Unix(Path::new("/run/lb").into()), tls: false };
        let here = IpAddr::from([127, 0, 0, 1]);
        let networks = introduced(&["127.0.0.0/8", "::1", "::ffff:192.0.2.1"]).unwrap();
        assert!(networks.holds(here, &tcp) && !networks.holds(here, &unix));
        for (text, held) in [("::1", true), ("::2", false), ("::ffff:127.1.2.3", true), ("192.0.2.1", true)] {
            assert_eq!(networks.holds(text.parse().unwrap(), &tcp), held, "{text}");
        }
        let sockets = introduced(&["unix"]).unwrap();
        assert!(sockets.holds(here, &unix) && !sockets.holds(here, &tcp));
        assert!(!introduced(&[]).unwrap().holds(here, &tcp));
    }

    #[test]
    fn what_is_no_network_is_refused_with_one_that_is() {
        for text in ["''", "10.0.0.0/33", "10", "localhost", "::/129", "UNIX"] {
            let refused = introduced(&["::/0", text.trim_matches('\'')]).unwrap_err().to_string();
            let expected = format!(
                "--proxy-protocol-from {text}: not a network; write ADDRESS or ADDRESS/BITS, for example 10.0.0.0/8"
            );
            assert_eq!(refused, expected);
        }
    }
}
