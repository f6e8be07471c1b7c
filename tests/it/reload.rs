//! Settings change while requests run, and nothing is lost or forgotten.

mod asked;
mod files;
mod later;
mod listeners;
mod lost;
mod names;
mod one_of;
mod removed;
mod unbroken;
mod under_load;
mod watched;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Backend, Balancer, Client, Sample, Settings, gate, get, until};

fn pool(policy: &str, backends: &[String]) -> String {
    let backends: Vec<_> = backends.iter().map(|backend| format!("{backend:?}")).collect();
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [pools.all]\npolicy = \"{policy}\"\nbackends = [{}]\nhealth = {{ path = \"/health\" }}\n",
        backends.join(", ")
    )
}

#[test]
fn upon_sighup_requests_go_where_the_file_says_now() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let settings = Settings::that_say(&pool("first", &[first.address().to_string()]));
    let balancer = settings.balancer().start();
    let mut client = Client::to(balancer.address);
    let mut ask = || {
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        client.answer().expect_status(200).text().to_owned()
    };
    assert_eq!(ask(), "hello from first\n");
    settings.change(&balancer, &pool("first", &[second.address().to_string()]));
    until("the client's own connection goes by the new settings", || ask() == "hello from second\n");
    balancer.said(&format!("{} is removed", first.address()));
}

#[test]
fn settings_that_say_the_same_change_nothing() {
    let sample = Sample::start("only");
    let text = pool("first", &[sample.address().to_string()]);
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    settings.write(&format!("# a remark\n{text}"));
    balancer.signal("HUP");
    balancer.said("reload: nothing has changed");
}

#[test]
fn bad_settings_change_nothing_and_are_named() {
    let sample = Sample::start("only");
    let text = pool("first", &[sample.address().to_string()]);
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    let bad: [(&[u8], &str); 4] = [
        (b"workers = \"two\"", "workers"),
        (b"[pools.all]\nbackends = [\"here\"]", "not an address"),
        (b"[pools.all\nbackends", ":1:"),
        (b"\xff\xfe", "UTF-8"),
    ];
    for (index, (bytes, told)) in bad.into_iter().enumerate() {
        fs::write(settings.path(), bytes).expect("a file of ours");
        balancer.signal("HUP");
        let line = balancer.said_times("reload refused, the settings stay as they were", index + 1);
        assert!(line.contains(told), "{line}");
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from only\n");
    }
    fs::remove_file(settings.path()).expect("a file of ours");
    balancer.signal("HUP");
    balancer.said_times("reload refused, the settings stay as they were", 5);
    get(balancer.address, "/").expect_status(200);
    settings.write(&text);
    balancer.signal("HUP");
    balancer.said("reload: nothing has changed");
}

#[test]
fn whatever_comes_to_be_where_the_settings_were_changes_nothing() {
    let sample = Sample::start("only");
    let settings = Settings::that_say(&pool("first", &[sample.address().to_string()]));
    let balancer = settings.balancer().start();
    let refused = |times: usize, told: &str| {
        balancer.signal("HUP");
        let line = balancer.said_times("reload refused, the settings stay as they were", times);
        assert!(line.contains(told) && line.len() < 1000, "{line}");
        get(balancer.address, "/").expect_status(200);
    };
    for (times, (text, told)) in (1..).zip([
        (String::new(), "has nothing in it, as a file that is being written"),
        ("\n \n".to_owned(), "has nothing in it"),
        (format!("a = {}", "[".repeat(100_000)), "too deep"),
        (format!("{}a = 1", "a.".repeat(100_000)), "too deep"),
        (format!("log_level = '{}'", "x".repeat(1_000_000)), "x…: not one of error"),
        ("#".repeat(17 << 20), "larger than 16 MiB"),
        ("[pools.\"a\\nINFO all is well\"]".to_owned(), "a\\nINFO all is well"),
    ]) {
        settings.write(&text);
        refused(times, told);
    }
    fs::remove_file(settings.path()).expect("a file of ours");
    let pipe = std::process::Command::new("mkfifo").arg(settings.path()).status();
    assert!(pipe.expect("there is a command").success());
    refused(8, "it is a pipe, not a file");
    fs::remove_file(settings.path()).expect("a pipe of ours");
    fs::create_dir(settings.path()).expect("a folder of ours");
    refused(9, "the folder has neither");
    fs::remove_dir(settings.path()).expect("a folder of ours");
    symlink(settings.path(), settings.path()).expect("a link of ours");
    refused(10, "cannot be read");
}

#[test]
fn a_backend_that_stays_keeps_what_is_known_of_its_health() {
    let (sick, well) = (Backend::refuses(), Sample::start("well"));
    let both = [sick.to_string(), well.address().to_string()];
    let settings = Settings::that_say(&pool("first", &both));
    let balancer = settings.balancer().start();
    balancer.said(&format!("{sick} is down"));
    settings.change(&balancer, &pool("round_robin", &both));
    for _ in 0..4 {
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from well\n");
    }
    assert_eq!(balancer.times_said(&format!("{sick} is down")), 1, "it was known, not found out again");
}

#[test]
fn a_removed_backend_ends_what_it_does_and_is_known_until_then() {
    let (opener, opened) = gate();
    let slow = Backend::that(move |mut transport| {
        if transport.head.starts_with("GET /slow ") {
            opened.wait();
        }
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow");
    });
    let next = Sample::start("next");
    let settings = Settings::that_say(&pool("first", &[slow.address.to_string()]));
    let balancer = settings.balancer().start();
    let mut client = Client::to(balancer.address);
    balancer.said("is healthy");
    let before = slow.requests();
    client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    until("the backend has it", || slow.requests() > before);
    settings.change(&balancer, &pool("first", &[next.address().to_string()]));
    balancer.said(&format!("{} is removed; requests still with it: 1", slow.address));
    until("others go elsewhere", || get(balancer.address, "/").text() == "hello from next\n");
    opener.open();
    assert_eq!(client.answer().expect_status(200).text(), "slow");
    balancer.said(&format!("{} is gone: nothing is under way there", slow.address));
}

#[test]
fn idle_connections_to_a_backend_that_stays_are_kept() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let backend = Backend::that(move |mut transport| {
        if !transport.head.starts_with("GET /health ") {
            count.fetch_add(1, Ordering::SeqCst);
        }
        loop {
            transport.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            if !transport.read_head() {
                return;
            }
        }
    });
    let other = Sample::start("other");
    let settings = Settings::that_say(&pool("first", &[backend.address.to_string()]));
    let balancer = settings.balancer().start();
    balancer.said("is healthy");
    get(balancer.address, "/").expect_status(200);
    let both = [backend.address.to_string(), other.address().to_string()];
    settings.change(&balancer, &pool("first", &both));
    for _ in 0..3 {
        get(balancer.address, "/").expect_status(200);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_changed_limit_holds_for_clients_that_are_connected() {
    let sample = Sample::start("only");
    let text = pool("first", &[sample.address().to_string()]);
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    let mut client = Client::to(balancer.address);
    let post = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 2000\r\n\r\n";
    client.send(format!("{post}{}", "x".repeat(2000)));
    client.answer().expect_status(200);
    settings.change(&balancer, &format!("{text}[limits]\nbody_size = \"1KiB\"\n"));
    until("the limit holds", || {
        let mut client = Client::to(balancer.address);
        client.send(format!("{post}{}", "x".repeat(2000)));
        client.answer().status == 413
    });
    client.send(format!("{post}{}", "x".repeat(2000)));
    client.answer().expect_status(413);
}

#[test]
fn what_waits_for_the_next_start_is_named_and_the_rest_changes() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let settings = Settings::that_say(&pool("first", &[first.address().to_string()]));
    let balancer = Balancer::bare().flag("--config", settings.path()).start();
    settings.change(&balancer, &format!("workers = 7\n{}", pool("first", &[second.address().to_string()])));
    balancer.said("workers: the change takes effect at the next start");
    until("the rest has changed", || get(balancer.address, "/").text() == "hello from second\n");
}

#[test]
fn with_watch_a_changed_file_is_read_by_itself() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let settings = Settings::that_say(&pool("first", &[first.address().to_string()]));
    let balancer = settings.balancer().word("--watch").start();
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from first\n");
    settings.write("workers = \"many\"");
    balancer.said("reload refused, the settings stay as they were");
    settings.write(&pool("first", &[second.address().to_string()]));
    balancer.said(" reloaded");
    until("the other one answers", || get(balancer.address, "/").text() == "hello from second\n");
}

#[test]
fn a_file_may_ask_to_be_watched_and_cease_to() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let watched =
        |sample: &Sample| format!("watch = true\n{}", pool("first", &[sample.address().to_string()]));
    let settings = Settings::that_say(&watched(&first));
    let balancer = settings.balancer().start();
    balancer.said("the files of settings are watched");
    settings.write(&watched(&second));
    balancer.said(" reloaded");
    until("the other one answers", || get(balancer.address, "/").text() == "hello from second\n");
    settings.write(&pool("first", &[first.address().to_string()]));
    balancer.said("the files of settings are no longer watched");
    until("the first one answers", || get(balancer.address, "/").text() == "hello from first\n");
    // And back again, without a start.
    settings.change(&balancer, &watched(&second));
    balancer.said_times("the files of settings are watched", 2);
    settings.write(&watched(&first));
    until("the first one answers", || get(balancer.address, "/").text() == "hello from first\n");
}

#[test]
fn a_reload_tells_of_a_file_for_tls_where_it_is_named() {
    let sample = Sample::start("only");
    let settings = Settings::that_say(&pool("first", &[sample.address().to_string()]));
    let balancer = settings.balancer().start();
    let text = "[pools.app]\nbackends = ['https://127.0.0.1:1']\ntls.ca_file = 'nowhere.pem'\n[routes.a]\npool = 'ap'\n";
    settings.write(text);
    balancer.signal("HUP");
    let line = balancer.said("reload refused, the settings stay as they were");
    let place = "loadbalancer.toml:3:15: pools.app.tls.ca_file nowhere.pem: cannot be read: No such file";
    assert!(line.contains(place) && line.contains("routes.a.pool ap: no pool has this name"), "{line}");
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn with_watch_a_folder_that_is_swapped_behind_a_link_is_read_by_itself() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let folder = Settings::that_say("");
    // As Kubernetes mounts a ConfigMap: the file is a link into a link to a folder, and that one is swapped.
    let root = Path::new(folder.path()).parent().expect("a file is in a folder").join("mounted");
    for (version, sample) in [("..1", &first), ("..2", &second)] {
        fs::create_dir_all(root.join(version)).unwrap();
        let text = pool("first", &[sample.address().to_string()]);
        fs::write(root.join(version).join("lb.toml"), text).unwrap();
    }
    symlink("..1", root.join("..data")).unwrap();
    symlink("..data/lb.toml", root.join("lb.toml")).unwrap();
    let balancer = Balancer::configured(&root.join("lb.toml")).flag("--workers", "1").word("--watch").start();
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from first\n");
    symlink("..2", root.join("..new")).unwrap();
    fs::rename(root.join("..new"), root.join("..data")).unwrap();
    until("the other one answers", || get(balancer.address, "/").text() == "hello from second\n");
    assert_eq!(balancer.times_said("reload refused"), 0);
}
