//! Unix sockets: of a path, as of a port, one program has the clients.

use std::io;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::support::pki::Folder;
use crate::support::{Backend, Balancer};

#[test]
fn a_path_where_a_program_has_as_many_waiting_as_it_lets_wait_is_in_use() {
    let folder = Folder::new();
    let path = folder.path("busy.sock");
    let address = SockAddr::unix(&path).unwrap();
    let socket = || Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    let busy = socket();
    busy.bind(&address).unwrap();
    busy.listen(0).unwrap();
    let mut waiting = Vec::new();
    let full = loop {
        let client = socket();
        client.set_nonblocking(true).unwrap();
        match client.connect(&address) {
            Ok(()) => waiting.push(client),
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    let balancer = Balancer::before(&[Backend::refuses()]);
    let (code, said) = balancer.flag("--listen", &format!("unix:{}", path.display())).fail();
    let expected = format!(
        "loadbalancer: cannot listen on unix:{}: a program answers there; stop it, or choose another path with --listen",
        path.display()
    );
    assert_eq!((code, said), (Some(1), expected));
    assert!(path.exists(), "it is not ours to remove");
}
