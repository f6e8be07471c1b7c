//! What can be wrong with a pool, the admin API or the access log.

use std::net::SocketAddrV6;
use std::slice;

use crate::config::name::NameFault;
use crate::config::pool::PolicyName;
use crate::config::said::{By, Said, Scope, say};

/// What can be wrong with a pool, with the admin API or with the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum PoolFault {
    /// Whom to ask for names is no address.
    DnsServer,
    /// Whom to ask for names is in one of the machine's networks, and `hickory` cannot say in which.
    LinkLocalDns,
    /// The same, but the address is in all of them: it is this, without the network.
    ScopedDns(String),
    /// The port of whom to ask for names is a part of the address: this is meant.
    DnsPort(SocketAddrV6),
    /// No backends and nowhere to find some.
    Empty,
    /// A source of backends is none.
    Source,
    /// The name of a source is none.
    NameOfSource(NameFault),
    /// A source names an address.
    AddressOfSource,
    /// A hash key is none.
    HashKey,
    /// The path of a check begins with no slash, or has control characters.
    NoHealthPath,
    /// The path of a check has characters that can only stand there encoded.
    HealthPath {
        /// With them encoded.
        fix: String,
    },
    /// No status means healthy.
    NoStatuses,
    /// gRPC's own check does not go by statuses of HTTP.
    GrpcStatuses,
    /// Checks that leave a backend no time for requests.
    TooOften,
    /// A name or a value that is empty or has characters that it may not have.
    Name,
    /// What a listener, a route or a pool is called is empty, or has control characters.
    NoName,
    /// A secret that could be guessed.
    ShortSecret,
    /// A token that no caller could send.
    NoLine,
    /// Something that is required is not given.
    Required(&'static str),
    /// It is for other policies.
    NotForPolicy { policy: PolicyName, fit: &'static [PolicyName] },
    /// It is for any policy but `first`.
    NotForFirst,
    /// A weight, and no policy that goes by it.
    NoPolicy,
    /// There is only one tier, and no zone is preferred.
    NoTiers,
    /// No backend is in any zone.
    NoZones,
    /// No backend gets anything.
    NoWeight,
    /// No names are to be looked up.
    NoNames,
    /// Anybody could use the admin API.
    NoToken,
    /// A token, and no admin API.
    NoAdmin,
    /// The access log has no name.
    NoLog,
    /// The access log has a name by which others mean none, or a stream.
    LogByWord(String),
    /// The admin API's address is a listener's, too: that of the named one, or nobody wrote where the admin API is.
    AdminTwice(Option<String>),
}

impl PoolFault {
    pub(in crate::config) fn scope(&self) -> Scope<'_> {
        match self {
            Self::NoNames => Scope::All(&["pools.*.discover.*"]),
            Self::Empty => Scope::Within(&["backends.*", "discover.*"]),
            Self::Required(key) => Scope::Within(slice::from_ref(key)),
            // Who knows what a policy that cannot be read was to be.
            Self::NotForPolicy { .. } | Self::NotForFirst | Self::NoPolicy => Scope::Entry(&["policy"]),
            Self::NoTiers => Scope::Entry(&["policy", "backends.*.tier", "zone", "discover.*"]),
            Self::NoZones => Scope::Entry(&["backends.*.zone"]),
            Self::NoWeight => Scope::Entry(&["backends.*.weight", "discover.*"]),
            Self::NoStatuses => Scope::Within(&["*"]),
            Self::GrpcStatuses => Scope::Beside(&["path"]),
            Self::NoToken => Scope::Entry(&["token_file"]),
            Self::NoAdmin => Scope::Entry(&["address"]),
            Self::DnsServer
            | Self::LinkLocalDns
            | Self::ScopedDns(_)
            | Self::DnsPort(_)
            | Self::Source
            | Self::NameOfSource(_)
            | Self::AddressOfSource
            | Self::HashKey
            | Self::NoHealthPath
            | Self::HealthPath { .. }
            | Self::TooOften
            | Self::Name
            | Self::NoName
            | Self::ShortSecret
            | Self::NoLine
            | Self::NoLog
            | Self::LogByWord(_)
            | Self::AdminTwice(Some(_)) => Scope::Own,
            Self::AdminTwice(None) => Scope::All(&["admin.address"]),
        }
    }

    pub(in crate::config) fn said(&self, by: By) -> Said {
        match self {
            Self::DnsServer | Self::LinkLocalDns | Self::ScopedDns(_) | Self::DnsPort(_) => {
                self.said_of_dns()
            }
            Self::Empty => say("has no backends", "add backends = [\"HOST:PORT\"], or discover"),
            Self::Source | Self::NameOfSource(_) | Self::AddressOfSource => self.said_of_sources(),
            Self::HashKey => {
                say("not part of a request", "write client, path, header:NAME, cookie:NAME or query:NAME")
            }
            Self::NoHealthPath => say("not a path", "begin with /, for example /health"),
            Self::HealthPath { fix } => {
                say("has characters that a request cannot send as they are", format!("write {fix}"))
            }
            Self::NoStatuses => {
                say("an empty list, by which no backend would be healthy", "leave the key out for 200-299")
            }
            Self::TooOften => {
                say("too short: backends would do little but answer checks", "use at least 10ms")
            }
            Self::Name => {
                say("not a name", "use letters, digits, and ! # $ % & ' * + - . ^ _ ` | ~ between them")
            }
            Self::NoName => {
                say("cannot be a name", "use a text without control characters, for example [pools.web]")
            }
            Self::ShortSecret => {
                say("the secret in it is too short", "make one of 16 bytes or more: openssl rand -hex 32")
            }
            Self::NoLine => say(
                "no caller could send the token in it",
                "make it one line of ASCII with no blanks around it: openssl rand -hex 32",
            ),
            Self::Required(key) => say(format!("{key} is missing"), format!("add {key}")),
            Self::LogByWord(word) => say(
                "would be a file of that name",
                format!("leave it out for none, write - for standard output, or ./{word} for that file"),
            ),
            Self::NoLog => say("names no file", "name a file, or \"-\" for standard output"),
            Self::NoToken | Self::NoAdmin | Self::AdminTwice(_) => self.said_of_admin(by),
            _ => self.said_of_useless(),
        }
    }

    fn said_of_admin(&self, by: By) -> Said {
        match self {
            Self::NoToken => say(
                "others can reach this address, and nothing tells who may use the admin API",
                by.pick(
                    "add --admin-token-file FILE, or use an address of 127.0.0.1",
                    "add token_file, or use an address of 127.0.0.1",
                ),
            ),
            Self::NoAdmin => say(
                "there is no admin API",
                by.pick(
                    "add --admin with an address, for example --admin 127.0.0.1:8081, or remove this",
                    "remove it, or set address to where the admin API is to be",
                ),
            ),
            Self::AdminTwice(Some(listener)) => say(
                format!("given twice: listener {listener} has it, too"),
                "choose another one, or \"off\" for no admin API",
            ),
            _ => say(
                "given twice: it is the admin API's, which is there unless it is told otherwise",
                "choose another one, or set admin.address, for example to \"off\"",
            ),
        }
    }

    fn said_of_sources(&self) -> Said {
        let none = say("not a source of backends", "write dns:NAME:PORT, srv:NAME or file:PATH");
        match self {
            Self::NameOfSource(fault) => fault.said(none),
            Self::AddressOfSource => {
                say("an address, of which no name leads to more", "write it in backends")
            }
            _ => none,
        }
    }

    fn said_of_dns(&self) -> Said {
        match self {
            Self::LinkLocalDns => say(
                "cannot be asked for names, for its address is link-local",
                "name a server by another address, for example 127.0.0.53",
            ),
            Self::ScopedDns(bare) => say(
                "names an interface behind its %, which only a link-local address needs",
                format!("write {bare}"),
            ),
            Self::DnsPort(meant) => {
                let ip = meant.ip();
                let fix = format!("write {meant}, or [{ip}:53]:53 if it is meant as it stands");
                say("all of it is an address, which :53 is a part of", fix)
            }
            _ => say("not an address", "write ADDRESS or ADDRESS:PORT, for example 127.0.0.53"),
        }
    }

    /// What is said of keys that do nothing where they stand.
    fn said_of_useless(&self) -> Said {
        match self {
            Self::NotForPolicy { policy, fit } => {
                let fit: Vec<_> = fit.iter().map(|policy| format!("policy = \"{policy}\"")).collect();
                say(
                    format!("does nothing with the policy {policy}"),
                    format!("remove it, or set {}", fit.join(" or ")),
                )
            }
            Self::NotForFirst => say(
                "does nothing with the policy first",
                "remove it, or set another one, such as round_robin",
            ),
            Self::NoPolicy => say(
                "does nothing with the policy first, which is the usual one",
                "remove it, or set a policy, such as policy = \"round_robin\"",
            ),
            Self::NoTiers => say(
                "does nothing, for all backends are of one tier",
                "remove it, or give backups a tier, for example tier = 1",
            ),
            Self::NoZones => say(
                "does nothing, for no backend is in a zone",
                "remove it, or say where backends are, for example { address = \"HOST:PORT\", zone = \"a\" }",
            ),
            Self::NoWeight => say(
                "all weights are 0, so no backend gets a request",
                "give one a weight, for example weight = 1",
            ),
            Self::GrpcStatuses => say(
                "do nothing, for gRPC's own check goes by what is said in gRPC",
                "remove them, or check another path",
            ),
            Self::NoNames => say(
                "does nothing, for no pool asks for names",
                "remove it, or add discover = [\"dns:NAME:PORT\"] to a pool",
            ),
            _ => say("does nothing", "remove it"),
        }
    }
}
