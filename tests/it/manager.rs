//! A service manager is told what the balancer does, as `sd_notify(3)` has it, and replaces it while it runs.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use crate::support::pki::Folder;
use crate::support::{Balancer, Client, PATIENCE, Sample, Successor, get, signal, until};

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
