//! What settings that were read before have led to: where names lead, for servers of names turn their answers round and a backend
//! is known by its address, and which access log is open.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::address::Address;
use crate::config::facts::Config;
use crate::telemetry::access_log::Destination;

/// What is known of settings that were read before.
#[derive(Debug, Default)]
pub(in crate::config) struct Known {
    /// By each name, where it led in which pool.
    led: HashMap<Arc<str>, Vec<(Arc<str>, SocketAddr)>>,
    log: Option<Destination>,
}

impl Known {
    /// By these settings; those of the first, which are in force, count most.
    pub(in crate::config) fn by<'a>(settings: impl IntoIterator<Item = &'a Config>) -> Self {
        let mut settings = settings.into_iter().peekable();
        let log = settings.peek().and_then(|config| config.access_log.clone());
        let mut known = Self { log, ..Self::default() };
        for pool in settings.flat_map(|config| &config.pools) {
            let named = pool.backends.iter().filter(|backend| backend.url.host().parse::<IpAddr>().is_err());
            for (url, address) in named.filter_map(|backend| Some((&backend.url, backend.url.address.ip()?)))
            {
                let led = known.led.entry(Arc::clone(url.name())).or_default();
                led.push((Arc::clone(&pool.name), address));
            }
        }
        known
    }

    /// Where this name led in a pool, or else in another one, if that is nowhere of these.
    pub(super) fn address(&self, pool: &str, name: &str, taken: &HashSet<Address>) -> Option<SocketAddr> {
        let led = self.led.get(name)?.iter().filter(|(_, address)| !taken.contains(&Address::from(*address)));
        led.min_by_key(|(known, _)| **known != *pool).map(|(_, address)| *address)
    }

    /// Whether the access log is open already.
    pub(super) fn has_open(&self, log: &Destination) -> bool {
        self.log.as_ref() == Some(log)
    }
}

#[cfg(test)]
mod tests {
    use std::net::ToSocketAddrs;

    use super::*;
    use crate::config::flags::Flags;
    use crate::config::{Format, Sources};

    fn known(led: &[(&str, SocketAddr)]) -> Known {
        let led = led.iter().map(|(pool, address)| ((*pool).into(), *address)).collect();
        Known { led: HashMap::from([("localhost:1".into(), led)]), log: None }
    }

    fn sources() -> Sources {
        Sources::new(Flags::read(["loadbalancer".into()]).expect("no flags are flags"), 4096)
    }

    /// Where the pool `a` has its backends.
    fn addresses(sources: &Sources, backends: &str) -> Vec<SocketAddr> {
        let text = format!("[listeners.web]\naddress = \"127.0.0.1:0\"\n[pools.a]\nbackends = {backends}\n");
        let loaded = sources.read(text.as_bytes(), Format::Toml).expect("nothing is wrong");
        loaded.config.pools[0].backends.iter().filter_map(|backend| backend.url.address.ip()).collect()
    }

    #[test]
    fn of_the_addresses_of_a_name_the_one_counts_that_its_pool_has_and_that_is_not_taken() {
        let [one, two, other] = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"].map(|text| text.parse().unwrap());
        let known = known(&[("b", other), ("a", one), ("a", two)]);
        let find = |pool, taken: &[SocketAddr]| {
            known.address(pool, "localhost:1", &taken.iter().map(|address| Address::from(*address)).collect())
        };
        assert_eq!(find("a", &[]), Some(one));
        assert_eq!(find("a", &[one]), Some(two));
        assert_eq!(find("c", &[]), Some(other));
        assert_eq!(find("a", &[one, two, other]), None);
        assert_eq!(known.address("a", "other:1", &HashSet::new()), None);
    }

    #[test]
    fn settings_that_are_read_again_lead_where_those_in_force_do_as_long_as_their_names_may() {
        let mut sources = sources();
        let backends = "[\"localhost:1\"]";
        let first = addresses(&sources, backends);
        for address in "localhost:1".to_socket_addrs().expect("each machine has it") {
            sources.known = known(&[("a", address)]).into();
            assert_eq!(addresses(&sources, backends), [address]);
        }
        sources.known = known(&[("a", ([127, 0, 0, 9], 1).into())]).into();
        assert_eq!(addresses(&sources, backends), first);
    }

    #[test]
    fn of_settings_in_force_only_what_names_lead_to_is_remembered() {
        let sources = sources();
        let text = "[listeners.web]\naddress = \"127.0.0.1:0\"\n[pools.a]\n\
                    backends = [\"127.0.0.1:1\", \"[::1]:1\", \"unix:/run/a\", \"https://localhost:2\"]\n";
        let loaded = sources.read(text.as_bytes(), Format::Toml).expect("nothing is wrong");
        let again = sources.knowing([&loaded.config]);
        assert_eq!(again.known.led.keys().map(|name| &**name).collect::<Vec<_>>(), ["https://localhost:2"]);
        assert_eq!(again.known.led["https://localhost:2"][0].1.port(), 2);
    }
}
