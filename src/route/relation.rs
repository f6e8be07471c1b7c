//! How the requests that rules hold for relate. What cannot be known, as of two regular expressions, is not said.

use hyper::Method;

use crate::config::{Condition, ListenerId, Networks, Test};

use super::rule::Rule;

/// Whether one holds whenever the other does.
pub(super) fn covers(wide: &Rule, narrow: &Rule) -> bool {
    asks_no_more(wide, narrow) && covers_aside(wide, narrow)
}

/// Whether the conditions of one hold whenever those of the other do.
pub(super) fn asks_no_more(wide: &Rule, narrow: &Rule) -> bool {
    let follows = |wanted: &Condition| narrow.conditions.iter().any(|known| implies(known, wanted));
    wide.conditions.iter().all(follows)
}

/// The condition of one, whether a part is there or absent, without which it would [cover](covers) the other; none if it lacks
/// more than that.
pub(super) fn lacks_only<'r>(wide: &'r Rule, narrow: &Rule) -> Option<&'r Condition> {
    let follows = |wanted: &Condition| narrow.conditions.iter().any(|known| implies(known, wanted));
    let mut lacking = wide.conditions.iter().filter(|wanted| !follows(wanted));
    let (Some(only), None) = (lacking.next(), lacking.next()) else { return None };
    let is_half = matches!(only.test, Test::Present | Test::Absent);
    (is_half && covers_aside(wide, narrow)).then_some(only)
}

/// Whether for each method, listener and client of one there is one of the others, all of which [ask no more](asks_no_more).
pub(super) fn cover_together(others: &[&Rule], narrow: &Rule) -> bool {
    let all = Networks::all();
    let clients = narrow.clients.as_ref().unwrap_or(&all);
    let covers = |method: Option<&Method>, listener: Option<&ListenerId>| {
        let takes = |other: &&&Rule| is_among(&other.methods, method) && is_among(&other.listeners, listener);
        let own: Option<Vec<_>> = others.iter().filter(takes).map(|other| other.clients.as_ref()).collect();
        // One that is for any client is enough.
        own.is_none_or(|own| Networks::joined(own).cover(clients))
    };
    let (methods, listeners) = (each(&narrow.methods), each(&narrow.listeners));
    methods.iter().all(|method| listeners.iter().all(|listener| covers(*method, *listener)))
}

/// Whether one of many is among them, of which none means any.
fn is_among<T: PartialEq>(all: &[T], one: Option<&T>) -> bool {
    all.is_empty() || one.is_some_and(|one| all.contains(one))
}

/// All of these; none means any.
pub(super) fn each<T>(all: &[T]) -> Vec<Option<&T>> {
    if all.is_empty() { vec![None] } else { all.iter().map(Some).collect() }
}

/// Whether no client is in the networks of both, or comes to the listeners of both: what two rules with many networks each are
/// told apart by at once.
pub(super) fn are_apart(one: &Rule, other: &Rule) -> bool {
    let are_other_clients = match (&one.clients, &other.clients) {
        (Some(one), Some(other)) => !one.meet(other),
        _ => false,
    };
    are_other_clients || !share_one(&one.listeners, &other.listeners)
}

/// Whether one asks for a value of a part of which the other asks for another one alone. Then it is not one that [asks no
/// more](asks_no_more), nor one that [lacks only](lacks_only) a half of that, and the two do not [meet](meet).
pub(super) fn asks_for_another_value(one: &Rule, other: &Rule) -> bool {
    let is_value = |condition: &&Condition| matches!(condition.test, Test::Is(_));
    one.conditions.iter().filter(is_value).any(|wanted| {
        let mut known = other.conditions.iter().filter(|known| known.part == wanted.part).filter(is_value);
        known.any(|known| known.test != wanted.test) && !other.conditions.contains(wanted)
    })
}

/// Whether some are among both, of which none means any.
fn share_one<T: PartialEq>(some: &[T], others: &[T]) -> bool {
    some.is_empty() || others.is_empty() || some.iter().any(|one| others.contains(one))
}

/// Whether a request is known for which both hold, each part of which has one value at most.
pub(super) fn meet(one: &Rule, other: &Rule) -> bool {
    let may_meet =
        |one: &Condition| other.conditions.iter().all(|other| one.part != other.part || agree(one, other));
    share_one(&one.methods, &other.methods) && !are_apart(one, other) && one.conditions.iter().all(may_meet)
}

/// Whether a rule holds for no request.
pub(super) fn is_impossible(rule: &Rule) -> bool {
    let is_absent = |condition: &Condition| condition.test == Test::Absent;
    let contradicts = |condition: &Condition| {
        is_absent(condition)
            && rule.conditions.iter().any(|other| other.part == condition.part && !is_absent(other))
    };
    rule.conditions.iter().any(contradicts) || rule.clients.as_ref().is_some_and(Networks::is_empty)
}

/// Whether one holds whenever the other does, but for their conditions.
fn covers_aside(wide: &Rule, narrow: &Rule) -> bool {
    let clients = match (&wide.clients, &narrow.clients) {
        (None, _) => true,
        (Some(wide), Some(narrow)) => wide.cover(narrow),
        (Some(wide), None) => wide.cover(&Networks::all()),
    };
    clients && are_among(&wide.methods, &narrow.methods) && are_among(&wide.listeners, &narrow.listeners)
}

/// Whether all of some are among others, of which none means any.
fn are_among<T: PartialEq>(others: &[T], some: &[T]) -> bool {
    others.is_empty() || !some.is_empty() && some.iter().all(|one| others.contains(one))
}

/// Whether a condition cannot hold without the other. A part may have several values, and one that passes is enough.
fn implies(known: &Condition, wanted: &Condition) -> bool {
    known.part == wanted.part
        && match (&known.test, &wanted.test) {
            (Test::Is(_) | Test::Matches(_), Test::Present) => true,
            (Test::Is(text), Test::Matches(pattern)) => pattern.matches(text),
            (known, wanted) => known == wanted,
        }
}

/// Whether a value is known that passes both of these, of one part.
fn agree(one: &Condition, other: &Condition) -> bool {
    match (&one.test, &other.test) {
        (Test::Absent, Test::Absent) => true,
        (Test::Absent, _) | (_, Test::Absent) => false,
        (Test::Present, _) | (_, Test::Present) => true,
        (Test::Is(text), Test::Matches(pattern)) | (Test::Matches(pattern), Test::Is(text)) => {
            pattern.matches(text)
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

    use crate::config::{Part, Pattern};

    use super::*;

    fn rule(methods: &[Method], tests: &[(&'static str, Test)]) -> Rule {
        let condition = |(name, test): &(&'static str, Test)| Condition {
            part: Part::Header(HeaderName::from_static(name)),
            test: test.clone(),
        };
        Rule {
            methods: methods.to_vec(),
            conditions: tests.iter().map(condition).collect(),
            clients: None,
            listeners: Vec::new(),
        }
    }

    fn is(text: &str) -> Test {
        Test::Is(text.into())
    }

    #[test]
    fn a_rule_that_asks_less_covers_one_that_asks_more() {
        let any = rule(&[], &[]);
        let get = rule(&[Method::GET], &[]);
        let get_or_post = rule(&[Method::GET, Method::POST], &[]);
        assert!(covers(&any, &get) && covers(&get_or_post, &get) && covers(&any, &any));
        assert!(!covers(&get, &any) && !covers(&get, &get_or_post));
        let digits = Test::Matches(Pattern::new("[0-9]+").expect("an expression"));
        let present = rule(&[], &[("a", Test::Present)]);
        for narrow in [is("1"), digits.clone()] {
            assert!(covers(&present, &rule(&[], &[("a", narrow.clone())])));
            assert!(!covers(&present, &rule(&[], &[("b", narrow)])));
        }
        assert!(covers(&rule(&[], &[("a", digits.clone())]), &rule(&[], &[("a", is("1")), ("b", is("x"))])));
        assert!(!covers(&rule(&[], &[("a", digits)]), &rule(&[], &[("a", is("x"))])));
        assert!(!covers(&rule(&[], &[("a", is("1"))]), &present));
    }

    #[test]
    fn rules_that_ask_for_different_things_may_meet_and_for_different_values_of_one_do_not() {
        let of = |name, test| rule(&[], &[(name, test)]);
        assert!(meet(&of("a", is("1")), &of("b", is("1"))));
        assert!(!meet(&of("a", is("1")), &of("a", is("2"))));
        assert!(!meet(&of("a", Test::Present), &of("a", Test::Absent)));
        assert!(!meet(&rule(&[Method::GET], &[]), &rule(&[Method::POST], &[])));
        assert!(meet(&rule(&[Method::GET], &[]), &rule(&[], &[])));
    }

    #[test]
    fn who_asks_for_another_value_has_no_other_relation() {
        let digits = Test::Matches(Pattern::new("[0-9]+").expect("an expression"));
        let tests = [is("1"), is("2"), digits, Test::Present, Test::Absent];
        let one = |name| tests.clone().map(|test| (name, test));
        let all: Vec<_> = [one("a"), one("b")].concat();
        let mut rules: Vec<_> = all.iter().map(|one| rule(&[], std::slice::from_ref(one))).collect();
        rules.extend(
            all.iter().flat_map(|one| all.iter().map(|other| rule(&[], &[one.clone(), other.clone()]))),
        );
        let mut apart = 0;
        for (one, other) in rules.iter().flat_map(|one| rules.iter().map(move |other| (one, other))) {
            if asks_for_another_value(one, other) {
                assert!(!covers(one, other) && !asks_no_more(one, other), "{one:?} {other:?}");
                assert!(lacks_only(one, other).is_none() && !meet(one, other), "{one:?} {other:?}");
                apart += 1;
            }
        }
        assert!(apart > 0);
    }

    #[test]
    fn what_must_be_there_and_must_not_is_impossible() {
        assert!(is_impossible(&rule(&[], &[("a", Test::Absent), ("a", is("1"))])));
        assert!(!is_impossible(&rule(&[], &[("a", Test::Absent), ("b", is("1"))])));
        assert!(!is_impossible(&rule(&[], &[("a", Test::Absent), ("a", Test::Absent)])));
    }
}
