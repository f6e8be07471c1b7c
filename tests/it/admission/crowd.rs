//! A thousand clients that are slow on purpose do not slow one that is not.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use loadbalancer::connect::raise_most_files;

use super::limited;
use crate::support::{Client, Running, get};

const SLOW: usize = 1000;

/// Kilobytes of memory that a process holds.
fn memory_of(process: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn a_thousand_clients_that_drip_their_heads_slow_nobody_and_are_cut() {
    raise_most_files().expect("a limit on files");
    let (_sample, balancer) = limited(&[("--header-timeout", "3s")]);
    let before = memory_of(&balancer);
    let mut slow: Vec<_> = (0..SLOW).map(|_| Client::to(balancer.address)).collect();
    for client in &mut slow {
        client.send("GET / HTTP/1.1\r\nHost: te");
    }
    let streams: Vec<_> = slow.iter().map(|client| client.stream().try_clone().expect("a handle")).collect();
    let over = Arc::new(AtomicBool::new(false));
    let dripping = {
        let over = Arc::clone(&over);
        thread::spawn(move || {
            use std::io::Write;
            while !over.load(Ordering::SeqCst) {
                for mut stream in &streams {
                    // Those that were cut take no more.
                    let _ = stream.write(b"a");
                }
                thread::sleep(Duration::from_millis(100));
            }
        })
    };
    for _ in 0..200 {
        get(balancer.address, "/").expect_status(200);
    }
    let grown = memory_of(&balancer).saturating_sub(before);
    assert!(grown < 64 * 1024, "{SLOW} slow clients take {grown} kB");
    for client in &mut slow {
        client.answer().expect_status(408);
    }
    over.store(true, Ordering::SeqCst);
    dripping.join().expect("it drips to the end");
    get(balancer.address, "/").expect_status(200);
}
