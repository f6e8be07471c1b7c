//! What can be wrong with a backend, or with TLS to it.

use std::sync::Arc;

use crate::config::address::{Address, how_long};
use crate::config::name::NameFault;
use crate::config::said::{By, Said, Scope, holds_a_blank, say};

/// What can be wrong with a backend, or with TLS to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum BackendFault {
    /// No address at all.
    NoAddress,
    /// The address is not one.
    Address,
    /// The host is no address, and no name either.
    Name(NameFault),
    /// An IPv6 address without its brackets.
    Bare {
        /// With them.
        fix: String,
    },
    /// The address that stands for all.
    Unspecified,
    /// What stands for the port is a number, and none of a port.
    Port,
    /// A scheme and a host, and no port.
    NoPort {
        /// With the one that is usual.
        fix: String,
    },
    /// A blank: what separates backends is a comma alone.
    Blank,
    /// A scheme that we do not speak.
    Scheme,
    /// A path behind the address.
    Path {
        /// Without it.
        fix: String,
    },
    /// A path where a host and a port are to be.
    Socket {
        /// As the socket that is meant is written.
        fix: String,
    },
    /// A Unix socket's path is none, or longer than the system takes.
    SocketPath,
    /// The name has no address.
    Unresolved {
        /// As the system's resolver put it.
        reason: String,
    },
    /// A backend was given twice.
    Twice,
    /// A backend is where another one is, by another name.
    OfTwoNames {
        /// Where that is.
        address: Address,
        /// The other one's name.
        other: Arc<str>,
    },
    /// It is the balancer itself.
    Loop,
    /// A setting for TLS, and no backend that speaks it.
    NoTls,
    /// Any certificate is to be taken, and only some.
    TrustTwice,
    /// A certificate without its key, or a key without its certificate.
    UnpairedKey,
    /// The name that certificates must be for is none.
    TlsName,
}

impl BackendFault {
    pub(in crate::config) fn scope(&self) -> Scope<'_> {
        match self {
            Self::NoAddress => Scope::Within(&["address"]),
            Self::UnpairedKey => Scope::Within(&["cert_file", "key_file"]),
            Self::NoTls => Scope::Entry(&["backends.*.address", "discover.*"]),
            // Without any listener that makes sense there is the usual one.
            Self::Loop => Scope::All(&["listeners.*"]),
            _ => Scope::Own,
        }
    }

    pub(in crate::config) fn said(&self, by: By) -> Said {
        match self {
            Self::NoAddress => say("has no address", "add address, for example address = \"127.0.0.1:3000\""),
            Self::Address => not_an_address(),
            Self::Name(fault) => fault.said(not_an_address()),
            Self::Bare { fix } => say("an IPv6 address without brackets", format!("write {fix}")),
            Self::Unspecified => {
                say("stands for all addresses, and a backend has one", "write 127.0.0.1 for this machine")
            }
            Self::Port => say("not a port", "a port is 1 to 65535"),
            Self::NoPort { fix } => say("has no port", format!("write {fix}")),
            Self::Blank => holds_a_blank(by),
            Self::Scheme => say(
                "not a scheme that is spoken",
                "write http://, https:// or h2c:// before HOST:PORT, or unix:PATH",
            ),
            Self::Path { fix } => say("has a path, but requests keep their own", format!("write {fix}")),
            Self::Socket { fix } => say("a path in place of HOST:PORT", format!("write {fix}")),
            Self::SocketPath => say("not a path for a socket", how_long(by)),
            Self::Unresolved { reason } => say(
                format!("the name cannot be resolved ({reason})"),
                "check the spelling, try again where servers of names do not answer, or write an IP address",
            ),
            Self::Twice => say("given twice", "remove one of them"),
            Self::OfTwoNames { address, other } => {
                say(format!("leads to {address}, as {other} does"), "remove one of them")
            }
            Self::Loop => {
                say("that is where we listen, so requests would go round in circles", "name another address")
            }
            Self::NoTls => say(
                "no backend speaks TLS",
                by.pick(
                    "write --backend https://HOST:PORT for those that do",
                    "write https://HOST:PORT for those that do, or remove this",
                ),
            ),
            Self::TrustTwice => {
                let ca = by.pick("--backend-ca", "ca_file");
                say(format!("takes any certificate, but {ca} says which are good"), "remove one of them")
            }
            Self::UnpairedKey => {
                let message =
                    by.pick("only one of them was given", "only one of cert_file and key_file is given");
                say(message, "give both, or none")
            }
            Self::TlsName => {
                say("not a name", "write a host name or an IP address, for example app.internal")
            }
        }
    }
}

fn not_an_address() -> Said {
    say("not an address", "write HOST:PORT, for example 127.0.0.1:3000")
}

impl From<NameFault> for BackendFault {
    fn from(fault: NameFault) -> Self {
        Self::Name(fault)
    }
}
