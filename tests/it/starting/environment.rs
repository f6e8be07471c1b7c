//! Variables of the environment beside words of the command line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::support::Balancer;

const NO_TEXT: &[u8] = b"\xff";

fn told(words: &str, variable: &str, value: &str) -> (Option<i32>, String) {
    let balancer = Balancer::bare().env(&format!("LOADBALANCER_{variable}"), value);
    words.split(' ').fold(balancer, Balancer::word).fail()
}

#[test]
fn what_a_word_says_is_not_asked_of_the_environment_whatever_the_command() {
    for (words, variable) in [
        ("validate --health-interval 5s", "HEALTH_INTERVAL"),
        ("--health-interval 5s validate", "HEALTH_INTERVAL"),
        ("validate --policy=ring", "POLICY"),
        ("--policy=ring config show", "POLICY"),
        ("config --policy=ring show", "POLICY"),
        ("config show --policy=ring", "POLICY"),
    ] {
        let (code, said) = told(words, variable, "foo");
        assert_eq!(code, Some(0), "{words}: {said}");
        let without = words.replace("--health-interval 5s", "").replace("--policy=ring", "");
        let (code, said) = told(&without.split_whitespace().collect::<Vec<_>>().join(" "), variable, "foo");
        let start = format!("loadbalancer: invalid value 'foo' for 'LOADBALANCER_{variable}'");
        assert!(code == Some(2) && said.starts_with(&start), "{without}: {said}");
    }
    // What makes no sense here is the last thing that is looked at.
    let (_, said) = told("demo --drain-timeout 5s --workers 0", "DRAIN_TIMEOUT", "foo");
    assert!(said.starts_with("loadbalancer: --workers 0: too small"), "{said}");
}

#[test]
fn a_variable_that_says_nothing_to_a_command_is_not_read_by_it() {
    let nowhere = "--admin unix:/nowhere/there";
    for (words, code, start) in [
        ("completions bash", 0, "_loadbalancer()"),
        ("man", 0, ".ie"),
        ("config schema", 0, "{"),
        ("config convert nowhere.toml --to json", 1, "loadbalancer: nowhere.toml: cannot be read"),
        (&*format!("status {nowhere}"), 1, "loadbalancer: nobody listens on unix:/nowhere/there"),
        (&*format!("reload {nowhere}"), 1, "loadbalancer: nobody listens on unix:/nowhere/there"),
        (&*format!("drain {nowhere} x"), 1, "loadbalancer: nobody listens on unix:/nowhere/there"),
    ] {
        for variable in ["CONNECT_TIMEOUT", "WORKERS"] {
            let (ended, said) = told(words, variable, "x");
            assert!(ended == Some(code) && said.starts_with(start), "{words}: {ended:?} {said}");
        }
    }
}

#[test]
fn what_is_no_text_is_told_with_the_flag_or_the_variable_that_it_stands_for() {
    let no_text = OsStr::from_bytes(NO_TEXT);
    let behind = |word: &str| OsString::from_iter([OsStr::new(word), no_text]);
    let refused = |balancer: Balancer, name: &str| {
        let why = format!("loadbalancer: {name}: not UTF-8; write text that is (see --help)");
        assert_eq!(balancer.fail(), (Some(2), why));
    };
    let bare = || Balancer::bare().word("validate");
    refused(bare().word("--workers").word_of_bytes(no_text), "--workers");
    refused(bare().word_of_bytes(&behind("--workers=")), "--workers");
    // A file may have such a name for all that is known there.
    let log = bare().word_of_bytes(&behind("--access-log="));
    refused(log.word_of_bytes(&behind("--listen=")), "--listen");
    refused(Balancer::bare().word("drain").word_of_bytes(no_text), "'\u{fffd}'");
    refused(bare().env_of_bytes("LOADBALANCER_LISTEN", no_text), "LOADBALANCER_LISTEN");
    let (_, said) = bare().word("--json").env_of_bytes("LOADBALANCER_LISTEN", no_text).fail();
    assert!(said.contains("\"flag\": \"LOADBALANCER_LISTEN\""), "{said}");
    let won_over = bare().env_of_bytes("LOADBALANCER_WORKERS", no_text).flag("--workers", "1");
    assert_eq!(won_over.fail().0, Some(0));
}
