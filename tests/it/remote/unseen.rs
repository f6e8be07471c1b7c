//! What was found of a backend before it was let back in is not told as if it were found since.

use std::mem;
use std::sync::Mutex;

use serde_json::Value;

use crate::support::{Backend, Opener, Sample, Settings, gate, until};

use super::{start, told, told_in_json};

const UNSEEN: &str = "; not checked since it was let back in";

/// A backend that answers its first check, and another one when it is let.
fn patient() -> (Backend, Opener) {
    let (opener, gate) = gate();
    let is_first = Mutex::new(true);
    let backend = Backend::that(move |mut transport| {
        if !mem::take(&mut *is_first.lock().unwrap()) {
            gate.wait();
        }
        transport.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    (backend, opener)
}

fn pool(backends: &[String]) -> String {
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[pools.all]\nbackends = {backends:?}\n\
         health = {{ path = \"/check\", interval = \"1h\", timeout = \"1h\" }}\n"
    )
}

fn is_unseen(said: &Value) -> bool {
    said["why"].as_str().is_some_and(|why| why.ends_with(UNSEEN))
}

#[test]
fn who_enables_a_backend_is_told_that_it_was_not_checked_since() {
    let (backend, opener) = patient();
    let balancer = start(&Settings::that_say(&pool(&[backend.address.to_string()])));
    balancer.said("is healthy");
    let address = backend.address.to_string();
    told(&balancer, &["drain", &address]);
    let said = told(&balancer, &["enable", &address]);
    assert!(!said.contains(UNSEEN), "it was checked all the time: {said}");
    told(&balancer, &["disable", &address]);
    let said = told(&balancer, &["enable", &address]);
    let found = format!("all/{address} is up: answered 200 in ");
    assert!(said.starts_with(&found) && said.ends_with(UNSEEN), "{said}");
    opener.open();
    until("it is checked", || !is_unseen(&balancer.admin().backend(backend.address)));
}

#[test]
fn a_backend_that_comes_back_is_said_not_to_have_been_checked_since() {
    let ((backend, opener), other) = (patient(), Sample::start("other"));
    let [address, other] = [backend.address, other.address()].map(|address| address.to_string());
    let settings = Settings::that_say(&pool(&[address.clone(), other.clone()]));
    let balancer = start(&settings);
    balancer.said(&format!("{address} is healthy"));
    // It is remembered for that.
    assert!(!is_unseen(&told_in_json(&balancer, &["weight", &address, "5"])));
    settings.change(&balancer, &pool(std::slice::from_ref(&other)));
    settings.change(&balancer, &pool(&[address, other]));
    let said = balancer.admin().backend(backend.address);
    assert!(said["state"] == "up" && is_unseen(&said), "{said}");
    opener.open();
    until("it is checked", || !is_unseen(&balancer.admin().backend(backend.address)));
}
