//! Signals that come before the first client.

use std::fs::{self, File, OpenOptions};
use std::io::Write;

use crate::support::{Balancer, Fifo, Running, Sample, get};

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
