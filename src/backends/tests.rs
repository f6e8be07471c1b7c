use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures::poll;
use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::timeout;

use crate::config::BackendUrl;
use crate::connect::HeadLimits;

use super::suspect::CLOSED_TO_ALL;
use super::*;

fn wanted(ports: &[u16]) -> Vec<(Terms, Arc<Way>)> {
    wanted_in("pool", ports)
}

fn wanted_in(pool: &str, ports: &[u16]) -> Vec<(Terms, Arc<Way>)> {
    let check = Arc::new(config::Checks {
        interval: Duration::from_secs(3600),
        timeout: Duration::from_secs(60),
        ..config::Checks::usual("/")
    });
    let one = |port: &u16| {
        let url = BackendUrl::from(SocketAddr::from(([127, 0, 0, 1], *port)));
        let backend = config::Backend::at(url.clone());
        let terms = Terms { pool: pool.into(), backend, check: Arc::clone(&check), told_apart_by: [].into() };
        (terms, Arc::new(url.into()))
    };
    ports.iter().map(one).collect()
}

#[test]
fn requests_that_find_a_backend_dead_in_one_moment_do_not_put_off_its_next_check() {
    let registry = Registry::isolated();
    registry.replace(wanted(&[1]));
    let id = registry.backends()[0].id;
    let failures = || registry.health(id).expect("it is known").failures();
    (0..64).for_each(|_| registry.suspect(id, Evidence::Refused));
    assert_eq!(failures(), 1);
    registry.observe(id, Evidence::Refused, Instant::now());
    assert_eq!(failures(), 2);
}

#[test]
fn a_request_that_closes_whoever_gets_it_takes_nobody_out_of_use_and_has_all_checked() {
    let registry = Registry::isolated();
    registry.replace(wanted(&[1, 2, 3]));
    for _ in 0..CLOSED_TO_ALL * 2 {
        for backend in registry.backends() {
            registry.suspect(backend.id, Evidence::Closed);
            backend.load.score().answered(200);
        }
    }
    assert!(registry.backends().iter().all(|backend| backend.is_usable() && backend.health.is_doubted()));
    registry.observe(registry.backends()[0].id, Evidence::Closed, Instant::now());
    assert!(!registry.backends()[0].is_usable(), "a check is believed");
}

#[test]
fn a_backend_that_closes_on_every_request_is_out_of_use_whatever_its_checks_say_unless_it_is_the_last() {
    let registry = Registry::isolated();
    registry.replace(wanted(&[1, 2]));
    let usable = || registry.backends().iter().filter(|backend| backend.is_usable()).count();
    for place in [0, 1] {
        let id = registry.backends()[place].id;
        for times in 1..=CLOSED_TO_ALL {
            registry.suspect(id, Evidence::Closed);
            if times < CLOSED_TO_ALL {
                assert_eq!(usable(), 2 - place);
                let well = Evidence::Answered(StatusCode::OK, Duration::ZERO);
                registry.observe(id, well, Instant::now());
            }
        }
        assert_eq!(usable(), 1);
    }
}

#[test]
fn who_has_other_tags_that_routes_ask_for_takes_nobodys_place() {
    let tagged = |version: &str| {
        let mut all = wanted(&[1, 2]);
        all.iter_mut().for_each(|(terms, _)| terms.told_apart_by = ["version".into(), "zone".into()].into());
        all[0].0.backend.tags = [("version".into(), "1".into()), ("zone".into(), "a".into())].into();
        all[1].0.backend.tags = [("version".into(), version.into())].into();
        all
    };
    for (version, usable) in [("1", true), ("2", false)] {
        let registry = Registry::isolated();
        registry.replace(tagged(version));
        let [all, some] = [0, 1].map(|place| registry.backends()[place].id);
        (0..CLOSED_TO_ALL).for_each(|_| registry.suspect(some, Evidence::Closed));
        let is_usable = |id| registry.health(id).is_some_and(|health| health.is_usable());
        assert_eq!(is_usable(some), !usable, "another has all tags of it: {usable}");
        (0..CLOSED_TO_ALL).for_each(|_| registry.suspect(all, Evidence::Closed));
        assert!(is_usable(all), "no other has all tags of it");
    }
}

#[test]
fn a_backend_that_is_in_doubt_stays_in_use_and_is_checked_once_for_all_who_doubt_it() {
    let registry = Registry::isolated();
    registry.replace(wanted(&[1]));
    let id = registry.backends()[0].id;
    let (revision, mut doubts) = (registry.revision(), registry.doubts.subscribe());
    for is_new in [true, false] {
        doubts.mark_unchanged();
        registry.doubt(id);
        assert_eq!(doubts.has_changed().unwrap(), is_new);
        assert_eq!(registry.revision(), revision, "it is no news to requests");
        assert!(registry.health(id).is_some_and(|health| health.is_usable() && health.is_doubted()));
    }
    registry.observe(id, Evidence::Answered(StatusCode::OK, Duration::ZERO), Instant::now());
    assert!(registry.health(id).is_some_and(|health| health.is_usable() && !health.is_doubted()));
}

#[test]
fn backends_that_stay_keep_their_identity_health_and_load() {
    let registry = Registry::isolated();
    registry.replace(wanted(&[1, 2]));
    let before = registry.backends();
    registry.observe(before[1].id, Evidence::Refused, Instant::now());
    registry.replace(wanted(&[2, 3]));
    let after = registry.backends();
    let names: Vec<_> = after.iter().map(|backend| backend.way.url.to_string()).collect();
    assert_eq!(names, ["127.0.0.1:2", "127.0.0.1:3"]);
    assert_eq!(after[0].id, before[1].id);
    assert_eq!(after[0].health.state(), State::Down);
    assert!(Arc::ptr_eq(&after[0].load, &before[1].load));
    assert!(before.iter().all(|known| known.id != after[1].id));
    assert_eq!(after[1].health.state(), State::Unknown);
}

#[test]
fn who_was_there_from_the_beginning_has_no_need_to_warm_up() {
    let registry = Registry::isolated();
    registry.replace(wanted(&[1]));
    assert_eq!(registry.backends()[0].health.well_since(), None);
    registry.replace(wanted(&[1, 2]));
    assert_eq!(registry.backends()[0].health.well_since(), None);
    assert!(registry.backends()[1].health.well_since().is_some());
}

#[test]
fn each_change_of_a_fact_is_announced() {
    let registry = Registry::isolated();
    let mut revision = registry.subscribe();
    registry.replace(wanted(&[1]));
    assert!(revision.has_changed().unwrap());
    revision.mark_unchanged();
    registry.observe(registry.backends()[0].id, Evidence::Refused, Instant::now());
    assert!(revision.has_changed().unwrap());
}

#[test]
fn that_a_backend_is_still_well_is_no_news() {
    let registry = Registry::isolated();
    registry.replace(wanted(&[1]));
    let (id, well) = (registry.backends()[0].id, Evidence::Answered(StatusCode::OK, Duration::ZERO));
    registry.observe(id, well.clone(), Instant::now());
    let mut revision = registry.subscribe();
    revision.mark_unchanged();
    registry.observe(id, well, Instant::now());
    assert!(!revision.has_changed().unwrap());
}

#[test]
fn ten_thousand_backends_are_replaced_by_as_many_others_in_their_order() {
    let registry = Registry::isolated();
    let ports: Vec<u16> = (1..=10_000).collect();
    registry.replace(wanted(&ports));
    let before = registry.backends();
    let turned: Vec<u16> = (5_001..=15_000).rev().collect();
    registry.replace(wanted(&turned));
    let after = registry.backends();
    assert_eq!(after.len(), 10_000);
    assert!(after[5_000..].iter().zip(before[5_000..].iter().rev()).all(|(one, other)| one.id == other.id));
}

#[test]
fn what_is_said_of_one_backend_is_said_of_no_other_whoever_comes_goes_or_is_forgotten() {
    let registry = Registry::isolated();
    let expect_each_found = || {
        let all = registry.backends();
        let numbered = || all.iter().zip(1..);
        numbered().for_each(|(backend, number)| registry.weigh(backend.id, Some(number)));
        assert!(registry.backends().iter().zip(1..).all(|(backend, number)| backend.weight == Some(number)));
        numbered().for_each(|(backend, _)| registry.weigh(backend.id, None));
        all
    };
    registry.replace(wanted(&[1, 2, 3]));
    let first = expect_each_found();
    registry.hold(first[0].id, Some(Hold::Drain));
    first[1].load.begin();
    registry.replace(wanted(&[4, 3]));
    assert_eq!(expect_each_found().len(), 4, "one has a request, and of one something was said");
    first[1].load.end();
    registry.sweep();
    assert_eq!(expect_each_found().len(), 3);
    assert!(registry.health(first[1].id).is_none());
    registry.hold(first[0].id, None);
    registry.sweep();
    assert_eq!(expect_each_found().len(), 2);
    let before = Registry::isolated();
    before.replace(wanted(&[5]));
    before.hold(before.backends()[0].id, Some(Hold::Drain));
    registry.inherit(before.legacies());
    registry.settle();
    assert_eq!(expect_each_found().len(), 3);
    registry.replace(wanted(&[3, 5, 4]));
    assert_eq!(expect_each_found().len(), 3);
}

#[test]
fn evidence_about_a_removed_backend_is_ignored() {
    let registry = Registry::isolated();
    registry.replace(wanted(&[1]));
    let removed = registry.backends()[0].id;
    registry.replace(wanted(&[2]));
    registry.observe(removed, Evidence::Refused, Instant::now());
    assert_eq!(registry.backends()[0].health.state(), State::Unknown);
    assert!(registry.health(removed).is_none());
}

#[test]
fn a_backend_whose_pool_gets_another_name_as_its_check_ends_is_checked_again() {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ports = [listener.local_addr().unwrap().port()];
        let asked = async || {
            let (mut connection, _) = listener.accept().await.unwrap();
            assert!(connection.read(&mut [0; 1024]).await.unwrap() > 0);
            connection
        };
        let registry = Registry::isolated();
        registry.replace(wanted_in("before", &ports));
        // It is polled only here: so it learns of other backends when the check has ended.
        let mut checker = pin!(check::run(registry, || HeadLimits { size: 16384, headers: 100 }));
        assert!(poll!(&mut checker).is_pending());
        let mut connection = asked().await;
        registry.replace(wanted_in("after", &ports));
        connection.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(connection.read(&mut [0; 1]).await.unwrap(), 0);
        drop(connection);
        assert!(poll!(&mut checker).is_pending());
        timeout(Duration::from_secs(10), asked()).await.expect("it is checked again");
    });
}

#[test]
fn what_the_process_before_knew_holds_for_whoever_is_named_later() {
    let (before, registry) = (Registry::isolated(), Registry::isolated());
    before.replace(wanted(&[1, 2, 3]));
    let ids: Vec<_> = before.backends().iter().map(|backend| backend.id).collect();
    before.hold(ids[0], Some(Hold::Disable));
    before.weigh(ids[1], Some(7));
    before.suspect(ids[1], Evidence::Refused);
    registry.inherit(before.legacies());
    registry.replace(wanted(&[3]));
    registry.replace(wanted(&[1, 2, 3]));
    let backends = registry.backends();
    assert_eq!((backends[0].hold, backends[0].health.state()), (Some(Hold::Disable), State::Unknown));
    assert_eq!((backends[1].weight, backends[1].health.state()), (Some(7), State::Down));
    assert_eq!(backends[1].health.evidence().to_string(), "connection refused, as the process before found");
    assert!(!backends[2].is_overridden() && backends[2].health.state() == State::Unknown);
    let mut again = registry.legacies();
    assert!(again[0].well_for.take().is_some(), "it joins another one here");
    assert_eq!(again, before.legacies(), "it is passed on as it came");
}

#[test]
fn whom_nobody_names_any_more_is_remembered_from_process_to_process_for_what_an_operator_said() {
    let before = Registry::isolated();
    before.replace(wanted(&[1, 2, 3]));
    before.hold(before.backends()[0].id, Some(Hold::Drain));
    before.suspect(before.backends()[1].id, Evidence::Refused);
    let mut process = before;
    for _ in 0..2 {
        let next = Registry::isolated();
        next.inherit(process.legacies());
        next.replace(wanted(&[3]));
        next.settle();
        let left: Vec<_> = next.backends().into_iter().filter(Backend::is_remembered).collect();
        assert_eq!(left.iter().map(ToString::to_string).collect::<Vec<_>>(), ["pool/127.0.0.1:1"]);
        assert_eq!(left[0].hold, Some(Hold::Drain));
        process = next;
    }
    process.replace(wanted(&[3, 1]));
    assert_eq!((process.backends().len(), process.backends()[1].hold), (2, Some(Hold::Drain)));
}

#[test]
fn that_a_backend_is_still_dead_is_no_news_to_requests() {
    let registry = Registry::isolated();
    registry.replace(wanted(&[1]));
    let id = registry.backends()[0].id;
    let find_dead = || {
        registry.observe(id, Evidence::Refused, Instant::now());
        (registry.revision(), registry.health(id).map(|health| health.failures()))
    };
    let (revision, _) = find_dead();
    assert_eq!(find_dead(), (revision, Some(2)));
}

#[test]
fn what_an_operator_said_of_backends_that_left_is_remembered_of_the_last_thousand() {
    let registry = Registry::isolated();
    let count = u16::try_from(MOST_REMEMBERED).unwrap() + 1;
    for port in 1..=count {
        registry.replace(wanted(&[port]));
        registry.hold(registry.backends()[0].id, Some(Hold::Drain));
    }
    registry.replace(wanted(&[]));
    let all = registry.backends();
    assert!(all.len() == MOST_REMEMBERED && all.iter().all(Backend::is_remembered));
    registry.replace(wanted(&[1, 2]));
    assert_eq!([0, 1].map(|place| registry.backends()[place].hold), [None, Some(Hold::Drain)]);
}

#[test]
fn who_is_named_before_the_first_request_joins_nobody_and_who_comes_back_later_does() {
    let registry = Registry::isolated();
    let joined = |place: usize| registry.backends()[place].health.well_since().is_some();
    registry.replace(wanted(&[1]));
    registry.replace(wanted(&[1, 2]));
    registry.settle();
    assert!(!joined(0) && !joined(1));
    registry.weigh(registry.backends()[1].id, Some(7));
    registry.replace(wanted(&[1]));
    registry.replace(wanted(&[1, 2]));
    assert!(!joined(0) && joined(1), "an operator's word was remembered, but nobody has seen it meanwhile");
    assert_eq!(registry.backends()[1].weight, Some(7));
}

#[test]
fn a_backend_that_answers_none_of_what_it_was_sent_is_checked() {
    let registry = Registry::isolated();
    registry.replace(wanted(&[1, 2, 3]));
    let [_idle, busy, silent] = [0, 1, 2].map(|place| registry.backends().swap_remove(place));
    let mut heard = HashMap::new();
    for backend in [&busy, &silent] {
        backend.load.begin();
    }
    for _ in 0..3 {
        assert!(registry.backends().iter().all(|backend| !backend.health.is_doubted()));
        registry.listen(&mut heard);
        busy.load.score().answered(200);
    }
    let doubted = registry.backends().into_iter().filter(|backend| backend.health.is_doubted());
    assert_eq!(doubted.map(|backend| backend.id).collect::<Vec<_>>(), [silent.id]);
}

#[test]
fn only_who_is_silent_and_dead_for_that_is_waited_for_no_more() {
    for (evidence, is_waited_for) in [
        (Evidence::AnswerTimeout, false),
        (Evidence::ConnectTimeout, false),
        (Evidence::Unwanted(StatusCode::SERVICE_UNAVAILABLE, Duration::ZERO, "2xx".into()), true),
        (Evidence::Refused, true),
    ] {
        let registry = Registry::isolated();
        registry.replace(wanted(&[1]));
        let backend = registry.backends().remove(0);
        let mut heard = HashMap::new();
        let mut listen = || {
            registry.listen(&mut heard);
            !registry.health(backend.id).expect("it is known").is_abandoned()
        };
        backend.load.begin();
        registry.observe(backend.id, evidence.clone(), Instant::now());
        assert_eq!([listen(), listen(), listen()], [true, true, is_waited_for], "{evidence}");
        registry.observe(backend.id, Evidence::Answered(StatusCode::OK, Duration::ZERO), Instant::now());
        assert!(listen(), "{evidence}");
    }
}
