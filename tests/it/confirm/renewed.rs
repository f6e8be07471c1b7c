//! Files for TLS to backends that are replaced while a change is watched.

use std::fs;

use super::{admin, confirmation, post, settings};
use crate::support::pki::{Authority, Folder, replace};
use crate::support::tls_backend::{TlsBackend, with_certificate};
use crate::support::{Settings, get};

#[test]
fn files_for_tls_that_are_read_anew_while_a_change_is_watched_are_no_change_of_their_own() {
    let (known, other) = (Authority::new(), Authority::new());
    let backend = TlsBackend::start(with_certificate(&known.signs(&["localhost"])));
    let folder = Folder::new();
    let file = folder.write("ca.pem", fs::read(known.file()).unwrap());
    let tls = format!("tls = {{ ca_file = \"{}\" }}\n", file.display());
    let text = |more: &str| settings(&[backend.url("localhost")], &format!("{tls}{more}"));
    let settings_now = Settings::that_say(&text(""));
    let balancer = settings_now.balancer().start();
    let admin = admin(&balancer);
    balancer.said("is healthy");
    post(admin, "config?confirm=60s", &text("policy = \"round_robin\"\n")).expect_status(200);
    let both = [&known, &other].map(|authority| fs::read_to_string(authority.file()).unwrap()).concat();
    replace(&file, both.as_bytes());
    balancer.said("pool all: the files for TLS to backends were read anew");
    get(balancer.address, "/").expect_status(200);
    let told = confirmation(admin);
    assert_eq!(told["verdict"], "watching", "{told}");
    // What is put in force next is read from the files as they are.
    post(admin, "config", &text("")).expect_status(200);
    get(balancer.address, "/").expect_status(200);
}
