//! How a tunnel ends.

use std::fs::read_to_string;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::{ASK, SWITCH, echo, tunnel_to, upgraded};
use crate::support::{Backend, Balancer, Client, PATIENCE, Settings, Successor, Transport, gate, until};

#[test]
fn a_client_that_has_sent_all_still_hears_the_backend() {
    let (tell, told) = channel();
    let (opener, gate) = gate();
    let (_backend, balancer) = tunnel_to(move |mut transport| {
        tell.send(transport.rest()).unwrap();
        gate.wait();
        transport.send("still here");
    });
    let balancer = balancer.start();
    let mut client = upgraded(&balancer);
    client.send("last words");
    client.finish();
    assert_eq!(told.recv_timeout(PATIENCE).expect("the end of one way"), b"last words");
    opener.open();
    assert_eq!(client.rest(), b"still here");
}

#[test]
fn a_backend_that_has_sent_all_still_hears_the_client() {
    let (tell, told) = channel();
    let (_backend, balancer) = tunnel_to(move |mut transport| {
        transport.send("last words");
        transport.finish();
        tell.send(transport.rest()).unwrap();
    });
    let balancer = balancer.start();
    let mut client = upgraded(&balancer);
    assert_eq!(client.rest(), b"last words");
    client.send("still here");
    drop(client);
    assert_eq!(told.recv_timeout(PATIENCE).expect("the end of the other way"), b"still here");
}

#[test]
fn a_client_that_leaves_ends_the_backends_connection() {
    for leave in [drop, Client::reset] {
        let (tell, told) = channel();
        let (_backend, balancer) = tunnel_to(move |mut transport| {
            transport.send("hello");
            tell.send(transport.rest()).unwrap();
        });
        let balancer = balancer.start();
        let mut client = upgraded(&balancer);
        assert_eq!(client.bytes(5), b"hello");
        leave(client);
        assert_eq!(told.recv_timeout(PATIENCE).expect("the end of the tunnel"), b"");
    }
}

#[test]
fn a_client_that_leaves_as_its_tunnel_opens_leaves_nothing_behind() {
    let ((opener, gate), (tell, told)) = (gate(), channel());
    let backend = Backend::that(move |mut transport| {
        gate.wait();
        transport.send(SWITCH);
        tell.send(Vec::new()).unwrap();
        tell.send(transport.rest()).unwrap();
    });
    let balancer = Balancer::before(&[backend.address]).flag("--access-log", "-").start();
    let mut client = Client::to(balancer.address);
    client.send(ASK);
    until("the backend is asked", || backend.requests() == 1);
    // While it is frozen, both come to it.
    balancer.signal("STOP");
    opener.open();
    told.recv_timeout(PATIENCE).expect("the switch");
    drop(client);
    balancer.signal("CONT");
    assert_eq!(told.recv_timeout(PATIENCE).expect("the end of the tunnel"), b"");
    // Whichever it hears of first, the line is written, for nothing holds on to the request.
    balancer.said("\"path\":\"/chat\"");
}

#[test]
fn a_backend_that_leaves_ends_the_clients_connection() {
    for reset in [false, true] {
        let (opener, gate) = gate();
        let (_backend, balancer) = tunnel_to(move |transport| {
            gate.wait();
            if reset { transport.reset() } else { drop(transport) }
        });
        let balancer = balancer.start();
        let mut client = upgraded(&balancer);
        opener.open();
        client.expect_end();
    }
}

#[test]
fn what_a_backend_says_before_it_closes_reaches_a_client_that_is_writing() {
    let (tell, told) = channel();
    let (opener, gate) = gate();
    let (_backend, balancer) = tunnel_to(move |mut transport| {
        gate.wait();
        transport.send("bye");
        transport.reset();
        tell.send(()).unwrap();
    });
    let balancer = balancer.start();
    let mut client = upgraded(&balancer);
    // All of it is there at once.
    balancer.signal("STOP");
    client.send("hello");
    opener.open();
    told.recv_timeout(PATIENCE).expect("it broke off");
    balancer.signal("CONT");
    assert_eq!(client.bytes(3), b"bye");
    client.expect_end();
}

#[test]
fn a_tunnel_without_a_byte_for_too_long_is_ended_on_both_sides() {
    let (tell, told) = channel();
    let (_backend, balancer) = tunnel_to(move |mut transport| tell.send(transport.rest()).unwrap());
    let balancer = balancer.flag("--tunnel-idle-timeout", "200ms").start();
    let mut client = upgraded(&balancer);
    client.expect_end();
    assert_eq!(told.recv_timeout(PATIENCE).expect("the end of the tunnel"), b"");
}

#[test]
fn bytes_in_one_direction_keep_a_tunnel_open() {
    const PARTS: usize = 6;
    let (_backend, balancer) = tunnel_to(move |mut transport| {
        for _ in 0..PARTS {
            // In all longer than the timeout, each time far shorter.
            std::thread::sleep(std::time::Duration::from_millis(250));
            transport.send("tick ");
        }
    });
    let balancer = balancer.flag("--tunnel-idle-timeout", "1s").start();
    let mut client = upgraded(&balancer);
    assert_eq!(client.rest().len(), PARTS * "tick ".len());
}

#[test]
fn the_timeouts_of_requests_do_not_hold_for_a_tunnel() {
    let (opener, gate) = gate();
    let (backend, balancer) = tunnel_to(move |transport| {
        gate.wait();
        echo(transport);
    });
    let balancer = balancer.flag("--response-timeout", "1s").flag("--body-timeout", "1s");
    let balancer = balancer.flag("--client-idle-timeout", "1s").flag("--header-timeout", "1s").start();
    let mut client = upgraded(&balancer);
    // A second client's request runs into such a timeout: so much time has passed for the first one, too.
    let mut other = Client::to(balancer.address);
    other.send("GET / HTTP/1.1\r\n");
    other.answer().expect_status(408);
    assert_eq!(backend.requests(), 1);
    opener.open();
    client.send("hello");
    assert_eq!(client.bytes(5), b"hello");
}

#[test]
fn a_stop_leaves_tunnels_open_as_long_as_requests_have_to_finish() {
    let (_backend, balancer) = tunnel_to(echo);
    let balancer = balancer.start();
    let mut client = upgraded(&balancer);
    balancer.signal("TERM");
    balancer.said("stopping");
    client.send("hello");
    assert_eq!(client.bytes(5), b"hello");
    drop(client);
    assert!(balancer.ended().success());
}

#[test]
fn a_switch_during_a_stop_is_not_said_to_be_the_last_answer() {
    let (tell, told) = channel();
    let (switch, switches) = channel::<()>();
    let switches = Mutex::new(switches);
    let backend = Backend::that(move |mut transport| {
        tell.send(()).unwrap();
        switches.lock().unwrap().recv().expect("the test goes on");
        transport.send(SWITCH);
        echo(transport);
    });
    let balancer = Balancer::before(&[backend.address]).start();
    let mut client = Client::to(balancer.address);
    client.send(ASK);
    told.recv_timeout(PATIENCE).expect("it was asked");
    balancer.signal("TERM");
    balancer.said("stopping");
    until("nobody listens", || TcpStream::connect(balancer.address).is_err());
    switch.send(()).unwrap();
    let answer = client.head();
    let connection = answer.header("connection").map(str::to_ascii_lowercase);
    assert_eq!((answer.status, connection.as_deref()), (101, Some("upgrade")));
    client.send("hello");
    assert_eq!(client.bytes(5), b"hello");
    drop(client);
    assert!(balancer.ended().success());
}

#[test]
fn a_stop_ends_tunnels_when_that_time_is_over() {
    let (tell, told) = channel();
    let (_backend, balancer) = tunnel_to(move |mut transport| tell.send(transport.rest()).unwrap());
    let balancer = balancer.flag("--drain-timeout", "200ms").start();
    let mut client = upgraded(&balancer);
    balancer.signal("TERM");
    client.expect_end();
    assert_eq!(told.recv_timeout(PATIENCE).expect("the end of the tunnel"), b"");
    balancer.said("cut at the end of the drain time: 1 connection");
    assert!(balancer.ended().success());
}

#[test]
fn a_tunnel_of_a_listener_that_a_reload_removes_goes_on_until_its_client_ends_it() {
    let (backend, _) = tunnel_to(echo);
    let text = |listeners: &str| {
        format!(
            "[listeners]\n{listeners}[admin]\naddress = \"off\"\n\
             [pools.all]\nbackends = [\"{}\"]\nhealth = {{ path = \"/health\" }}\n",
            backend.address
        )
    };
    let stays = "web = { address = \"127.0.0.1:0\" }\n";
    let settings = Settings::that_say(&text(&format!("goes = {{ address = \"127.0.0.1:0\" }}\n{stays}")));
    let balancer = settings.balancer().start();
    let mut client = upgraded(&balancer);
    settings.change(&balancer, &text(stays));
    balancer.said(&format!("no longer listening on http://{}", balancer.address));
    until("nobody listens", || TcpStream::connect(balancer.address).is_err());
    for _ in 0..100 {
        client.send("hello");
        assert_eq!(client.bytes(5), b"hello");
    }
    client.finish();
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_tunnel_of_a_process_that_is_replaced_goes_on_until_that_is_to_stop() {
    let (_backend, balancer) = tunnel_to(echo);
    let balancer = balancer.flag("--drain-timeout", "1ms").start();
    let mut client = upgraded(&balancer);
    let _successor = Successor::of(balancer.id(), &balancer, 0);
    balancer.said("running requests have 3600s to finish");
    for _ in 0..100 {
        client.send("hello");
        assert_eq!(client.bytes(5), b"hello");
    }
    balancer.signal("TERM");
    balancer.said("running requests have 1ms to finish");
    client.expect_end();
    assert!(balancer.ended().success());
}

#[test]
fn the_access_log_tells_of_a_tunnel_when_it_has_ended() {
    let (_backend, balancer) = tunnel_to(echo);
    let balancer = balancer.flag("--access-log", "-").start();
    let mut client = upgraded(&balancer);
    client.send("hello");
    assert_eq!(client.bytes(5), b"hello");
    assert_eq!(balancer.times_said("\"status\":101"), 0);
    drop(client);
    until("the tunnel is logged", || balancer.times_said("\"status\":101") == 1);
    let line = balancer.said("\"status\":101");
    assert!(line.contains("\"bytes_in\":5") && line.contains("\"bytes_out\":5"), "{line}");
    assert!(line.contains("\"path\":\"/chat\"") && line.contains("\"termination\":\"--\""), "{line}");
}

#[test]
fn the_access_log_tells_who_ended_a_tunnel_that_did_not_end_in_order() {
    let ended = |script: fn(Transport), leave: fn(Client), reason: &str| {
        let (_backend, balancer) = tunnel_to(script);
        let balancer = balancer.flag("--access-log", "-").flag("--tunnel-idle-timeout", "500ms").start();
        leave(upgraded(&balancer));
        let line = balancer.said("\"status\":101");
        assert!(line.contains(&format!("\"reason\":\"{reason}\"")), "{line}");
    };
    let stay = |mut client: Client| drop(client.remains());
    ended(Transport::reset, stay, "tunnel_broken");
    ended(|mut transport| transport.wait_for_end(), stay, "tunnel_timeout");
    ended(|mut transport| transport.wait_for_end(), Client::reset, "client_gone");
}

/// Whether the system will ask who is at this port whether it is there still (`tr` in proc_net_tcp(5)).
fn will_be_asked(port: u16) -> bool {
    let sockets = read_to_string("/proc/net/tcp").unwrap();
    let remote = format!(":{port:04X}");
    sockets.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(2);
        fields.next().unwrap().ends_with(&remote) && fields.nth(2).unwrap().starts_with("02:")
    })
}

#[test]
fn neither_end_of_a_quiet_tunnel_can_vanish_unnoticed() {
    let (backend, balancer) = tunnel_to(echo);
    let balancer = balancer.start();
    let stream = TcpStream::connect(balancer.address).unwrap();
    let port = stream.local_addr().unwrap().port();
    let mut client = Client::over(stream);
    client.send(ASK);
    assert_eq!(client.head().status, 101);
    client.send("hello");
    assert_eq!(client.bytes(5), b"hello");
    until("the client is to be asked", || will_be_asked(port));
    until("the backend is to be asked", || will_be_asked(backend.address.port()));
}
