//! Networks as operators write them, and which of them an address belongs to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::AccessFault;

/// What is said of networks. Of those that hold an address, the most specific one counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Networks<T> {
    v4: Vec<Level<T>>,
    v6: Vec<Level<T>>,
}

/// All networks of one size, in order, so that one of them is found by halving.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Level<T> {
    bits: u8,
    mask: u128,
    networks: Vec<(u128, T)>,
}

impl Networks<()> {
    /// All addresses.
    pub fn all() -> Self {
        Self::of([IpNet::from(Ipv4Net::default()), IpNet::from(Ipv6Net::default())].map(|all| (all, ())))
    }

    /// What is in any of these.
    pub fn joined<'n>(some: impl IntoIterator<Item = &'n Self>) -> Self {
        Self::of(some.into_iter().flat_map(Self::all_of_them).map(|network| (network, ())))
    }
}

impl<T: Copy> Networks<T> {
    /// What is said of each network. Of one that comes twice, one is kept.
    pub fn of(said: impl IntoIterator<Item = (IpNet, T)>) -> Self {
        let mut all = Self { v4: Vec::new(), v6: Vec::new() };
        for (network, what) in said {
            let (levels, width) = match network {
                IpNet::V4(_) => (&mut all.v4, 32),
                IpNet::V6(_) => (&mut all.v6, 128),
            };
            let bits = network.prefix_len();
            // The first bits of an address are the highest: the rest is cut off.
            let mask = u128::MAX.checked_shl(width - u32::from(bits)).unwrap_or(0);
            let place = levels.partition_point(|level| level.bits > bits);
            if levels.get(place).is_none_or(|level| level.bits != bits) {
                levels.insert(place, Level { bits, mask, networks: Vec::new() });
            }
            levels[place].networks.push((number(network.network()), what));
        }
        for level in all.v4.iter_mut().chain(&mut all.v6) {
            level.networks.sort_unstable_by_key(|(network, _)| *network);
            level.networks.dedup_by_key(|(network, _)| *network);
        }
        all
    }

    /// What is said of the most specific network that holds an address. One that is IPv4 written as IPv6 is IPv4.
    pub fn find(&self, address: IpAddr) -> Option<T> {
        let address = address.to_canonical();
        let levels = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        levels.iter().find_map(|level| level.find(number(address)).copied())
    }

    /// Whether an address is in any of them.
    pub fn hold(&self, address: IpAddr) -> bool {
        self.find(address).is_some()
    }

    /// Whether all addresses of others are in these.
    pub fn cover<U: Copy>(&self, others: &Networks<U>) -> bool {
        // Several may make up one that is as large as all of them.
        self.have_around_each(others)
            || self.all_of_them().nth(1).is_some() && {
                let own = IpNet::aggregate(&self.all_of_them().collect());
                Networks::of(own.into_iter().map(|network| (network, ()))).have_around_each(others)
            }
    }

    /// Whether an address is in both.
    pub fn meet<U: Copy>(&self, others: &Networks<U>) -> bool {
        let is_in_other = numbers(&self.v4).any(|own| is_within(&others.v4, own))
            || numbers(&self.v6).any(|own| is_within(&others.v6, own));
        is_in_other
            || numbers(&others.v4).any(|other| is_within(&self.v4, other))
            || numbers(&others.v6).any(|other| is_within(&self.v6, other))
    }

    /// Whether each of the others is in one of these.
    fn have_around_each<U>(&self, others: &Networks<U>) -> bool {
        numbers(&others.v4).all(|other| is_within(&self.v4, other))
            && numbers(&others.v6).all(|other| is_within(&self.v6, other))
    }

    /// The bits in which addresses of the largest network differ.
    pub fn width(&self) -> u8 {
        self.all_of_them().map(|network| network.max_prefix_len() - network.prefix_len()).max().unwrap_or(0)
    }

    fn all_of_them(&self) -> impl Iterator<Item = IpNet> {
        let ipv4 =
            numbers(&self.v4).map(|(network, bits)| (Ipv4Addr::from_bits(network as u32).into(), bits));
        let ipv6 = numbers(&self.v6).map(|(network, bits)| (Ipv6Addr::from_bits(network).into(), bits));
        let network = |(address, bits): (IpAddr, u8)| IpNet::new(address, bits);
        ipv4.chain(ipv6)
            .map(network)
            .map(|network| network.expect("a level has as many bits as its addresses"))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl<T> Level<T> {
    /// What is said of the one that holds an address.
    fn find(&self, address: u128) -> Option<&T> {
        let wanted = address & self.mask;
        let place = self.networks.binary_search_by_key(&wanted, |(network, _)| *network).ok()?;
        Some(&self.networks[place].1)
    }
}

/// Whether one of these holds all of a network, given with its bits.
fn is_within<T>(levels: &[Level<T>], (network, bits): (u128, u8)) -> bool {
    levels.iter().any(|level| level.bits <= bits && level.find(network).is_some())
}

/// Each network with its bits.
fn numbers<T>(levels: &[Level<T>]) -> impl Iterator<Item = (u128, u8)> {
    levels.iter().flat_map(|level| level.networks.iter().map(|(network, _)| (*network, level.bits)))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Parses `10.0.0.0/8`, `::1` and the like. A network whose address has bits beyond its size is refused: it may be
/// meant as the one address or as the whole network.
pub(in crate::config) fn parse_network(text: &str) -> Result<IpNet, AccessFault> {
    if text.contains(char::is_whitespace) {
        return Err(AccessFault::Blank);
    }
    let network: IpNet = match text.parse::<IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => text.parse().map_err(|_| AccessFault::Network)?,
    };
    if network.trunc() != network {
        return Err(AccessFault::HostBits { network: canonical(network.trunc()), address: network.addr() });
    }
    Ok(canonical(network))
}

/// IPv4 addresses that are written as IPv6 are IPv4 (RFC 4291 section 2.5.5.2).
fn canonical(network: IpNet) -> IpNet {
    match (network.addr().to_canonical(), network.prefix_len()) {
        (IpAddr::V4(address), bits @ 96..) if matches!(network, IpNet::V6(_)) => {
            Ipv4Net::new(address, bits - 96).map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> IpNet {
        parse_network(text).expect("a network")
    }

    #[test]
    fn a_network_is_an_address_alone_or_with_its_number_of_bits() {
        for (text, means) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.1", "10.0.0.1/32"),
            ("::1", "::1/128"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(network(text).to_string(), means, "{text}");
        }
        for text in ["", "10", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "localhost"] {
            assert_eq!(parse_network(text), Err(AccessFault::Network), "{text}");
        }
        for text in ["10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0.0 /8"] {
            assert_eq!(parse_network(text), Err(AccessFault::Blank), "{text}");
        }
    }

    #[test]
    fn a_network_with_bits_to_spare_is_refused_and_both_that_may_be_meant_are_named() {
        for (text, meant, address) in
            [("10.0.0.1/8", "10.0.0.0/8", "10.0.0.1"), ("2001:db8::1/32", "2001:db8::/32", "2001:db8::1")]
        {
            let address = address.parse().expect("an address");
            assert_eq!(parse_network(text), Err(AccessFault::HostBits { network: network(meant), address }));
        }
    }

    #[test]
    fn the_most_specific_network_counts_and_the_two_kinds_of_addresses_are_apart() {
        let said =
            [("0.0.0.0/0", 1), ("10.0.0.0/8", 2), ("10.1.0.0/16", 3), ("10.1.2.3", 4), ("2001:db8::/32", 5)];
        let networks = Networks::of(said.map(|(text, what)| (network(text), what)));
        let of = |text: &str| networks.find(text.parse().expect("an address"));
        assert_eq!(of("192.0.2.1"), Some(1));
        assert_eq!(of("10.2.3.4"), Some(2));
        assert_eq!(of("10.1.3.4"), Some(3));
        assert_eq!((of("10.1.2.3"), of("::ffff:10.1.2.3")), (Some(4), Some(4)));
        assert_eq!((of("2001:db8::1"), of("2001:db9::1")), (Some(5), None));
        assert_eq!(Networks::of([(network("::/0"), 1)]).find([192, 0, 2, 1].into()), None);
    }

    /// Networks of which some are likely to hold others, or to be halves of one.
    fn any_few() -> impl Strategy<Value = Vec<IpNet>> {
        let any_one = (any::<bool>(), 0_u8..4, 0_u8..=3).prop_map(|(is_ipv4, address, bits)| {
            let network = match is_ipv4 {
                true => IpNet::new([address << 6, 0, 0, 0].into(), bits),
                false => IpNet::new([u16::from(address) << 14, 0, 0, 0, 0, 0, 0, 0].into(), bits),
            };
            network.expect("not too many bits").trunc()
        });
        proptest::collection::vec(any_one, 0..6)
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_look_at_each_network_would_find(
            said in proptest::collection::vec((any::<u32>(), 0_u8..=32), 0..20),
            address: u32,
        ) {
            let said: Vec<_> = said.into_iter().map(|(bits, length)| {
                // Near the address, or hardly any network would hold it.
                let near = address ^ (bits >> length.min(31));
                IpNet::V4(Ipv4Net::new(near.into(), length).expect("a length").trunc())
            }).collect();
            let address = IpAddr::V4(address.into());
            let holding = said.iter().filter(|network| network.contains(&address));
            let expected = holding.max_by_key(|network| network.prefix_len()).map(IpNet::prefix_len);
            let networks = Networks::of(said.iter().map(|network| (*network, network.prefix_len())));
            prop_assert_eq!(networks.find(address), expected);
        }

        #[test]
        fn how_two_relate_is_how_each_network_of_one_does_to_each_of_the_other(some in any_few(), others in any_few()) {
            let networks = |all: &[IpNet]| Networks::of(all.iter().map(|network| (*network, ())));
            let (one, other) = (networks(&some), networks(&others));
            let meets = |own: &IpNet| others.iter().any(|other| own.contains(other) || other.contains(own));
            prop_assert_eq!(one.meet(&other), some.iter().any(meets));
            let own = IpNet::aggregate(&some);
            let is_within = |other: &IpNet| own.iter().any(|own| own.contains(other));
            prop_assert_eq!(one.cover(&other), others.iter().all(is_within));
        }
    }
}
