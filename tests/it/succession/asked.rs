//! What operators ask the old process for while another one takes its place.

use std::net::SocketAddr;
use std::sync::Arc;

use super::*;
use crate::support::admin::{JSON, body};

/// A process whose successor does not start before [`let_start`].
fn held_back(folder: &Folder, backend: SocketAddr) -> Running {
    let (link, new) = (folder.path("loadbalancer"), folder.path("new link"));
    let (here, go) = (folder.path("."), go(folder));
    // With the test goes its folder, also if it fails.
    let wait = format!(
        "echo new program\nwhile [ -e '{}' ] && [ ! -e '{}' ]; do sleep 0.05; done",
        here.display(),
        go.display()
    );
    // No copy of the program: a process that another test starts just then may hold it open for writing.
    symlink(script(folder, &wait), &new).unwrap();
    symlink(env!("CARGO_BIN_EXE_loadbalancer"), &link).unwrap();
    let balancer = Balancer::of(&link, &[backend]).flag("--admin", "127.0.0.1:0").start();
    fs::rename(new, &link).unwrap();
    balancer
}

fn go(folder: &Folder) -> PathBuf {
    folder.path("go")
}

/// Waits until it serves.
fn let_start(folder: &Folder, said_by: &Running) -> Successor {
    fs::write(go(folder), "").unwrap();
    Successor::named_in(&said_by.said(" serves in place of this one"))
}

/// Keeps a process until it is answered.
fn slow(address: SocketAddr) -> Client {
    let mut slow = Client::to(address);
    slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    slow
}

/// A caller whose head was read, and whose body is waited for.
fn begun(admin: SocketAddr, method: &str, path: &str, body: &str) -> Client {
    let (mut caller, length) = (Client::to(admin), body.len());
    caller.send(format!(
        "{method} /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: {length}\r\n\
         Expect: 100-continue\r\n\r\n"
    ));
    assert_eq!(caller.head().status, 100);
    caller
}

#[test]
fn who_waits_for_a_change_when_the_successor_serves_is_told_whom_to_ask() {
    let ((backend, came, let_go), folder) = (Backend::held_up(), Folder::new());
    let balancer = held_back(&folder, backend.address);
    let (admin, mut slow) = (balancer.admin(), slow(balancer.address));
    came.wait();
    balancer.signal("USR2");
    balancer.said("new program");
    let pool = format!("pools/default/backends/{}", backend.address);
    let wishes = [
        ("POST", "reload", "{}"),
        ("POST", "config", r#"{"log_level": "debug"}"#),
        ("PATCH", &pool, r#"{"hold": "drain"}"#),
    ];
    let callers = wishes.map(|(method, path, body)| {
        let mut caller = begun(admin.address, method, path, body);
        caller.send(body);
        caller
    });
    let successor = let_start(&folder, &balancer);
    for mut caller in callers {
        let problem = body(&caller.answer().expect_status(503));
        let told = format!("process {} serves in place of this one: ask it", successor.0);
        assert_eq!(problem["detail"], told);
    }
    let_go.open();
    slow.answer().expect_status(200);
    assert!(balancer.ended().success());
}

#[test]
fn a_signal_that_comes_to_the_old_process_is_passed_on_or_told_who_serves() {
    let ((backend, came, let_go), folder) = (Backend::held_up(), Folder::new());
    let balancer = held_back(&folder, backend.address);
    let mut slow = slow(balancer.address);
    came.wait();
    balancer.signal("USR2");
    balancer.said("new program");
    balancer.signal("HUP");
    let Successor(id) = &let_start(&folder, &balancer);
    for times in 1..=2 {
        balancer.said_times(&format!("SIGHUP is passed on to process {id}, which serves now"), times);
        balancer.said_times("reload: nothing has changed", times);
        balancer.signal("HUP");
    }
    balancer.signal("USR2");
    balancer.said(&format!("SIGUSR2 does nothing here any more: process {id} serves now"));
    let_go.open();
    slow.answer().expect_status(200);
    assert!(balancer.ended().success());
}

#[test]
fn what_an_operator_said_of_backends_holds_in_each_process_that_follows() {
    let (one, other) = (Sample::start("one"), Sample::start("other"));
    let addresses = [one.address(), other.address()];
    let balancer = Balancer::before(&addresses).flag("--admin", "127.0.0.1:0").start();
    let admin = balancer.admin();
    let path = |address| format!("/api/v1/pools/default/backends/{address}");
    for (address, patch) in addresses.iter().zip([r#"{"hold": "drain"}"#, r#"{"weight": 7}"#]) {
        admin.ask("PATCH", &path(*address), JSON, patch).expect_status(200);
    }
    let mut at_work = balancer.id();
    let successors = [0, 1].map(|earlier| {
        let successor = Successor::of(at_work, &balancer, earlier);
        at_work = successor.0;
        assert_eq!(admin.get(&path(addresses[0]))["state"], "draining");
        assert_eq!(admin.get(&path(addresses[1]))["weight"]["effective"], 7);
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from other\n");
        successor
    });
    admin.ask("PATCH", &path(addresses[0]), JSON, r#"{"hold": null}"#).expect_status(200);
    let _successor = Successor::of(at_work, &balancer, successors.len());
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from one\n");
    assert!(balancer.ended().success());
}

#[test]
fn a_backend_that_warms_up_goes_on_where_it_was() {
    let sample = Sample::start("one");
    let text = text(1, &sample).replace("health =", "policy = \"random\"\nslow_start = \"1h\"\nhealth =");
    let settings = Settings::that_say(&text);
    let balancer = Balancer::bare().flag("--config", settings.path()).start();
    let (admin, path) = (balancer.admin(), format!("/api/v1/pools/all/backends/{}", sample.address()));
    for hold in [r#"{"hold": "disable"}"#, r#"{"hold": null}"#] {
        admin.ask("PATCH", &path, JSON, hold).expect_status(200);
    }
    assert_eq!(admin.get(&path)["warmth"], 10);
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    assert_eq!(admin.get(&path)["warmth"], 10);
    assert!(balancer.ended().success());
}

#[test]
fn a_backend_that_was_down_gets_no_request_before_the_new_process_finds_it_well() {
    let (checks, requests) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&requests);
    let dead = Backend::that(move |mut transport| match transport.head.starts_with("GET /status/200 ") {
        // Only the first check is answered: the new process's finds nothing while the test lasts.
        true if checks.fetch_add(1, Ordering::SeqCst) == 0 => {
            transport.send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
        }
        true => transport.wait_for_end(),
        false => drop(counter.fetch_add(1, Ordering::SeqCst)),
    });
    let well = Sample::start("well");
    let settings = Settings::that_say(&format!(
        "workers = 1\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [pools.all]\nbackends = [\"{}\", \"{}\"]\n\
         health = {{ path = \"/status/200\", timeout = \"60s\" }}\n",
        dead.address,
        well.address()
    ));
    let balancer = Balancer::bare().flag("--config", settings.path()).start();
    balancer.said("is down: answered 500");
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    balancer.said("as the process before found");
    for _ in 0..3 {
        get(balancer.address, "/").expect_status(200);
    }
    assert_eq!(requests.load(Ordering::SeqCst), 0);
    assert!(balancer.ended().success());
}

#[test]
fn who_kept_a_connection_to_the_admin_api_comes_to_the_process_that_serves() {
    let (backend, came, let_go) = Backend::held_up();
    let balancer = Balancer::before(&[backend.address]).flag("--admin", "127.0.0.1:0").start();
    let (admin, mut slow) = (balancer.admin(), slow(balancer.address));
    came.wait();
    let look = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut idle = Client::to(admin.address);
    idle.send(look);
    idle.answer().expect_status(200);
    let mut busy = begun(admin.address, "POST", "reload", "{}");
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    busy.send("{}");
    assert_eq!(busy.answer().expect_status(503).header("connection"), Some("close"));
    busy.expect_end();
    // It may have heard of the end by now.
    let _ = idle.try_send(look);
    idle.expect_end();
    assert!(runs(balancer.id()), "it is not the end of the process");
    admin.ask("GET", "/readyz", "", "").expect_status(200);
    let_go.open();
    slow.answer().expect_status(200);
    assert!(balancer.ended().success());
}
