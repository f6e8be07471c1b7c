//! Routes that keep the same clients by one cookie, and each undo what the other did.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::config::{
    Action, Condition, Draft, HostMatch, ListenerId, Match, Networks, Part, Pool, Route, Split,
};

use super::conflict::Conflict;
use super::relation::each;

/// A route that keeps clients by a cookie.
struct Keeper<'d> {
    route: &'d Route,
    at: Kept,
}

/// Where clients are kept.
enum Kept {
    /// At one of these pools.
    Pools(BTreeSet<usize>),
    /// At a backend of a pool.
    Backend,
}

/// What a route asks for that is the same of all requests of a client.
#[derive(PartialEq, Eq, Hash)]
struct OfClients<'d> {
    conditions: Vec<&'d Condition>,
    clients: Option<&'d Networks<()>>,
    listeners: &'d [ListenerId],
}

/// Those that the same clients come to, by their places.
#[derive(Default)]
struct Group<'k> {
    /// The first for each set of pools.
    pools: IndexMap<&'k BTreeSet<usize>, usize>,
    /// Pools that are in all of these sets: who has one of them has one of each.
    common: BTreeSet<usize>,
    /// The first that keeps clients at a backend.
    backend: Option<usize>,
}

/// Routes that surely undo what another one did: clients come to both, for nothing but their paths, methods and queries tells
/// the two apart. A cookie goes to its own host alone.
pub(super) fn find_undone(draft: &Draft) -> Vec<Conflict> {
    let mut keepers: BTreeMap<&str, Vec<Keeper<'_>>> = BTreeMap::new();
    for route in &draft.routes {
        let Action::Forward(split) = &route.action else { continue };
        if let Some(cookie) = &split.cookie {
            let shares = split.shares.iter().filter(|share| share.weight > 0);
            let at = Kept::Pools(shares.map(|share| share.pool).collect());
            keepers.entry(cookie).or_default().push(Keeper { route, at });
        }
        for cookie in of_backends(split, &draft.pools) {
            keepers.entry(cookie).or_default().push(Keeper { route, at: Kept::Backend });
        }
    }
    let mut conflicts = Vec::new();
    for (cookie, keepers) in keepers {
        for both in undone(&keepers) {
            let [earlier, later] = both.map(|place| &keepers[place]);
            conflicts.push(Conflict::Cookie {
                first: Arc::clone(&earlier.route.name),
                second: Arc::clone(&later.route.name),
                cookie: cookie.into(),
                is_of_backends: [&earlier.at, &later.at].iter().any(|at| matches!(at, Kept::Backend)),
            });
        }
    }
    conflicts
}

/// Cookies that keep a route's clients at backends. Among those with tags each pool has one of another name.
fn of_backends<'d>(split: &Split, pools: &'d [Option<Pool>]) -> impl Iterator<Item = &'d str> {
    let shares = split.shares.iter().filter(|share| share.weight > 0 && split.tags.is_empty());
    shares.filter_map(|share| Some(&*pools[share.pool].as_ref()?.balancing.sticky.as_ref()?.cookie))
}

/// Each that undoes what an earlier one did, behind the first of those. That two pools keep clients at backends is not looked at.
#[expect(clippy::mutable_key_type, reason = "an expression is known by its text")]
fn undone(keepers: &[Keeper<'_>]) -> Vec<[usize; 2]> {
    // There may be thousands, most of which have nothing to do with each other.
    let mut all: HashMap<OfClients<'_>, HashMap<Option<&HostMatch>, Group<'_>>> = HashMap::new();
    let mut undone = Vec::new();
    for (place, later) in keepers.iter().enumerate() {
        let groups = all.entry(OfClients::of(&later.route.when)).or_default();
        // Of one that is for more hosts than the other, it may be that none is left for it where the other holds.
        let earlier = each(&later.route.when.hosts).into_iter().filter_map(|host| {
            let group = groups.entry(host).or_default();
            let earlier = group.first_undone_by(&later.at);
            group.add(&later.at, place);
            earlier
        });
        // Those of one route follow on each other: none of another one stands behind the first of its own.
        let of_another = earlier.filter(|place| keepers[*place].route.name != later.route.name);
        undone.extend(of_another.min().map(|earlier| [earlier, place]));
    }
    undone
}

impl<'d> OfClients<'d> {
    /// Without what may change from one request of a client to its next.
    fn of(when: &'d Match) -> Self {
        let Match { priority: _, hosts: _, paths: _, methods: _, conditions, clients, listeners } = when;
        let of_client = |condition: &&Condition| !matches!(condition.part, Part::Query(_));
        let conditions = conditions.iter().filter(of_client).collect();
        Self { conditions, clients: clients.as_ref(), listeners }
    }
}

impl<'k> Group<'k> {
    /// The first that sets what means nothing where clients are kept so, or the other way round.
    fn first_undone_by(&self, at: &Kept) -> Option<usize> {
        match at {
            Kept::Backend => self.pools.values().copied().next(),
            Kept::Pools(own) if own.is_disjoint(&self.common) => {
                let apart = self.pools.iter().find(|(pools, _)| pools.is_disjoint(own));
                apart.map(|(_, place)| *place).into_iter().chain(self.backend).min()
            }
            Kept::Pools(_) => self.backend,
        }
    }

    fn add(&mut self, at: &'k Kept, place: usize) {
        match at {
            Kept::Backend => {
                self.backend.get_or_insert(place);
            }
            Kept::Pools(own) => {
                match self.pools.is_empty() {
                    true => self.common.clone_from(own),
                    false => self.common.retain(|pool| own.contains(pool)),
                }
                self.pools.entry(own).or_insert(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    use crate::config::Test;

    use super::*;

    /// As [`undone`], but each is compared with each.
    fn plainly_undone(keepers: &[Keeper<'_>]) -> Vec<[usize; 2]> {
        let behind_first = |later: usize| {
            let first = (0..later).find(|earlier| undo_each_other(&keepers[*earlier], &keepers[later]))?;
            Some([first, later])
        };
        (0..keepers.len()).filter_map(behind_first).collect()
    }

    fn undo_each_other(one: &Keeper<'_>, other: &Keeper<'_>) -> bool {
        let means_nothing = match (&one.at, &other.at) {
            (Kept::Pools(own), Kept::Pools(others)) => own.is_disjoint(others),
            (Kept::Backend, Kept::Backend) => false,
            (Kept::Pools(_), Kept::Backend) | (Kept::Backend, Kept::Pools(_)) => true,
        };
        let (of, of_other) = (&one.route.when, &other.route.when);
        let have_common_host = match (&of.hosts[..], &of_other.hosts[..]) {
            ([], []) => true,
            (hosts, others) => hosts.iter().any(|host| others.contains(host)),
        };
        means_nothing
            && one.route.name != other.route.name
            && have_common_host
            && OfClients::of(of) == OfClients::of(of_other)
    }

    /// Which requests a route is for, and the pools and the number of backends that it keeps clients at.
    fn any_route() -> impl Strategy<Value = (Match, Option<BTreeSet<usize>>, usize)> {
        let host = select(vec![
            HostMatch::Exact("a".into()),
            HostMatch::Exact("b".into()),
            HostMatch::Under(".c".into()),
        ]);
        let part = select(vec![Part::Query("q".into()), Part::Cookie("c".into())]);
        let condition = part.prop_map(|part| Condition { part, test: Test::Present });
        let when = (vec(host, 0..3), vec(condition, 0..3)).prop_map(|(hosts, conditions)| Match {
            hosts,
            conditions,
            ..Match::default()
        });
        (when, option::weighted(0.8, btree_set(0_usize..4, 0..4)), 0_usize..3)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn in_groups_as_many_undo_each_other_as_where_each_is_compared_with_each(all in vec(any_route(), 1..12)) {
            let route = |(place, (when, _, _)): (usize, &(Match, _, _))| {
                Route { when: when.clone(), ..Route::to_first_pool(&format!("r{place}")) }
            };
            let routes: Vec<_> = all.iter().enumerate().map(route).collect();
            let mut keepers = Vec::new();
            for (route, (_, pools, backends)) in routes.iter().zip(all) {
                let at_pools = pools.into_iter().map(Kept::Pools);
                let at = at_pools.chain((0..backends).map(|_| Kept::Backend));
                keepers.extend(at.map(|at| Keeper { route, at }));
            }
            prop_assert_eq!(undone(&keepers), plainly_undone(&keepers));
        }
    }
}
