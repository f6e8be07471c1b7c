//! Unix sockets: of a path, as of a port, one program has the clients.

use std::fs::{Permissions, set_permissions};
use std::io;
use std::net::UdpSocket;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::support::pki::Folder;
use crate::support::{Backend, Balancer, PATIENCE, Running, Settings, until};

#[test]
fn of_balancers_that_start_at_once_at_a_path_one_listens_there() {
    let (folder, names) = (Folder::new(), UdpSocket::bind("127.0.0.1:0").unwrap());
    names.set_read_timeout(Some(PATIENCE)).unwrap();
    let path = folder.path("balancer.sock");
    // It has its socket, and waits for a server of names that says nothing, but not for ever, before it listens.
    let settings = Settings::that_say(&format!(
        "dns_servers = [\"{}\"]\n[listeners.web]\naddress = \"unix:{}\"\n[admin]\naddress = \"off\"\n\
         [pools.all]\ndiscover = [\"dns:app.test:80\"]\n",
        names.local_addr().unwrap(),
        path.display()
    ));
    let first = settings.balancer().run();
    names.recv_from(&mut [0; 1024]).expect("it asks");
    // The same path in other words.
    symlink(folder.path(""), folder.path("link")).unwrap();
    let other = format!("unix:{}", folder.path("link/balancer.sock").display());
    let second = Balancer::before(&[Backend::refuses()]).flag("--listen", &other).run();
    let all = [first, second];
    let listens = |balancer: &&Running| balancer.times_said("listening on ") == 1;
    let is_refused = |balancer: &&Running| balancer.times_said("a program answers there") == 1;
    until("each listens or says why not", || {
        all.iter().all(|balancer| listens(&balancer) || is_refused(&balancer))
    });
    assert_eq!(all.iter().filter(listens).count(), 1);
    UnixStream::connect(&path).expect("one listens");
}

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

#[test]
fn who_may_not_try_a_socket_that_is_there_is_told_so_and_not_that_a_program_answers() {
    let folder = Folder::new();
    let path = folder.path("others.sock");
    drop(UnixListener::bind(&path).unwrap());
    set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    let balancer =
        || Balancer::before(&[Backend::refuses()]).flag("--listen", &format!("unix:{}", path.display()));
    let expected = format!(
        "loadbalancer: cannot listen on unix:{}: we may not find out whether a program answers at the socket that is \
         there; remove that, or choose another path with --listen",
        path.display()
    );
    assert_eq!(balancer().bound_by_modes().fail(), (Some(1), expected));
    assert!(path.exists(), "it is not ours to remove");
}
