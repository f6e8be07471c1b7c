//! What tests are written with: programs that are started as a user starts them, clients that speak raw HTTP, and
//! backends that misbehave.
//!
//! Nothing here sleeps and hopes: what is waited for is named, and a wait that fails says what did come.

pub mod admin;
mod backend;
mod client;
mod dns;
mod fifo;
mod files;
pub mod frames;
mod gate;
pub mod h2_backend;
mod http2;
pub mod pki;
mod program;
mod settings;
mod successor;
pub mod tls;
pub mod tls_backend;
mod wire;

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

pub use backend::{Backend, Transport};
pub use client::{Answer, Client, expect_reason, get, request};
pub use dns::Dns;
pub use fifo::Fifo;
pub use files::{files_of, leave_files, leave_none, limit_files};
pub use frames::{Frame, frame, head, read_frame, settings};
pub use gate::{Gate, Opener, gate};
pub use http2::{Http2, Stream, get as http2_get};
pub use program::{Balancer, Running, Sample, address_in, backends};
pub use settings::Settings;
pub use successor::{Successor, signal};

/// How long anything may take before its test fails: far longer than it ever should.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Ends what goes on until then, also when a wait fails: threads that wait for this would go on for ever.
pub struct End<'a>(pub &'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Waits until this holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it never came to be that {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether this machine has no IPv6 that a test could use, which is said.
pub fn lacks_ipv6() -> bool {
    let lacks = TcpListener::bind("[::1]:0").is_err();
    if lacks {
        eprintln!("this machine has no IPv6: nothing was tried with it");
    }
    lacks
}

/// Whether this machine lets no program have a list of names of its own, which is said.
pub fn lacks_lists_of_names() -> bool {
    let mount = ["--mount", "--map-root-user", "mount", "--bind", "/etc/hosts", "/etc/hosts"];
    let lacks = !Command::new("unshare").args(mount).output().is_ok_and(|tried| tried.status.success());
    if lacks {
        eprintln!("this machine lets nobody have names of his own: nothing was tried");
    }
    lacks
}

/// Keeps a free port there from all who take any: only who names it may listen on it, for this does not.
pub fn kept_port(address: Ipv4Addr) -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // As who listens there does: then both may have it.
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).expect("a free port");
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

/// To be held by a test that needs the ports that programs take when they are not told any: there is one set for all.
pub fn default_ports() -> File {
    let lock =
        File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("default-ports")).expect("a lock file");
    lock.lock().expect("a lock");
    lock
}
