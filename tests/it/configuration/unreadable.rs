//! Files that are no settings at all.

use std::fs::File;

use super::START;
use crate::support::Balancer;
use crate::support::pki::Folder;

/// What is said of a file with these bytes, by a program that does not start.
fn said_of(name: &str, bytes: impl AsRef<[u8]>) -> String {
    let folder = Folder::new();
    let (code, said) = Balancer::configured(&folder.write(name, bytes)).fail();
    assert_eq!(code, Some(2), "{said}");
    said
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = Folder::new();
    let (code, said) = Balancer::configured(&folder.path("lb.toml")).fail();
    let expected = "loadbalancer: lb.toml: cannot be read: No such file or directory (os error 2); name a file or a folder that we may read";
    assert_eq!((code, said.as_str()), (Some(2), expected));
}

#[test]
fn a_file_of_100_megabytes_is_refused_without_being_read_to_its_end() {
    let folder = Folder::new();
    let path = folder.path("lb.toml");
    File::create(&path).unwrap().set_len(100_000_000).unwrap();
    let (code, said) = Balancer::configured(&path).fail();
    let expected = "loadbalancer: lb.toml: larger than 16 MiB, which no settings are; name another file";
    assert_eq!((code, said.as_str()), (Some(2), expected));
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_the_line() {
    let said = said_of("lb.toml", b"workers = 1\naccess_log = \"\xff\"\n");
    assert_eq!(said, "loadbalancer: lb.toml:2: byte 0xff is not UTF-8; save it as UTF-8");
}

#[test]
fn a_file_that_was_written_half_is_refused_with_each_place() {
    let whole = format!("{START}[pools.app]\nbackends = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n");
    let half = &whole[..whole.len() - 10];
    let expected = "error: unclosed array, expected `]`
 --> lb.toml:7:33
  |
7 | backends = [\"127.0.0.1:1\", \"127.
  |                                 ^

error: invalid basic string, expected `\"`
 --> lb.toml:7:33
  |
7 | backends = [\"127.0.0.1:1\", \"127.
  |                                 ^";
    assert_eq!(said_of("lb.toml", half), expected);
}

#[test]
fn yaml_that_is_none_is_refused_with_its_place() {
    let said = said_of("lb.yaml", "workers: 1\npools:\n  app: [\n");
    assert!(said.starts_with("error: ") && said.contains("lb.yaml:"), "{said}");
    let said = said_of("lb.yaml", "workers: 1\nworkers: 2\n");
    assert!(said.starts_with("error: duplicate key `workers`\n --> lb.yaml:2:1\n"), "{said}");
    let said = said_of("lb.yaml", "workers: !!str 1\n");
    assert!(said.starts_with("error: has a tag, which no setting needs\n"), "{said}");
    let said = said_of("lb.yaml", "workers: 1\n---\nworkers: 1\n");
    assert!(said.starts_with("error: a second document\n"), "{said}");
}

#[test]
fn yaml_whose_aliases_stand_for_billions_is_refused_at_once() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, last) in ('b'..='l').zip('a'..) {
        let ten = vec![format!("*{last}"); 10].join(", ");
        bomb += &format!("{name}: &{name} [{ten}]\n");
    }
    let said = said_of("lb.yaml", bomb);
    assert!(said.starts_with("error: aliases stand for more settings than anybody writes\n"), "{said}");
    let deep = format!("a: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let said = said_of("lb.yaml", deep);
    assert!(said.starts_with("error: "), "{said}");
    let deep = format!("a = {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let said = said_of("lb.toml", deep);
    assert!(said.starts_with("error: "), "{said}");
}
