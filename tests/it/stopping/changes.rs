//! A change of settings that a stop finds under way.

use std::net::UdpSocket;

use crate::support::admin::body;
use crate::support::pki::Folder;
use crate::support::{Backend, Client, PATIENCE, Settings};

use super::{ended_well, stop};

#[test]
fn a_change_that_is_under_way_at_a_stop_is_refused_and_opens_nothing() {
    loop {
        let ((backend, came, let_go), folder) = (Backend::held_up(), Folder::new());
        let names = UdpSocket::bind("127.0.0.1:0").unwrap();
        names.set_read_timeout(Some(PATIENCE)).unwrap();
        let text = format!(
            "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [pools.all]\nbackends = [\"{}\"]\n[routes.all]\npool = \"all\"\n",
            backend.address
        );
        let settings = Settings::that_say(&text);
        let balancer = settings.balancer().start();
        let mut slow = Client::to(balancer.address);
        slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
        came.wait();
        // It waits for a server of names that says nothing, but not for ever.
        let (named, path) = (names.local_addr().unwrap(), folder.path("more.sock"));
        let more = format!(
            "dns_servers = [\"{named}\"]\n{text}[listeners.more]\naddress = \"unix:{}\"\n\
             [pools.named]\ndiscover = [\"dns:app.test:80\"]\n",
            path.display()
        );
        let mut caller = Client::to(balancer.admin().address);
        caller.send(format!(
            "POST /api/v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/toml\r\n\
             Content-Length: {}\r\n\r\n{more}",
            more.len()
        ));
        names.recv_from(&mut [0; 1024]).expect("it asks");
        stop(&balancer, "TERM");
        if balancer.times_said("listening on ") > 1 {
            // The change came before the stop.
            continue;
        }
        let problem = body(&caller.answer().expect_status(503));
        assert_eq!(problem["detail"], "the program is about to end");
        assert!(!path.exists(), "nobody would be there");
        let_go.open();
        slow.answer().expect_status(200);
        ended_well(&balancer);
        assert_eq!(balancer.times_said("listening on "), 1);
        return;
    }
}

#[test]
fn what_is_asked_for_during_a_stop_is_refused_and_told_so() {
    let (backend, came, let_go) = Backend::held_up();
    let settings = Settings::that_say(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n[pools.all]\nbackends = [\"{}\"]\n",
        backend.address
    ));
    let balancer = settings.balancer().start();
    let mut slow = Client::to(balancer.address);
    slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    came.wait();
    stop(&balancer, "TERM");
    for times in 1..=2 {
        balancer.signal("HUP");
        balancer
            .said_times("reload refused, the settings stay as they were: the program is about to end", times);
        balancer.signal("USR2");
        balancer.said_times("no successor: the program is about to end", times);
    }
    let_go.open();
    slow.answer().expect_status(200);
    ended_well(&balancer);
}
