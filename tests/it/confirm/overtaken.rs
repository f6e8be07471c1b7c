//! Changes that are taken back while somebody else's settings are being read.

use std::fs::{OpenOptions, remove_file};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::fs::OFlags;

use super::{admin, confirmation, failing, post, settings};
use crate::support::{Fifo, PATIENCE, Sample, Settings, get, lacks_lists_of_names, until};

#[test]
fn a_change_is_taken_back_while_names_are_looked_up_for_a_signal_which_then_does_not_insist_on_it() {
    if lacks_lists_of_names() {
        return;
    }
    let (good, bad) = (Sample::start("good"), failing());
    let files = Settings::that_say(&settings(&[good.address().to_string()], ""));
    // Whoever looks a name up waits until the pipe is opened by somebody else, and then finds nothing.
    let (list, nobody) = (Fifo::make(), files.put("resolv.conf", "nameserver 127.0.0.1\n"));
    let manager = Path::new(files.path()).with_file_name("notify");
    let told = UnixDatagram::bind(&manager).expect("a folder of ours");
    told.set_read_timeout(Some(PATIENCE)).expect("it is more than none");
    let balancer = files.balancer().names_from(&list).servers_of_names_from(&nobody);
    let balancer = balancer.env("NOTIFY_SOCKET", manager.to_str().expect("a path of ASCII")).start();
    let admin = admin(&balancer);
    for _ in 0..50 {
        get(balancer.address, "/").expect_status(200);
    }
    let watched = settings(&[bad.address.to_string()], "");
    post(admin, "config?confirm=60s", &watched).expect_status(200);
    files.write(&settings(&["app.test:9".to_owned()], ""));
    balancer.signal("HUP");
    let mut message = [0; 64];
    while told.recv(&mut message).is_ok() && !message.starts_with(b"RELOADING=1") {}
    until("the old settings are back", || {
        get(balancer.address, "/");
        confirmation(admin)["verdict"] == "rolled_back"
    });
    files.write(&watched);
    let refused =
        "reload refused, the settings stay as they were: the files say what was taken back; change them";
    until("who asked before is told", || {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        drop(OpenOptions::new().write(true).custom_flags(flags).open(&list));
        balancer.times_said(refused) == 1
    });
    remove_file(&list).expect("a pipe of ours");
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from good\n");
    balancer.signal("HUP");
    until("who asks now gets it", || get(balancer.address, "/").status == 500);
}
