//! Draws at random, in constant time (Vose's alias method).

/// Draws one of some places, each as likely as its weight says.
#[derive(Debug)]
pub(super) struct Draw {
    count: usize,
    /// For each place, which part of what falls on it (of 2^32) is its own, and whose the rest is. Empty if the weights
    /// are equal.
    places: Vec<(u32, u32)>,
}

impl Draw {
    /// Of places with these weights, none of which is 0.
    pub(super) fn new(weights: &[u32]) -> Self {
        let count = weights.len();
        if weights.iter().all(|weight| *weight == weights[0]) {
            return Self { count, places: Vec::new() };
        }
        let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        // In units in which the average is `total`.
        let mut left: Vec<_> = weights.iter().map(|weight| u128::from(*weight) * count as u128).collect();
        let mut places = vec![(u32::MAX, 0); count];
        let (mut small, mut large): (Vec<_>, Vec<_>) = (0..count).partition(|place| left[*place] < total);
        while let (Some(poor), Some(rich)) = (small.pop(), large.last().copied()) {
            let own = (left[poor] << 32) / total;
            places[poor] = (narrow(own), narrow(rich as u128));
            left[rich] -= total - left[poor];
            if left[rich] < total {
                large.pop();
                small.push(rich);
            }
        }
        // Who is left has its place to itself, but for a part that is too small for a draw to see.
        for place in small.into_iter().chain(large) {
            places[place] = (u32::MAX, narrow(place as u128));
        }
        Self { count, places }
    }

    /// The place that a random number of 64 bits means.
    pub(super) fn at(&self, random: u64) -> usize {
        let count = self.count as u64;
        let place = usize::try_from(((random >> 32) * count) >> 32).expect("it is below the count");
        match self.places.get(place) {
            Some((own, other)) if (random & 0xffff_ffff) >= u64::from(*own) => *other as usize,
            _ => place,
        }
    }
}

fn narrow(number: u128) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
