//! Routes that are for the requests of some listeners.

use std::net::SocketAddr;

use serde_json::json;

use crate::support::admin::body;
use crate::support::{Client, Http2, Settings};

use super::{ask, named};

const GET: &str = "GET /stats/1 HTTP/1.1\r\nHost: test\r\n\r\n";

/// Two listeners, and what is below `/stats` for who comes to one of them.
fn text(outside: &str, (name, inside): (&str, &str), backend: SocketAddr) -> String {
    format!(
        "[listeners.outside]\naddress = \"{outside}\"\n[listeners.{name}]\naddress = \"{inside}\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n[pools.app]\nbackends = [\"{backend}\"]\n\
         [routes.stats]\npath = \"/stats/*\"\nlisteners = [\"{name}\"]\npool = \"app\"\n\
         [routes.others]\nanswer = {{ status = 403 }}\n"
    )
}

/// An address that nobody listens on. Others who take any port that is free are on another one.
fn free() -> String {
    let taken = std::net::TcpListener::bind("127.0.0.79:0").expect("a free port");
    taken.local_addr().expect("it is bound").to_string()
}

#[test]
fn a_route_is_for_who_came_to_one_of_its_listeners() {
    let app = named("app");
    let settings = Settings::that_say(&text("127.0.0.1:0", ("inside", "127.0.0.1:0"), app.address));
    for workers in ["1", "2"] {
        let balancer = settings.balancer().flag("--workers", workers).start();
        let (outside, inside) = (balancer.address_of("outside"), balancer.address_of("inside"));
        assert_eq!(ask(inside, "test", "/stats/1", "").expect_status(200).text(), "app");
        assert_eq!(Http2::to(inside).get("/stats/1").text(), "app");
        ask(inside, "test", "/", "").expect_status(403);
        ask(outside, "test", "/stats/1", "").expect_status(403);
        assert_eq!(Http2::to(outside).get("/stats/1").status, 403);
        assert_eq!(balancer.admin().get("/api/v1/routes")["routes"][0]["listeners"][0], "inside");
    }
}

#[test]
fn a_listener_may_get_another_name_while_its_clients_are_connected() {
    let (app, outside) = (named("app"), free());
    for inside in [free(), "127.0.0.1:0".to_owned()] {
        let settings = Settings::that_say(&text(&outside, ("inside", &inside), app.address));
        let balancer = settings.balancer().flag("--access-log", "-").start();
        let address = balancer.address_of("inside");
        let mut client = Client::to(address);
        client.send(GET);
        client.answer().expect_status(200);
        let renamed = text(&outside, ("private", &inside), app.address);
        let is_chosen = inside.ends_with(":0");
        if !is_chosen {
            let lines = "Content-Type: application/toml\r\n";
            let plan = balancer.admin().ask("POST", "/api/v1/plan", lines, &renamed).expect_status(200);
            let requests = body(&plan)["requests"].clone();
            assert_eq!((&requests["looked_at"], &requests["elsewhere"]), (&json!(1), &json!(0)));
        }
        settings.change(&balancer, &renamed);
        assert_eq!(balancer.address_of("private"), address);
        ask(address, "test", "/stats/1", "").expect_status(200);
        ask(outside.parse().expect("an address"), "test", "/stats/1", "").expect_status(403);
        if !is_chosen {
            client.send(GET);
            assert_eq!(client.answer().expect_status(200).header("connection"), None);
        }
        balancer.said_times("\"listener\":\"inside\"", 1);
        balancer.said_times("\"listener\":\"private\"", if is_chosen { 1 } else { 2 });
    }
}

#[test]
fn a_listener_that_is_not_there_is_told_with_what_was_meant() {
    for (list, line, help) in [
        ("[\"insid\"]", "error: insid: no listener has this name", "did you mean \"inside\"?"),
        ("[\"vpn\"]", "error: vpn: no listener has this name", "add [listeners.vpn], or name one of "),
        ("[]", "an empty list", "leave the key out for any"),
    ] {
        let sound = text("127.0.0.1:0", ("inside", "127.0.0.1:0"), ([127, 0, 0, 1], 1).into());
        let settings =
            Settings::that_say(&sound.replace("listeners = [\"inside\"]", &format!("listeners = {list}")));
        let (code, said) = settings.balancer().word("validate").fail();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(line) && said.contains(help), "{said}");
    }
}

#[test]
fn routes_for_one_listener_are_alike_and_those_for_two_are_not() {
    let validate = |left: &str, right: &str| {
        let text = text("127.0.0.1:0", ("inside", "127.0.0.1:0"), ([127, 0, 0, 1], 1).into());
        let route =
            |name, list| format!("[routes.{name}]\npath = \"/x\"\nlisteners = {list}\npool = \"app\"\n");
        let settings = Settings::that_say(&(text + &route("left", left) + &route("right", right)));
        settings.balancer().word("validate").fail()
    };
    let (code, said) = validate("[\"inside\"]", "[\"outside\"]");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = validate("[\"inside\"]", "[\"inside\"]");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("routes left and right: hold for exactly the same requests"), "{said}");
    // Who names fewer comes first.
    let (code, said) = validate("[\"inside\"]", "[\"inside\", \"outside\"]");
    assert_eq!(code, Some(0), "{said}");
}
