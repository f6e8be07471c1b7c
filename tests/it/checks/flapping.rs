//! A backend whose checks are well and that closes its connection on every request is tried less and less often.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Backend, Sample, Settings, get, until};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

#[test]
fn who_closes_on_requests_each_time_it_is_back_is_away_for_longer_each_time_and_it_is_said_why() {
    let (closes, good) = (Backend::closes_before_the_head(), Sample::start("good"));
    let ticks = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&ticks);
    // What is checked all the time tells how long the others take, on a slow machine, too.
    let clock = Backend::that(move |mut transport| {
        seen.fetch_add(1, Ordering::SeqCst);
        transport.send(OK);
    });
    let settings = Settings::that_say(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [pools.web]\npolicy = \"round_robin\"\nbackends = [\"{}\", \"{}\"]\n\
         health = {{ path = \"/health\", interval = \"1h\" }}\n\
         [pools.clock]\nbackends = [\"{}\"]\nhealth = {{ path = \"/tick\", interval = \"50ms\" }}\n\
         [routes.web]\npool = \"web\"\n[routes.clock]\npath = \"/clock\"\npool = \"clock\"\n",
        closes.address,
        good.address(),
        clock.address
    ));
    let balancer = settings.balancer().start();
    balancer.said_times("is healthy", 3);
    let (down, healthy) =
        (format!("{} is down: ", closes.address), format!("{} is healthy: ", closes.address));
    let away = [1, 2, 3].map(|time| {
        until("requests find that it closes", || {
            get(balancer.address, "/").expect_status(200);
            balancer.times_said(&down) == time
        });
        let before = ticks.load(Ordering::SeqCst);
        balancer.said_times(&healthy, time + 1);
        ticks.load(Ordering::SeqCst) - before
    });
    assert!(away[2] > away[0] * 2, "after 1, 2 and 4 s: {away:?}");
    let line = balancer.said(&down);
    let why = " requests in succession, though its checks are well";
    assert!(line.contains(": closed its connection on ") && line.ends_with(why), "{line}");
}
