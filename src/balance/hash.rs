//! Hashes that are the same in each run, on each machine: what they decide must not change when a balancer is restarted or
//! has a twin.

/// Makes the hash that a key's level is found by independent of the one its backend is found by.
pub(super) const LEVEL: u64 = 0x6c65_7665_6c00_0000;

/// The hash of these bytes: FNV-1a, mixed.
pub fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Spreads what is in some bits over all of them (the finaliser of SplitMix64). One to one.
pub(super) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The `n`th hash of a key; the 0th is its own.
pub(super) fn nth(key: u64, n: u64) -> u64 {
    if n == 0 { key } else { mix(key.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_never_change() {
        assert_eq!(hash(b""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(hash(b"127.0.0.1:3000"), 0x29b7_d76c_ece2_2347);
        assert_eq!(nth(7, 3), 0xe698_4080_bab1_2a02);
    }
}
