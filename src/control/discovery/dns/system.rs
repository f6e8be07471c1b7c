//! What the system says of names, and of whom to ask for them.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, io};

use hickory_resolver::Hosts;
use hickory_resolver::config::{NameServerConfig, ResolverOpts};
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::read_system_conf;

use crate::config::{MOST_FILE_BYTES, read_file};

use super::server::Reason;

const LIST: &str = "/etc/hosts";
const WAYS: &str = "/etc/resolv.conf";

/// Tells whether files of the system are those that were read: of each its inode, length and time of change.
pub(in crate::control::discovery) type Stamp = [Option<(u64, u64, i64, i64)>; 2];

/// What the files of the system said when they were read.
pub(super) struct System {
    /// In the order of preference, at least one, or why there are none.
    pub servers: Result<Vec<NameServerConfig>, Reason>,
    pub options: ResolverOpts,
    /// Domains that a short name may be in.
    pub domains: Vec<Name>,
    /// The system's own list.
    pub list: Hosts,
    pub doubts: Vec<Doubt>,
}

/// What the files of the system say that is not gone by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Doubt {
    #[error("{LIST}: cannot be read, and names are looked for without it: {0}")]
    NoList(String),
    #[error("{WAYS}: the server of names {0} is not asked, for its address is link-local")]
    LinkLocal(IpAddr),
}

/// How the files of the system are now that say whom to ask.
pub(in crate::control::discovery) fn stamp() -> Stamp {
    [LIST, WAYS].map(|path| {
        let known = fs::metadata(path).ok()?;
        Some((known.ino(), known.size(), known.mtime(), known.mtime_nsec()))
    })
}

impl System {
    /// Reads them.
    pub(super) fn read() -> Self {
        let mut doubts = Vec::new();
        let list = list().unwrap_or_else(|error| {
            doubts.push(Doubt::NoList(error.to_string()));
            Hosts::default()
        });
        // Without anybody to ask, the list holds.
        let (config, options) = match read_system_conf() {
            Ok(read) => read,
            Err(error) => {
                let servers = Err(Reason::Nobody(format!("{WAYS}: {error}")));
                let (options, domains) = (ResolverOpts::default(), Vec::new());
                return Self { servers, options, domains, list, doubts };
            }
        };
        let (domain, search, servers) = config.into_parts();
        // `hickory` cannot say which of the machine's networks such an address is in.
        let (unreachable, servers): (Vec<_>, Vec<_>) = servers
            .into_iter()
            .partition(|server| matches!(server.ip, IpAddr::V6(ip) if ip.is_unicast_link_local()));
        doubts.extend(unreachable.into_iter().map(|server| Doubt::LinkLocal(server.ip)));
        let servers = match servers.is_empty() {
            true => Err(Reason::Nobody(format!("the addresses of all servers in {WAYS} are link-local"))),
            false => Ok(servers),
        };
        Self { servers, options, domains: domains(domain, search), list, doubts }
    }
}

/// Of the domains that the file names in its last such line, and one that an earlier line may name, or that the machine itself is
/// in: that one counts only where no others are named (resolv.conf(5)).
fn domains(domain: Option<Name>, named: Vec<Name>) -> Vec<Name> {
    if named.is_empty() { domain.into_iter().collect() } else { named }
}

/// The system's own list, which may have remarks in whatever encoding.
fn list() -> io::Result<Hosts> {
    let mut list = Hosts::default();
    match read_file(Path::new(LIST), MOST_FILE_BYTES) {
        Ok(bytes) => list.read_hosts_conf(String::from_utf8_lossy(&bytes).as_bytes())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(list)
}
