//! All that is wrong with settings is told at once, and drawn where it stands.

use crate::support::Balancer;
use crate::support::pki::Folder;

#[test]
fn what_is_wrong_beside_the_tags_of_a_route_and_of_a_pool_does_not_hide_that_they_do_not_meet() {
    let text = "[routes.a]\npool = 'p'\nretry.attempts = 0\nrwrite = 'x'\ntags = { v = '1' }\n\
                [pools.p]\nbackends = ['[::1]:1']\npolcy = 'ring'\nhealth = { path = 'x', intervall = '1s' }\n";
    let (code, said) = Balancer::configured(&Folder::new().write("lb.toml", text)).fail();
    assert_eq!((code, said.matches("error: ").count()), (Some(2), 6), "{said}");
    assert!(said.contains("error: route a: no backend of pool p has v = 1"), "{said}");
}

#[test]
fn all_that_is_wrong_is_drawn_at_once() {
    let text = r#"workers = 0
[listeners.web]
adress = ":80"
[pools.api]
backends = ["127.0.0.1:1", { address = "localhost", weight = "3" }, "127.0.0.1:1"]
[routes.api]
path = "/v1/*"
pool = "apis"
"#;
    let expected = r#"error: 0: too small
 --> lb.toml:1:11
  |
1 | workers = 0
  |           ^ workers
  |
  = help: use at least 1

error: adress: unknown key
 --> lb.toml:3:1
  |
3 | adress = ":80"
  | ^^^^^^ listeners.web.adress
  |
  = help: did you mean address?

error: localhost: not an address
 --> lb.toml:5:40
  |
5 | backends = ["127.0.0.1:1", { address = "localhost", weight = "3" }, "127.0.0.1:1"]
  |                                        ^^^^^^^^^^^ pools.api.backends[1].address
  |
  = help: write HOST:PORT, for example 127.0.0.1:3000

error: 3: expected a whole number, found text
 --> lb.toml:5:62
  |
5 | backends = ["127.0.0.1:1", { address = "localhost", weight = "3" }, "127.0.0.1:1"]
  |                                                              ^^^ pools.api.backends[1].weight
  |
  = help: write it without quotes

error: 127.0.0.1:1: given twice
 --> lb.toml:5:69
  |
5 | backends = ["127.0.0.1:1", { address = "localhost", weight = "3" }, "127.0.0.1:1"]
  |                                                                     ^^^^^^^^^^^^^ pools.api.backends[2]
  |
  = help: remove one of them

error: apis: no pool has this name
 --> lb.toml:8:8
  |
8 | pool = "apis"
  |        ^^^^^^ routes.api.pool
  |
  = help: did you mean "api"?"#;
    let folder = Folder::new();
    let (code, said) = Balancer::configured(&folder.write("lb.toml", text)).fail();
    assert_eq!((code, said.as_str()), (Some(2), expected));
}

#[test]
fn yaml_is_refused_at_its_places_as_well() {
    let text = "pools:\n  api:\n    backends:\n      - 127.0.0.1:1\n      - adress: 127.0.0.1:2\n";
    let folder = Folder::new();
    let (code, said) = Balancer::configured(&folder.write("lb.yaml", text)).fail();
    let expected = "error: adress: unknown key
 --> lb.yaml:5:9
  |
5 |       - adress: 127.0.0.1:2
  |         ^^^^^^ pools.api.backends[1].adress
  |
  = help: did you mean address?";
    assert_eq!((code, said.as_str()), (Some(2), expected));
}

#[test]
fn a_list_of_which_all_is_in_comments_lets_nobody_in_unasked() {
    for text in [
        "access:\n  allow:\n    # - 10.0.0.0/8\n",
        "routes:\n  a:\n    pool: default\n    clients:\n    # - 10.0.0.0/8\n",
        "routes:\n  a:\n    pool: default\n    methods:\n",
    ] {
        let folder = Folder::new();
        let (code, said) = Balancer::configured(&folder.write("lb.yaml", text)).fail();
        assert_eq!(code, Some(2), "{text}");
        assert!(said.contains("an empty list, which would let everybody in"), "{text}: {said}");
    }
}
