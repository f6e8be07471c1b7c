//! Nobody takes what a program says of what it did not do, or of what it was asked: its exit status tells.

use std::net::TcpListener;
use std::path::Path;

use crate::support::pki::Folder;
use crate::support::{Balancer, Settings};

const FULL: &str = "/dev/full";

#[test]
fn what_cannot_be_said_on_standard_error_changes_no_exit_status() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("--listen={}", other.local_addr().unwrap());
    let folder = Folder::new();
    let twice = folder.write("twice.toml", "workers = 1\nworkers = 2\n").display().to_string();
    let cases = [
        (vec!["--listen=foo"], 2),
        (vec!["--lissen=foo"], 2),
        (vec![&taken], 1),
        (vec!["validate", "--config", &twice], 2),
        (vec!["drain", "nope"], 1),
        (vec!["plan", "/nowhere.toml"], 1),
        (vec!["config", "convert", &twice, "/nowhere.yaml"], 2),
        (vec!["config", "convert", "/nowhere.toml", "/nowhere.yaml"], 1),
        (vec!["config", "convert", &twice, &twice], 2),
        (vec!["demo", "--backend=127.0.0.1:1"], 2),
    ];
    for (words, code) in cases {
        let balancer = || words.iter().fold(Balancer::bare(), |balancer, word| balancer.word(word));
        let heard = balancer().fail();
        assert_eq!(heard.0, Some(code), "{words:?}: {}", heard.1);
        let unheard = balancer().standard_error_to(Path::new(FULL)).fail();
        assert_eq!(unheard, (Some(code), String::new()), "{words:?}");
    }
}

#[test]
fn an_answer_that_nobody_got_is_no_success() {
    let settings = Settings::that_say("[pools.a]\nbackends = [\"127.0.0.1:1\"]\n");
    let file = format!("--config={}", settings.path());
    let cases = [
        vec!["validate"],
        vec!["validate", "--json"],
        vec!["validate", &file],
        vec!["config", "schema"],
        vec!["--help"],
        vec!["--version"],
    ];
    for words in cases {
        let balancer = words.iter().fold(Balancer::bare(), |balancer, word| balancer.word(word));
        let (code, said) = balancer.standard_output_to(Path::new(FULL)).fail();
        assert_eq!(code, Some(1), "{words:?}: {said}");
        assert_eq!(said, "loadbalancer: No space left on device (os error 28)", "{words:?}");
    }
    let (code, said) = Balancer::bare()
        .word("validate")
        .word("--workers=0")
        .word("--json")
        .standard_output_to(Path::new(FULL))
        .fail();
    assert_eq!(code, Some(2), "{said}");
}
