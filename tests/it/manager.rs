//! A service manager is told what the balancer does, as `sd_notify(3)` has it, and replaces it while it runs.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;

use crate::support::pki::Folder;
use crate::support::{Balancer, Client, PATIENCE, Sample, Successor, get, signal, until};

/// What other services say.
const OTHERS: &str = "STATUS=of another service";

/// Stands for systemd: what it is told.
struct Manager {
    told: UnixDatagram,
    path: PathBuf,
    _folder: Folder,
}

impl Manager {
    fn new() -> Self {
        let folder = Folder::new();
        let path = folder.path("notify");
        let told = UnixDatagram::bind(&path).unwrap();
        told.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { told, path, _folder: folder }
    }

    fn manages(&self, balancer: Balancer) -> Balancer {
        balancer.env("NOTIFY_SOCKET", self.path.to_str().unwrap())
    }

    /// Has so much to read that no more is taken, which it does not read.
    fn is_busy(&self) {
        let other = UnixDatagram::unbound().unwrap();
        other.set_nonblocking(true).unwrap();
        let full = loop {
            if let Err(error) = other.send_to(OTHERS.as_bytes(), &self.path) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
    }

    /// Reads what others told it.
    fn catches_up(&self) -> String {
        loop {
            let message = self.message();
            if message != OTHERS {
                return message;
            }
        }
    }

    /// The next message that is no sign of life.
    fn message(&self) -> String {
        loop {
            let message = self.any_message();
            if message != "WATCHDOG=1\n" {
                return message;
            }
        }
    }

    fn any_message(&self) -> String {
        let mut bytes = [0; 1024];
        let length = self.told.recv(&mut bytes).expect("a message");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }
}

#[test]
fn it_is_told_of_the_start_of_each_reload_and_of_the_stop() {
    let (manager, sample) = (Manager::new(), Sample::start("one"));
    let balancer = manager.manages(Balancer::before(&[sample.address()])).run().listening();
    assert_eq!(manager.message(), "READY=1\n");
    get(balancer.address, "/").expect_status(200);
    for _ in 0..2 {
        balancer.signal("HUP");
        let began = manager.message();
        let since = began.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("both in one message");
        assert!(since.trim_end().parse::<u64>().is_ok(), "{began}");
        assert_eq!(manager.message(), "READY=1\n");
    }
    balancer.signal("TERM");
    assert_eq!(manager.message(), "STOPPING=1\n");
    assert!(balancer.ended().success());
}

#[test]
fn it_is_told_of_a_stop_as_soon_as_notice_is_given_and_of_nothing_more() {
    let (manager, sample) = (Manager::new(), Sample::start("one"));
    let balancer = Balancer::before(&[sample.address()]).flag("--notice-timeout", "1h");
    let balancer = manager.manages(balancer).run().listening();
    assert_eq!(manager.message(), "READY=1\n");
    balancer.signal("TERM");
    assert_eq!(manager.message(), "STOPPING=1\n");
    balancer.signal("HUP");
    balancer.said("reload refused");
    get(balancer.address, "/").expect_status(200);
    balancer.signal("TERM");
    assert_eq!(balancer.ended().code(), Some(130));
    manager.told.set_nonblocking(true).unwrap();
    assert_eq!(manager.told.recv(&mut [0; 64]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn it_has_signs_of_life_as_often_as_it_wants() {
    let (manager, sample) = (Manager::new(), Sample::start("one"));
    let balancer =
        Balancer::before(&[sample.address()]).flag("--workers", "3").flag("--header-timeout", "2s");
    let balancer = manager.manages(balancer).env("WATCHDOG_USEC", "100000").start();
    // Its end tells the time: the balancer's clock stands still when the balancer does.
    let silent = Client::to(balancer.address);
    silent.stream().set_nonblocking(true).unwrap();
    manager.told.set_nonblocking(true).unwrap();
    let mut signs = 0;
    until("who says nothing is cut", || {
        let mut bytes = [0; 1024];
        while let Ok(length) = manager.told.recv(&mut bytes) {
            signs += usize::from(bytes[..length] == *b"WATCHDOG=1\n");
        }
        !silent.stream().peek(&mut bytes).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    });
    assert!(signs >= 20, "{signs} signs of 60");
}

#[test]
fn whom_it_watches_changes_with_a_successor_and_the_service_goes_on() {
    let (manager, sample) = (Manager::new(), Sample::start("one"));
    let balancer = manager.manages(Balancer::before(&[sample.address()])).start();
    assert_eq!(manager.message(), "READY=1\n");
    let successor = Successor::of(balancer.id(), &balancer, 0);
    assert_eq!(manager.message(), format!("READY=1\nMAINPID={}\n", successor.0));
    assert!(balancer.ended().success());
    get(balancer.address, "/").expect_status(200);
    signal("TERM", successor.0);
    assert_eq!(manager.message(), "STOPPING=1\n", "of the new one, for it was the old one's last word");
}

#[test]
fn while_it_does_not_read_clients_are_served_and_a_stop_is_a_stop() {
    let (manager, sample) = (Manager::new(), Sample::start("one"));
    manager.is_busy();
    let balancer = manager.manages(Balancer::before(&[sample.address()])).env("WATCHDOG_USEC", "100000");
    let balancer = balancer.start();
    get(balancer.address, "/").expect_status(200);
    balancer.said("the service manager does not read what it is told");
    balancer.signal("HUP");
    balancer.said("reload: nothing has changed");
    get(balancer.address, "/").expect_status(200);
    balancer.signal("TERM");
    assert!(balancer.ended().success());
}

#[test]
fn what_it_did_not_read_at_once_it_is_told_later_and_in_turn() {
    let (manager, sample) = (Manager::new(), Sample::start("one"));
    manager.is_busy();
    let balancer = manager.manages(Balancer::before(&[sample.address()])).start();
    balancer.signal("HUP");
    balancer.said("reload: nothing has changed");
    assert_eq!(manager.catches_up(), "READY=1\n");
    assert!(manager.message().starts_with("RELOADING=1\n"));
    assert_eq!(manager.message(), "READY=1\n");
    manager.is_busy();
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    assert!(manager.catches_up().starts_with("READY=1\nMAINPID="));
    assert!(balancer.ended().success());
}

#[test]
fn it_may_have_an_address_that_is_no_file() {
    let name = format!("loadbalancer-test-{}", std::process::id());
    let told = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    told.set_read_timeout(Some(PATIENCE)).unwrap();
    let sample = Sample::start("one");
    let _balancer = Balancer::before(&[sample.address()]).env("NOTIFY_SOCKET", &format!("@{name}")).start();
    let mut bytes = [0; 64];
    let length = told.recv(&mut bytes).expect("a message");
    assert_eq!(&bytes[..length], b"READY=1\n");
}
