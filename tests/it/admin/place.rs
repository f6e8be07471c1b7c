//! Where the admin API is.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::*;

fn ask_at(path: &Path, resource: &str) -> String {
    let mut stream = UnixStream::connect(path).expect("somebody listens there");
    let head = format!("GET {resource} HTTP/1.1\r\nHost: whatever\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_unix_socket_is_for_its_owner_alone_and_needs_no_token() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let path = settings.put("admin", "");
    std::fs::remove_file(&path).unwrap();
    let _balancer = settings.balancer().flag("--admin", &format!("unix:{}", path.display())).start();
    until("it is there", || UnixStream::connect(&path).is_ok());
    assert!(ask_at(&path, "/api/v1/overview").starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_address_that_cannot_be_had_keeps_it_from_starting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let (code, said) = settings.balancer().flag("--admin", &taken.to_string()).fail();
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("no admin API on {taken}: the port is in use")), "{said}");
    assert!(said.contains("choose another with "), "{said}");
}

#[test]
fn a_listener_of_clients_is_no_place_for_it() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = pool("first", &[Backend::refuses()]).replace("127.0.0.1:0", &free.to_string());
    let settings = Settings::that_say(&text);
    let (code, said) = settings.balancer().flag("--admin", &free.to_string()).fail();
    assert!(code == Some(1) || code == Some(2), "{said}");
    assert!(said.contains(&free.to_string()), "{said}");
}

#[test]
fn without_a_file_it_is_off_until_a_flag_asks_for_it() {
    let balancer = Balancer::before(&[Backend::refuses()]).start();
    balancer.said("forwarding to");
    get(balancer.address, "/");
    assert_eq!(balancer.times_said("admin API"), 0);
    let balancer = Balancer::before(&[Backend::refuses()]).flag("--admin", "127.0.0.1:0").start();
    assert_eq!(balancer.admin().get("/api/v1/overview")["pools"], 1);
}

#[test]
fn clients_may_come_where_it_was_and_callers_where_clients_came() {
    let taken = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, other] = taken.map(|taken| taken.local_addr().unwrap());
    let text = |listener: SocketAddr, admin: SocketAddr| {
        let backend = Backend::refuses();
        format!(
            "[listeners.web]\naddress = \"{listener}\"\n[admin]\naddress = \"{admin}\"\n[pools.first]\nbackends = [\"{backend}\"]\n"
        )
    };
    let settings = Settings::that_say(&text(one, other));
    let balancer = Balancer::bare().flag("--config", settings.path()).start();
    settings.change(&balancer, &text(other, one));
    until("clients come there", || get(other, "/").status == 503);
    until("callers come there", || get(one, "/livez").status == 200);
}

#[test]
fn a_reload_moves_it_and_answers_who_asked_for_that() {
    let text = pool("first", &[Backend::refuses()]);
    let settings = Settings::that_say(&format!("{text}[admin]\naddress = \"127.0.0.1:0\"\n"));
    let socket = settings.put("admin", "");
    std::fs::remove_file(&socket).unwrap();
    let balancer = settings.balancer().start();
    let admin = balancer.admin();
    settings.write(&format!("{text}[admin]\naddress = \"unix:{}\"\n", socket.display()));
    let tried = admin.post("/api/v1/reload?dry_run=1", "{}").expect_status(200);
    assert_eq!(body(&tried)["result"], "changed");
    assert!(!socket.exists(), "a trial leaves nothing behind");
    let moved = admin.post("/api/v1/reload", "{}").expect_status(200);
    assert_eq!(body(&moved)["result"], "changed");
    balancer.said(&format!("admin API on unix:{}", socket.display()));
    until("it is there", || UnixStream::connect(&socket).is_ok());
    assert!(ask_at(&socket, "/readyz").starts_with("HTTP/1.1 200 OK\r\n"));
    until("it is no longer where it was", || TcpStream::connect(admin.address).is_err());
    settings.change(&balancer, &format!("{text}[admin]\naddress = \"off\"\n"));
    balancer.said(&format!("the admin API is no longer on unix:{}", socket.display()));
    until("it is nowhere", || UnixStream::connect(&socket).is_err());
    get(balancer.address, "/");
}

#[test]
fn it_comes_to_be_at_the_port_that_the_system_chose_and_callers_stay() {
    let text = pool("first", &[Backend::refuses()]);
    let settings = Settings::that_say(&format!("{text}[admin]\naddress = \"127.0.0.1:0\"\n"));
    let balancer = settings.balancer().start();
    let admin = balancer.admin().address;
    let mut caller = Client::to(admin);
    let look = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    caller.send(look);
    caller.answer().expect_status(200);
    settings.change(&balancer, &format!("{text}[admin]\naddress = \"{admin}\"\n"));
    caller.send(look);
    caller.answer().expect_status(200);
}

#[test]
fn who_is_connected_when_a_reload_moves_it_has_to_connect_anew() {
    let text = pool("first", &[Backend::refuses()]);
    let settings = Settings::that_say(&format!("{text}[admin]\naddress = \"127.0.0.1:0\"\n"));
    let balancer = settings.balancer().start();
    let mut idle = Client::to(balancer.admin().address);
    let mut busy = Client::to(balancer.admin().address);
    let look = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    idle.send(look);
    idle.answer().expect_status(200);
    settings.write(&format!("{text}[admin]\naddress = \"off\"\n"));
    busy.send(format!(
        "POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 2\r\n\r\n{{}}"
    ));
    assert_eq!(busy.answer().expect_status(200).header("connection"), Some("close"));
    busy.expect_end();
    // It may have heard of the end by now.
    let _ = idle.try_send(look);
    idle.expect_end();
    get(balancer.address, "/");
}
