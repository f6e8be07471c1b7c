//! What is told of each backend.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use crate::backends::Backend;

/// What is told of a pool's backends of one name. A name that leads elsewhere since a reload has two for as long as the one
/// that is leaving has requests. What is counted is that of one alone: a sum would fall, which no counter may, when the other
/// is gone.
#[derive(Debug)]
pub(super) struct Series {
    pool: Arc<str>,
    backend: Arc<str>,
    pub(super) up: bool,
    pub(super) weight: u64,
    pub(super) in_flight: u64,
    pub(super) answers: [u64; 6],
    pub(super) failures: u64,
    pub(super) time: Duration,
    pub(super) timed: u64,
}

impl Series {
    /// Those that are leaving stand behind those that are wanted.
    pub(super) fn of_all(backends: &[Backend]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::with_capacity(backends.len());
        let mut known = HashMap::<_, usize>::new();
        for backend in backends {
            match known.entry((&backend.terms.pool, backend.terms.backend.url.name())) {
                Entry::Occupied(place) => all[*place.get()].in_flight += backend.load.in_flight() as u64,
                Entry::Vacant(place) => {
                    place.insert(all.len());
                    all.push(Self::of(backend));
                }
            }
        }
        all
    }

    fn of(backend: &Backend) -> Self {
        let (wanted, score) = (!backend.leaving, backend.load.score());
        Self {
            pool: Arc::clone(&backend.terms.pool),
            backend: Arc::clone(backend.terms.backend.url.name()),
            up: wanted && backend.is_usable(),
            weight: if wanted { backend.weight().into() } else { 0 },
            in_flight: backend.load.in_flight() as u64,
            answers: score.answers(),
            failures: score.failures(),
            time: score.time(),
            timed: score.timed(),
        }
    }

    pub(super) fn labels(&self) -> [(&str, &str); 2] {
        [("pool", &self.pool), ("backend", &self.backend)]
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Instant;

    use crate::backends::{Load, Registry, Terms};
    use crate::config;

    use super::*;

    #[test]
    fn no_count_falls_when_one_of_the_same_name_is_gone() {
        let registry = Registry::isolated();
        let url = config::BackendUrl::from(SocketAddr::from(([127, 0, 0, 1], 1)));
        let second = Duration::from_secs(1);
        let check = config::Checks { interval: second, timeout: second, ..config::Checks::usual("/") };
        let backend = config::Backend::at(url.clone());
        let terms = Terms { pool: "pool".into(), backend, check: Arc::new(check), told_apart_by: [].into() };
        registry.replace(vec![(terms, Arc::new(url.into()))]);
        let wanted = registry.backends().remove(0);
        let mut leaving = wanted.clone();
        (leaving.leaving, leaving.load) = (true, Arc::new(Load::new(Instant::now())));
        leaving.load.begin();
        [&leaving, &leaving, &wanted].iter().for_each(|backend| backend.load.score().answered(200));
        leaving.load.score().failed();

        let told = |backends: &[Backend]| {
            let [series] = &Series::of_all(backends)[..] else { panic!("a name is told once") };
            (series.in_flight, series.answers[2], series.failures)
        };
        assert_eq!(told(&[wanted.clone(), leaving.clone()]), (1, 1, 0));
        assert_eq!(told(&[wanted]), (0, 1, 0));
        assert_eq!(told(&[leaving]), (1, 2, 1));
    }
}
