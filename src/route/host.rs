//! Routes by host: this one, all under one, any.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use crate::config::HostMatch;

use super::path::{Path, Paths};
use super::search::{Leaf, Map, Search};

/// For each host that routes name, the paths there.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: Map<Paths>,
    under: Map<Paths>,
    /// Bytes of the longest that hosts can be under: no stranger's host is looked at for longer ones.
    longest: usize,
    /// The highest priority of all under names.
    highest_under: Option<i32>,
    any: Paths,
}

impl Hosts {
    /// Where routes for a host and a path are kept; no host is any. They are added in their order.
    pub(super) fn leaf_mut(&mut self, host: Option<&HostMatch>, path: &Path, priority: i32) -> &mut Leaf {
        let paths = match host {
            Some(HostMatch::Exact(name)) => self.exact.entry(name.as_ref().into()).or_default(),
            Some(HostMatch::Under(suffix)) => {
                self.longest = self.longest.max(suffix.len());
                self.highest_under = self.highest_under.max(Some(priority));
                self.under.entry(suffix.as_ref().into()).or_default()
            }
            None => &mut self.any,
        };
        paths.leaf_mut(path, priority)
    }

    /// Looks for a path of a host, as [`plain`] writes it: at this one, then at those that it is under, the longest first,
    /// and at last at any.
    pub(super) fn search<'r>(&'r self, host: &str, path: &str, search: &mut Search<'r, '_>) {
        if let Some(paths) = self.exact.get(host) {
            paths.search(path, search);
        }
        for suffix in self.suffixes(host) {
            if search.is_beyond(self.highest_under) {
                break;
            }
            if let Some(paths) = self.under.get(suffix) {
                paths.search(path, search);
            }
        }
        self.any.search(path, search);
    }

    /// The paths of all hosts that hold whenever this one does, itself among them.
    pub(super) fn covering(&self, host: Option<&HostMatch>) -> impl Iterator<Item = &Paths> {
        let (exact, name) = match host {
            Some(HostMatch::Exact(name)) => (self.exact.get(&**name), &**name),
            Some(HostMatch::Under(suffix)) => (self.under.get(&**suffix), &**suffix),
            None => (None, ""),
        };
        let wider = self.suffixes(name).filter_map(|suffix| self.under.get(suffix));
        exact.into_iter().chain(wider).chain([&self.any])
    }

    /// What a host is under, the longest first, as far as routes know hosts under names as long.
    fn suffixes<'h>(&self, host: &'h str) -> impl Iterator<Item = &'h str> {
        // One label or more stands before it.
        let first = host.len().saturating_sub(self.longest).max(1);
        let dots = host.bytes().enumerate().skip(first).filter(|(_, byte)| *byte == b'.');
        dots.map(|(place, _)| &host[place..])
    }
}

/// A host in lower case, without its port and the dot of the root; an address of IPv6 in one form, however it came. Of a name
/// that is plain already, nothing is copied.
pub(super) fn plain(host: &str) -> Cow<'_, str> {
    // All bytes are looked at, which costs less than to ask behind each whether it was the last.
    let odd = host.bytes().fold(false, |odd, byte| odd | IS_ODD[usize::from(byte)]);
    if odd || host.ends_with('.') { made_plain(host) } else { Cow::Borrowed(host) }
}

fn made_plain(host: &str) -> Cow<'_, str> {
    let address = host.strip_prefix('[').and_then(|rest| rest.split(']').next());
    if let Some(address) = address.and_then(|address| address.parse::<Ipv6Addr>().ok()) {
        return Cow::Owned(format!("[{address}]"));
    }
    let start = if host.starts_with('[') { host.find(']').unwrap_or_default() } else { 0 };
    let name = host[start..].find(':').map_or(host, |colon| &host[..start + colon]);
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

/// For each byte, whether what has it may not be plain.
const IS_ODD: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        bytes[byte] = byte as u8 == b':' || (byte as u8).is_ascii_uppercase();
        byte += 1;
    }
    bytes
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_its_name_alone() {
        for (host, name) in [
            ("example.com", "example.com"),
            ("Example.COM:8080", "example.com"),
            ("example.com.", "example.com"),
            ("example.com.:80", "example.com"),
            ("example.com:", "example.com"),
            ("[::1]", "[::1]"),
            ("[::FFFF:1]:443", "[::ffff:1]"),
            ("[2001:db8:0:0:0::7]:80", "[2001:db8::7]"),
            ("[::ffff:c000:201]", "[::ffff:192.0.2.1]"),
            ("10.0.0.1:80", "10.0.0.1"),
        ] {
            assert_eq!(plain(host), name, "{host}");
        }
        assert!(matches!(plain("example.com:80"), Cow::Borrowed(_)));
    }
}
