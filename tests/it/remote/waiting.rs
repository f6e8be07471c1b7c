//! Who has a change watched waits for what comes of it.

use std::io::Read;
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};

use crate::support::{Backend, Balancer, Running, Sample, Settings, get};

use super::{ask, start, told, told_in_json};

fn pool(address: &str) -> String {
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n\
         [pools.all]\nbackends = [\"{address}\"]\nhealth = {{ path = \"/health\" }}\n"
    )
}

/// A balancer whose backend is well, its settings, and others that are in its file by now.
fn about_to_change(address: &str) -> (Sample, Settings, Running) {
    let good = Sample::start("good");
    let settings = Settings::that_say(&pool(&good.address().to_string()));
    let balancer = start(&settings);
    balancer.said("is healthy");
    settings.write(&pool(address));
    (good, settings, balancer)
}

#[test]
fn a_change_that_stays_is_waited_for() {
    let other = Sample::start("other");
    let (_good, _settings, balancer) = about_to_change(&other.address().to_string());
    let said = told(&balancer, &["reload", "--confirm", "1s"]);
    assert!(said.starts_with("reloaded: settings 2 are in force\nwatched for 1s"), "{said}");
    assert!(said.ends_with("\nthe change stays: nothing got worse"), "{said}");
    balancer.said("the change stays");
    assert_eq!(
        told(&balancer, &["reload", "--confirm", "1s"]),
        "nothing has changed, and nothing is watched"
    );
}

#[test]
fn a_change_that_is_taken_back_is_told_with_the_reason_and_a_status_of_its_own() {
    let (good, settings, balancer) = about_to_change(&Backend::refuses().to_string());
    let (code, said) = ask(&balancer, &["reload", "--confirm", "60s"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(told(&balancer, &["status"]).contains("the last change was taken back"));
    let why = "loadbalancer: the change was taken back: no backend of pool all could be used";
    assert!(said.contains(why), "{said}");
    get(balancer.address, "/").expect_status(200);
    settings.change(&balancer, &(pool(&good.address().to_string()) + "policy = \"random\"\n"));
    assert!(!told(&balancer, &["status"]).contains("taken back"), "it is not the last one any more");
}

#[test]
fn what_came_of_a_change_is_told_as_json_too() {
    let other = Sample::start("other");
    let (_good, settings, balancer) = about_to_change(&other.address().to_string());
    let told = told_in_json(&balancer, &["reload", "--confirm", "1s"]);
    assert_eq!((&told["result"], &told["watched"]), (&json!("changed"), &json!(true)), "{told}");
    assert_eq!(told["confirmation"]["verdict"], "kept", "{told}");
    settings.write(&pool(&Backend::refuses().to_string()));
    let asked = Balancer::bare().flag("--admin", &balancer.admin().address.to_string());
    let (code, said) = asked.word("reload").word("--confirm=60s").word("--json").fail();
    assert_eq!(code, Some(3), "{said}");
    // Standard error has the line for people.
    let text: String = said.lines().filter(|line| !line.starts_with("loadbalancer: ")).collect();
    let told: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(told["confirmation"]["verdict"], "rolled_back", "{told}");
    assert_eq!(told["confirmation"]["reason"], "no backend of pool all could be used", "{told}");
}

/// Asks a balancer to try its settings for a minute, and waits for what comes of them.
fn waiting_for(balancer: &Running) -> Running {
    let asked = Balancer::bare().flag("--admin", &balancer.admin().address.to_string());
    let waiting = asked.word("reload").word("--confirm=60s").run();
    waiting.said("watched for 60s");
    waiting
}

#[test]
fn who_stops_waiting_does_not_stop_the_watch() {
    let other = Sample::start("other");
    let (_good, _settings, balancer) = about_to_change(&other.address().to_string());
    let waiting = waiting_for(&balancer);
    waiting.signal("INT");
    assert_eq!(waiting.ended().code(), Some(130));
    waiting.said("the balancer goes on watching the change (see `status`)");
    assert_eq!(told_in_json(&balancer, &["status"])["confirmation"]["verdict"], "watching");
}

#[test]
fn who_stops_waiting_is_let_go_though_the_balancer_does_not_answer() {
    let other = Sample::start("other");
    let (_good, _settings, balancer) = about_to_change(&other.address().to_string());
    let waiting = waiting_for(&balancer);
    balancer.signal("STOP");
    waiting.signal("INT");
    let ended = waiting.ended();
    balancer.signal("CONT");
    assert_eq!(ended.code(), Some(130));
}

#[test]
fn a_change_that_others_overtake_is_waited_for_no_longer() {
    let other = Sample::start("other");
    let (good, settings, balancer) = about_to_change(&other.address().to_string());
    let waiting = waiting_for(&balancer);
    settings.write(&pool(&good.address().to_string()));
    told(&balancer, &["reload"]);
    assert_eq!(waiting.ended().code(), Some(1));
    waiting.said("the change is no longer watched: the settings were changed again");
}

#[test]
fn a_balancer_that_ends_meanwhile_is_told_of() {
    let other = Sample::start("other");
    let (_good, _settings, balancer) = about_to_change(&other.address().to_string());
    let waiting = waiting_for(&balancer);
    balancer.signal("TERM");
    balancer
        .said("WARN the change that is watched is not confirmed, and nobody will watch what the files say");
    assert_eq!(waiting.ended().code(), Some(1));
    waiting.said("what comes of the change cannot be followed any more");
}

#[test]
fn not_to_wait_makes_sense_only_for_a_change_that_is_watched() {
    let (_good, _settings, balancer) = about_to_change("127.0.0.1:1");
    let (code, said) = ask(&balancer, &["reload", "--no-wait"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--confirm <DURATION> is missing"), "{said}");
}

#[test]
fn a_time_to_confirm_in_that_cannot_be_is_shown_as_it_was_written() {
    for time in ["99h", "100ms", "soon"] {
        let (code, said) = Balancer::bare().word("reload").flag("--confirm", time).fail();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(time) && said.contains("a time from 1s to 1h"), "{said}");
    }
}

#[test]
fn who_is_left_without_an_answer_is_told_of_what_was_asked_for_only_if_that_was_a_change() {
    let settings = Settings::that_say(&pool(&Backend::refuses().to_string()));
    let leaves = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = leaves.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut caller in leaves.incoming().map_while(Result::ok) {
            // It ends the connection in place of an answer.
            let _ = caller.read(&mut [0; 4096]);
        }
    });
    for (words, is_change) in [
        (&["reload"][..], true),
        (&["reload", "--dry-run"], false),
        (&["plan", settings.path()], false),
        (&["status"], false),
    ] {
        let asked = Balancer::bare().flag("--admin", &address);
        let (code, said) = words.iter().fold(asked, |asked, word| asked.word(word)).fail();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("{address}: the connection broke off: ")), "{said}");
        assert_eq!(
            said.contains("what was asked for may still be done: look at its log"),
            is_change,
            "{said}"
        );
    }
}
