//! The system gives no more threads.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::{Backend, Balancer, Client, Running, Sample, Settings, Successor, get, until};

const SLOW: &str = "GET /slow HTTP/1.1\r\nHost: test\r\n\r\n";
/// Too little for a thread, which takes this much for its stack and a page to guard it, and enough for what else is done.
const ROOM: u64 = 2 * 1024 * 1024;

/// Settings with this backend.
fn text(sample: &Sample) -> String {
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n[pools.all]\nbackends = [\"{}\"]\n",
        sample.address()
    )
}

/// Lets a process have no more memory than it has and some [`ROOM`], or as much as it likes: unlike the limit on threads, this
/// one counts for root, too.
fn limit(balancer: &Running, most: Option<u64>) {
    let id = Pid::from_raw(balancer.id().cast_signed());
    let maximum = prlimit(id, Resource::As, Rlimit { current: most, maximum: None }).unwrap().maximum;
    assert_eq!(maximum, None, "there was a limit before");
}

fn has_no_more_threads(balancer: &Running) {
    let status = fs::read_to_string(format!("/proc/{}/status", balancer.id())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.strip_suffix("kB"));
    let size: u64 = size.and_then(|size| size.trim().parse().ok()).expect("a size");
    limit(balancer, Some(size * 1024 + ROOM));
}

#[test]
fn a_stop_lets_running_requests_end() {
    let (backend, came, let_go) = Backend::held_up();
    let balancer = Balancer::before(&[backend.address]).flag("--workers", "2").start();
    let mut slow = Client::to(balancer.address);
    slow.send(SLOW);
    came.wait();
    has_no_more_threads(&balancer);
    balancer.signal("TERM");
    balancer.said("stopping: no new clients");
    let_go.open();
    slow.answer().expect_status(200);
    assert!(balancer.ended().success());
    balancer.said("stopped");
}

#[test]
fn a_change_is_refused_and_may_be_tried_again() {
    let sample = Sample::start("one");
    let text = text(&sample);
    let settings = Settings::that_say(&text);
    let balancer = Balancer::bare().flag("--config", settings.path()).flag("--workers", "1").start();
    has_no_more_threads(&balancer);
    settings.write(&format!("log_level = \"debug\"\n{text}"));
    for times in 1..=2 {
        balancer.signal("HUP");
        let line = balancer.said_times("reload refused, the settings stay as they were: ", times);
        assert!(line.contains("the system gives no thread: "), "{line}");
        get(balancer.address, "/").expect_status(200);
    }
    limit(&balancer, None);
    balancer.signal("HUP");
    balancer.said("reloaded");
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn there_is_no_successor_until_there_are_threads_again() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).start();
    has_no_more_threads(&balancer);
    balancer.signal("USR2");
    let line = balancer.said("no successor, this process goes on: ");
    assert!(line.contains("the system gives no thread: "), "{line}");
    get(balancer.address, "/").expect_status(200);
    limit(&balancer, None);
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    assert!(balancer.ended().success());
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn files_are_watched_on_once_there_are_threads_again() {
    let sample = Sample::start("one");
    let text = format!("watch = true\n{}", text(&sample));
    let change = format!("log_level = \"debug\"\n{text}");
    // A thread for a look that came before the limit leaves its stack to the next one: then that is done again.
    let (_settings, balancer) = loop {
        let settings = Settings::that_say(&text);
        let balancer = Balancer::bare().flag("--config", settings.path()).flag("--workers", "1").start();
        has_no_more_threads(&balancer);
        settings.write(&change);
        let missed =
            || balancer.times_said("the files of settings cannot be looked at: the system gives no thread");
        until("a look fails, or none does", || missed() + balancer.times_said(" reload") > 0);
        if missed() > 0 {
            break (settings, balancer);
        }
    };
    limit(&balancer, None);
    balancer.said("reloaded");
}
