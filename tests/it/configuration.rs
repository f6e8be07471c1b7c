//! A file says the settings, or is refused with all that is wrong with it.

mod converted;
mod drawn;
mod folders;
mod logs;
mod manual;
mod many;
mod misled;
mod refused;
mod tools;
mod unreadable;
mod variables;

use std::path::PathBuf;

use crate::support::pki::{Authority, Folder};
use crate::support::{Balancer, Sample, get};

/// Listens on a free port and has no admin API, so that many run side by side.
const START: &str = "workers = 1\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n";

#[test]
fn a_file_says_where_to_listen_and_where_requests_go() {
    let (folder, sample) = (Folder::new(), Sample::start("one"));
    let text = format!("{START}[pools.app]\nbackends = [\"{}\"]\n", sample.address());
    let balancer = Balancer::configured(&folder.write("lb.toml", text)).start();
    balancer.said("with 1 worker");
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from one\n");
}

#[test]
fn a_file_that_says_everything_is_taken() {
    let (folder, sample) = (folder_of_examples(), Sample::start("one"));
    let text = std::fs::read_to_string(folder.path("everything.toml")).unwrap();
    let text = text.replace("127.0.0.1:3000", &sample.address().to_string());
    let text = text.replace("127.0.0.1:8080", "127.0.0.1:0").replace("127.0.0.1:8443", "127.0.0.1:0");
    let text = text.replace("127.0.0.1:8081", "127.0.0.1:0");
    let balancer = Balancer::configured(&folder.write("lb.toml", text)).start();
    balancer.said("listening on https://");
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from one\n");
}

#[test]
fn yaml_says_the_same_with_the_same_keys() {
    let (folder, sample) = (Folder::new(), Sample::start("one"));
    let text = format!(
        "workers: 1\nlisteners:\n  web: {{ address: '127.0.0.1:0' }}\nadmin:\n  address: off\n\
         pools:\n  app:\n    policy: round_robin\n    backends:\n      - address: {}\n        weight: 2\n",
        sample.address()
    );
    for name in ["lb.yaml", "lb.yml"] {
        let balancer = Balancer::configured(&folder.write(name, &text)).start();
        balancer.said("(round_robin)");
        get(balancer.address, "/").expect_status(200);
    }
}

#[test]
fn a_file_may_come_by_standard_input_or_be_named_by_the_environment() {
    let (folder, sample) = (Folder::new(), Sample::start("one"));
    let file =
        folder.write("lb.toml", format!("{START}[pools.app]\nbackends = [\"{}\"]\n", sample.address()));
    let balancer = Balancer::bare().word("--config").word("-").reading(&file).start();
    get(balancer.address, "/").expect_status(200);
    balancer.signal("HUP");
    balancer.said("nothing has changed: the settings came from standard input, which is read once");
    let balancer = Balancer::bare().env("LOADBALANCER_CONFIG", file.to_str().unwrap()).start();
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn the_environment_fills_in_text_and_numbers() {
    let (folder, sample) = (Folder::new(), Sample::start("one"));
    let text = "workers = \"${LB_WORKERS:-1}\"\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
                [pools.app]\nbackends = [\"127.0.0.1:${LB_PORT}\"]\n";
    let file = folder.write("lb.toml", text);
    let port = sample.address().port().to_string();
    let balancer = Balancer::configured(&file).env("LB_PORT", &port).env("LB_WORKERS", "2").start();
    balancer.said("with 2 workers");
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn flags_of_the_process_win_over_the_file_and_what_files_say_by_name_is_not_for_flags() {
    let (folder, sample) = (Folder::new(), Sample::start("one"));
    let file =
        folder.write("lb.toml", format!("{START}[pools.app]\nbackends = [\"{}\"]\n", sample.address()));
    let balancer = Balancer::configured(&file).flag("--workers", "2").env("LOADBALANCER_LOG_LEVEL", "warn");
    let balancer = balancer.flag("--log-level", "info").start();
    balancer.said("with 2 workers");
    let (code, said) = Balancer::configured(&file).flag("--workers", "0").fail();
    assert_eq!((code, said.as_str()), (Some(2), "loadbalancer: --workers 0: too small; use at least 1"));
    for (flag, value) in [("--listen", "1"), ("--backend", "127.0.0.1:1"), ("--policy", "first")] {
        let (code, said) = Balancer::configured(&file).flag(flag, value).fail();
        let why = "--config lb.toml says where requests come from and go to";
        let expected =
            format!("loadbalancer: {flag}: {why}; remove {flag}, or write what it says into the file");
        assert_eq!((code, said), (Some(2), expected));
    }
    let variable = Balancer::configured(&file).env("LOADBALANCER_HEALTH_PATH", "/health");
    assert!(variable.fail().1.starts_with("loadbalancer: LOADBALANCER_HEALTH_PATH: --config lb.toml says"));
    let forgotten = Balancer::bare().env("LOADBALANCER_CONFIG", "p.toml").flag("--listen", "26080").fail();
    assert!(
        forgotten.1.starts_with("loadbalancer: --listen: LOADBALANCER_CONFIG p.toml says"),
        "{}",
        forgotten.1
    );
}

/// The examples, and all files that they name.
fn folder_of_examples() -> Folder {
    let (folder, authority) = (Folder::new(), Authority::new());
    let pair = authority.signs(&["localhost"]);
    folder.write("ca.pem", std::fs::read(authority.file()).unwrap());
    for name in ["site", "shop"] {
        folder.write(&format!("{name}.pem"), std::fs::read(pair.certificate()).unwrap());
        folder.write(&format!("{name}.key"), std::fs::read(pair.key()).unwrap());
    }
    folder.write("secret", "0123456789abcdef\n");
    folder.write("down.html", "<h1>down</h1>");
    for example in examples() {
        folder.write(example.file_name().unwrap().to_str().unwrap(), std::fs::read(&example).unwrap());
    }
    folder
}

/// Where the examples are.
fn examples() -> Vec<PathBuf> {
    let found = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/config")).unwrap();
    let mut found: Vec<_> = found.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}
