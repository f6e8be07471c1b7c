//! Hundreds of reloads while clients ask without a pause.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{Backend, Client, Sample, Settings, until};
use crate::support::{Balancer, End};

/// Weights that no reload changes.
const EVEN: [usize; 4] = [1, 2, 3, 4];

/// Backends come and go, weights, policies and routes change; one pool stays as it is.
fn text(round: usize, backends: &[String], sick: &str) -> String {
    let chosen: Vec<_> = backends
        .iter()
        .enumerate()
        .filter(|(index, _)| !(round + index).is_multiple_of(4))
        .map(|(index, backend)| {
            format!("{{ address = \"{backend}\", weight = {} }}", 1 + (round + index) % 5)
        })
        .collect();
    let policy = ["first", "round_robin"][round / 2 % 2];
    let path = ["/", "/a/*", "/b"][round % 3];
    let even = backends.iter().zip(EVEN);
    let even: Vec<_> =
        even.map(|(backend, weight)| format!("{{ address = \"{backend}\", weight = {weight} }}")).collect();
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [timeouts]\nbody = \"{}s\"\n\
         [routes.some]\npath = \"{path}\"\npool = \"some\"\n[routes.rest]\npool = \"rest\"\n\
         [pools.some]\npolicy = \"{policy}\"\nbackends = [\"{sick}\", {}]\nhealth = {{ path = \"/health\" }}\n\
         [pools.rest]\npolicy = \"first\"\nbackends = [{}]\nhealth = {{ path = \"/health\" }}\n\
         [routes.even]\npath = \"/even\"\nrewrite = \"/\"\npool = \"even\"\n\
         [pools.even]\npolicy = \"round_robin\"\nbackends = [{}]\nhealth = {{ path = \"/health\" }}\n",
        30 + round % 7,
        chosen.join(", "),
        chosen.join(", "),
        even.join(", "),
    )
}

/// Asks the pool that stays as it is, and tells how many answers each of its backends gave.
fn ask_evenly(address: SocketAddr, over: &AtomicBool) -> [usize; 4] {
    let mut client = Client::to(address);
    let mut answers = [0; 4];
    while !over.load(Ordering::SeqCst) {
        client.send("GET /even HTTP/1.1\r\nHost: test\r\n\r\n");
        let answer = client.answer().expect_status(200);
        let who =
            ["a", "b", "c", "d"].iter().position(|name| answer.text() == format!("hello from {name}\n"));
        answers[who.expect("a sample answers")] += 1;
    }
    answers
}

#[test]
fn two_hundred_reloads_under_load_fail_no_request_and_forget_nothing() {
    reload_under_load("2", 200);
}

#[test]
fn nor_do_a_hundred_where_one_thread_does_all() {
    reload_under_load("1", 100);
}

fn reload_under_load(workers: &str, reloads: usize) {
    let samples: Vec<_> = ["a", "b", "c", "d"].map(Sample::start).into();
    let addresses: Vec<_> = samples.iter().map(|sample| sample.address().to_string()).collect();
    let sick = Backend::refuses().to_string();
    let settings = Settings::that_say(&text(0, &addresses, &sick));
    let balancer = Balancer::bare().flag("--config", settings.path()).flag("--workers", workers).start();
    balancer.said(&format!("{sick} is down"));
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let end = End(&over);
        let clients: Vec<_> = ["/", "/a/x", "/b", "/other", "/bytes/100000", "/"]
            .map(|path| {
                scope.spawn({
                    let (answered, over, address) = (&answered, &over, balancer.address);
                    move || {
                        let mut client = Client::to(address);
                        while !over.load(Ordering::SeqCst) {
                            client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
                            let answer = client.answer();
                            // Samples know no /b, and say so: what counts is that it is their answer.
                            let is_theirs = answer.header("proxy-status").is_none();
                            assert!(is_theirs && matches!(answer.status, 200 | 404), "{path}: {answer:?}");
                            answered.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                })
            })
            .into();
        let even = scope.spawn(|| ask_evenly(balancer.address, &over));
        for round in 1..=reloads {
            settings.change(&balancer, &text(round, &addresses, &sick));
            let goal = answered.load(Ordering::SeqCst) + 5;
            until("some more are answered", || answered.load(Ordering::SeqCst) >= goal);
        }
        drop(end);
        clients.into_iter().for_each(|client| client.join().expect("every request is answered"));
        // The turn goes on where it was: else those that come first in it would have more than their share.
        let answers = even.join().expect("every request is answered");
        let turns = answers.iter().sum::<usize>() as f64 / EVEN.iter().sum::<usize>() as f64;
        for (answers, weight) in answers.iter().zip(EVEN) {
            let share = turns * weight as f64;
            assert!((*answers as f64 - share).abs() <= 2.0, "{answers} of a share of {share}");
        }
    });
    println!("{} requests, {reloads} reloads, 0 requests failed", answered.into_inner());
    let found = balancer.times_said(&format!("{sick} is down"));
    assert_eq!(found, 1, "what was known of it outlasted all reloads");
    assert_eq!(balancer.times_said("refused,"), 0);
}
