//! Files that are emptied or go away while a balancer runs by them.

use std::fs;
use std::path::PathBuf;

use super::{Sample, get, pool, until};
use crate::support::admin::JSON;
use crate::support::pki::Folder;
use crate::support::{Backend, Balancer, PATIENCE, Running, Settings};

const REFUSED: &str = "reload refused, the settings stay as they were";

/// A folder with these files in `conf.d`, beside one that says where to listen.
fn folder_of(files: &[(&str, &str)]) -> Folder {
    let folder = Folder::new();
    folder.write(
        "loadbalancer.toml",
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n",
    );
    fs::create_dir(folder.path("conf.d")).expect("a folder of ours");
    for (name, text) in files {
        folder.write(&format!("conf.d/{name}"), text);
    }
    folder
}

fn by(folder: &Folder) -> Balancer {
    let path: PathBuf = folder.path("");
    Balancer::configured(&path).flag("--workers", "1")
}

/// A pool and a route to it.
fn service(name: &str, sample: &Sample) -> String {
    let address = sample.address();
    format!(
        "[pools.{name}]\nbackends = [\"{address}\"]\n[routes.{name}]\npath = \"/{name}\"\npool = \"{name}\"\nrewrite = \"/\"\n"
    )
}

fn refused(balancer: &Running, times: usize, name: &str, told: &str) {
    balancer.signal("HUP");
    let line = balancer.said_times(REFUSED, times);
    assert!(line.contains(name) && line.contains(told), "{line}");
}

#[test]
fn one_file_of_several_that_is_emptied_is_refused_by_its_name() {
    let (one, two) = (Sample::start("one"), Sample::start("two"));
    let folder = folder_of(&[("one.toml", &service("one", &one)), ("two.toml", &service("two", &two))]);
    let balancer = by(&folder).start();
    folder.write("conf.d/one.toml", "\n");
    refused(
        &balancer,
        1,
        "conf.d/one.toml: ",
        "has nothing in it, as a file that is being written; if that is",
    );
    assert_eq!(get(balancer.address, "/one").expect_status(200).text(), "hello from one\n");
    folder.write("conf.d/one.toml", "# moved\n");
    balancer.signal("HUP");
    balancer.said(" reloaded");
    until("its service is gone", || get(balancer.address, "/one").status == 404);
    get(balancer.address, "/two").expect_status(200);
}

#[test]
fn with_watch_one_file_of_several_that_is_emptied_is_refused_as_well() {
    let (one, two) = (Sample::start("one"), Sample::start("two"));
    let folder = folder_of(&[("one.toml", &service("one", &one)), ("two.toml", &service("two", &two))]);
    let balancer = by(&folder).word("--watch").start();
    folder.write("conf.d/one.toml", "");
    let line = balancer.said(REFUSED);
    assert!(line.contains("conf.d/one.toml: has nothing in it"), "{line}");
    get(balancer.address, "/one").expect_status(200);
}

#[test]
fn an_emptied_file_is_told_before_what_the_others_miss_of_it() {
    let one = Sample::start("one");
    let pool = format!("[pools.one]\nbackends = [\"{}\"]\n", one.address());
    let folder = folder_of(&[("pools.toml", &pool), ("routes.toml", "[routes.one]\npool = \"one\"\n")]);
    let balancer = by(&folder).start();
    folder.write("conf.d/pools.toml", "");
    balancer.signal("HUP");
    let line = balancer.said(REFUSED);
    let told = ["conf.d/pools.toml: has nothing in it", "no pool has this name"].map(|told| line.find(told));
    assert!(told[0].is_some() && told[0] < told[1], "{line}");
    let (code, said) = by(&folder).word("validate").fail();
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.lines().next().is_some_and(|first| first.contains("pools.toml: has nothing in it")),
        "{said}"
    );
}

#[test]
fn a_file_that_is_empty_from_the_start_or_is_new_and_empty_is_taken() {
    let one = Sample::start("one");
    let folder = folder_of(&[("empty.toml", ""), ("one.toml", &service("one", &one))]);
    let balancer = by(&folder).start();
    folder.write("conf.d/new.toml", "");
    balancer.signal("HUP");
    balancer.said("reload: nothing has changed");
    get(balancer.address, "/one").expect_status(200);
}

#[test]
fn a_file_may_go_but_not_the_last_that_says_where_requests_go() {
    let (one, two) = (Sample::start("one"), Sample::start("two"));
    let folder = folder_of(&[("one.toml", &service("one", &one)), ("two.toml", &service("two", &two))]);
    let balancer = by(&folder).start();
    fs::remove_file(folder.path("conf.d/two.toml")).expect("a file of ours");
    balancer.signal("HUP");
    balancer.said(" reloaded");
    until("its service is gone", || get(balancer.address, "/two").status == 404);
    fs::remove_dir_all(folder.path("conf.d")).expect("a folder of ours");
    let told = "is gone, and no other file says where requests go; put it back";
    refused(&balancer, 1, "conf.d/one.toml: ", told);
    assert_eq!(get(balancer.address, "/one").expect_status(200).text(), "hello from one\n");
}

#[test]
fn without_files_a_reload_goes_back_to_the_flags() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let balancer = Balancer::before(&[first.address()]).flag("--admin", "127.0.0.1:0").start();
    let admin = balancer.admin();
    let settings = pool("first", &[second.address().to_string()]);
    let lines = JSON.replace("json", "toml");
    admin.ask("POST", "/api/v1/config", &lines, &settings).expect_status(200);
    let reloaded = balancer.times_said(" reloaded");
    balancer.signal("HUP");
    balancer.said_times(" reloaded", reloaded + 1);
    until("it goes by the flags", || get(balancer.address, "/").text() == "hello from first\n");
}

#[test]
fn what_was_posted_is_not_undone_by_files_that_were_changed_before_it() {
    let [first, second, third] = ["first", "second", "third"].map(Sample::start);
    let (watched, heads) = Backend::tells("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let says = |sample: &Sample| {
        pool("first", &[sample.address().to_string()]).replace("\"off\"", "\"127.0.0.1:0\"")
    };
    let settings = Settings::that_say(&says(&first));
    let balancer = settings.balancer().start();
    let admin = balancer.admin();
    settings.write(&says(&second));
    let posted = format!(
        "watch = true\n{}[pools.clock]\nbackends = [\"{}\"]\nhealth = {{ path = \"/\", interval = \"1s\" }}\n\
         [routes.clock]\npath = \"/clock\"\npool = \"clock\"\n[routes.rest]\npool = \"all\"\n",
        says(&third),
        watched.address
    );
    let lines = JSON.replace("json", "toml");
    admin.ask("POST", "/api/v1/config", &lines, &posted).expect_status(200);
    balancer.said("the files of settings are watched");
    // One a second: by then the files were looked at several times.
    for _ in 0..5 {
        heads.recv_timeout(PATIENCE).expect("a check, for what was posted is in force");
    }
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from third\n");
    settings.write(&format!("{}# later\n", says(&second)));
    until("a later change is followed", || get(balancer.address, "/").text() == "hello from second\n");
}
