//! Signals that come before the first client.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::support::{Balancer, Fifo, Running, Sample, Settings, get, until};

/// More than a pipe holds.
const LINES: usize = 64 * 1024;

/// A balancer that has read the first of its settings, and waits for the rest of them.
fn amid_its_settings() -> (Running, File) {
    let path = Fifo::make();
    let balancer = Balancer::bare().flag("--config", "-").flag("--workers", "1").reading(&path).run();
    let mut settings = OpenOptions::new().write(true).open(&path).expect("a pipe that is read");
    fs::remove_file(&path).expect("a pipe of ours");
    settings.write_all("#\n".repeat(LINES).as_bytes()).expect("it reads");
    (balancer, settings)
}

#[test]
fn a_stop_before_there_are_settings_ends_it_as_any_other_stop() {
    for signal in ["TERM", "INT", "QUIT"] {
        let (balancer, _settings) = amid_its_settings();
        balancer.signal(signal);
        assert_eq!(balancer.ended().code(), Some(0), "{signal}");
        assert_eq!(balancer.all_said(), "loadbalancer: stopped before it served");
    }
}

/// It ends well, and at no time clients could come; unless it came to serve, or to be refused, before the signal did.
fn never_serves(balancer: &Running) -> bool {
    balancer.signal("TERM");
    let code = balancer.ended().code();
    if code == Some(1) || balancer.times_said("listening on") > 0 {
        return false;
    }
    assert_eq!(code, Some(0));
    balancer.said("stopped before it served");
    true
}

/// Often enough for one of them not to be waited for too long.
const TIMES: usize = 5;

#[test]
fn a_stop_while_servers_of_names_are_asked_where_backends_are_ends_it_at_once() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    silent.set_read_timeout(Some(Duration::from_secs(20))).expect("a while");
    let settings = Settings::that_say(&format!(
        "dns_servers = [\"{}\"]\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[pools.all]\ndiscover = [\"dns:app.test:80\"]\n",
        silent.local_addr().expect("it is bound")
    ));
    assert!((0..TIMES).any(|_| {
        let balancer = settings.balancer().flag("--admin", "off").run();
        silent.recv_from(&mut [0; 512]).expect("a question");
        never_serves(&balancer)
    }));
}

#[test]
fn a_stop_while_another_is_about_to_listen_where_it_is_to_ends_it_at_once() {
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let ports = held.each_ref().map(|port| port.local_addr().expect("it is bound"));
    let mut claims =
        ports.map(|address| format!("loadbalancer is about to listen on port {}", address.port()));
    claims.sort();
    let claim = |name: &str| UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).expect("a name"));
    let _other = claim(&claims[1]).expect("nobody has it");
    let [listen, admin] = ports.map(|address| address.to_string());
    assert!((0..TIMES).any(|_| {
        let balancer = Balancer::bare().flag("--backend", "127.0.0.1:1").flag("--workers", "1");
        let balancer = balancer.flag("--listen", &listen).flag("--admin", &admin).run();
        until("it has its first claim", || claim(&claims[0]).is_err());
        never_serves(&balancer)
    }));
}

#[test]
fn what_other_signals_ask_for_before_there_are_settings_is_done_once_it_serves() {
    let sample = Sample::start("one");
    let (balancer, mut settings) = amid_its_settings();
    ["HUP", "USR1", "USR2"].iter().for_each(|signal| balancer.signal(signal));
    let rest = format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n[pools.all]\nbackends = [\"{}\"]\n",
        sample.address()
    );
    settings.write_all(rest.as_bytes()).expect("it goes on reading");
    drop(settings);
    let balancer = balancer.listening();
    balancer.said("SIGUSR1 does nothing here: ");
    balancer.said("reload");
    balancer.said("no successor, this process goes on: the settings came from standard input");
    get(balancer.address, "/").expect_status(200);
    assert_eq!(balancer.times_said(" reload"), 1);
}
