//! Who may use the admin API.

use std::io::ErrorKind;

use super::*;

fn secured(settings: &Settings) -> Running {
    start_with(settings, "0123456789abcdef\n")
}

fn start_with(settings: &Settings, token: &str) -> Running {
    let token = settings.put("token", token);
    let balancer = settings.balancer().flag("--admin", "127.0.0.1:0");
    balancer.flag("--admin-token-file", token.to_str().unwrap()).start()
}

#[test]
fn pages_of_other_sites_get_nothing_and_do_nothing() {
    let sample = Sample::start("only");
    let settings = Settings::that_say(&pool("first", &[sample.address()]));
    let balancer = start(&settings);
    balancer.said("is healthy");
    let admin = balancer.admin();
    let path = backend(sample.address());
    let patch = r#"{"hold": "disable"}"#;
    for lines in [
        // A name of another site that leads here.
        format!("Host: evil.example\r\n{JSON}"),
        format!("Host: evil.example:{}\r\n{JSON}", admin.address.port()),
        // A page of another site that asks us by our name.
        format!("Origin: http://evil.example\r\n{JSON}"),
        format!("Origin: null\r\n{JSON}"),
    ] {
        expect_problem(admin.ask("GET", "/api/v1/overview", &lines, ""), 403, "foreign-site");
        expect_problem(admin.ask("PATCH", &path, &lines, patch), 403, "foreign-site");
    }
    // What a form can send.
    for form in ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"] {
        let answer = admin.ask("PATCH", &path, &format!("Content-Type: {form}\r\n"), patch);
        expect_problem(answer, 415, "media-type");
        let answer = admin.ask("POST", "/api/v1/config", &format!("Content-Type: {form}\r\n"), "{}");
        expect_problem(answer, 415, "media-type");
    }
    assert_eq!(admin.backend(sample.address())["state"], "up");
    let ours = format!("Host: localhost\r\nOrigin: http://localhost\r\n{JSON}");
    admin.ask("GET", "/api/v1/overview", &ours, "").expect_status(200);
}

#[test]
fn where_a_token_is_asked_for_nobody_gets_in_without() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let balancer = secured(&settings);
    let admin = balancer.admin();
    for (line, challenge) in [
        ("", "Bearer realm=\"loadbalancer\""),
        ("Authorization: Basic MDEyMzQ1Njc4OWFiY2RlZg==\r\n", "Bearer realm=\"loadbalancer\""),
        ("Authorization: Bearer wrong\r\n", "Bearer realm=\"loadbalancer\", error=\"invalid_token\""),
    ] {
        for path in ["/api/v1/overview", "/api/v1/openapi.json", "/api/v1/nothing"] {
            let answer = admin.ask("GET", path, line, "");
            assert_eq!(answer.header("www-authenticate"), Some(challenge));
            expect_problem(answer, 401, "unauthorized");
        }
    }
    // Whoever knows it may come by any name.
    let line = "Host: lb.example\r\nAuthorization: Bearer 0123456789abcdef\r\n";
    admin.ask("GET", "/api/v1/overview", line, "").expect_status(200);
    assert_eq!(balancer.times_said("0123456789abcdef"), 0);
}

#[test]
fn an_address_that_others_can_reach_needs_a_token() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let (code, said) = settings.balancer().flag("--admin", ":0").fail();
    assert_eq!(code, Some(2));
    assert!(said.contains("others can reach this address"), "{said}");
}

#[test]
fn a_token_that_no_caller_could_send_is_refused_and_not_shown() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    for token in [
        b" 0123456789abcdef ".as_slice(),
        b"0123456789abcdef \n",
        b"0123456789abcdef\n0123456789abcdef\n",
        b"0123456789abcdef\xff",
        b"0123456789abcdef\x00",
    ] {
        let file = settings.put("token", token);
        let (code, said) =
            settings.balancer().flag("--admin-token-file", file.to_str().unwrap()).word("validate").fail();
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains("token: no caller could send the token in it; make it one line"), "{said}");
        assert!(!said.contains("0123456789abcdef"), "{said}");
    }
    let balancer = start_with(&settings, "0123 4567 89ab cdef\r\n");
    let line = "Authorization: Bearer 0123 4567 89ab cdef\r\n";
    balancer.admin().ask("GET", "/api/v1/overview", line, "").expect_status(200);
}

#[test]
fn more_callers_than_it_takes_wait_and_slow_ones_do_not_keep_others_out() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let silent: Vec<_> = (0..40).map(|_| Client::to(admin.address)).collect();
    let mut waiting = Client::to(admin.address);
    waiting.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    waiting.answer().expect_status(200);
    // It had to wait until the silent ones that came first were sent away, and no longer.
    let is_there = |client: &Client| {
        client.stream().set_nonblocking(true).unwrap();
        client.stream().peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    assert!(!is_there(&silent[0]) && is_there(&silent[39]), "the first and the last");
    assert!(is_there(&silent[31]), "the last of those that had all places");
}

#[test]
fn a_head_of_as_many_bytes_as_the_manual_says_is_taken_and_one_far_larger_is_not() {
    let settings = Settings::that_say(&pool("first", &[Backend::refuses()]));
    let balancer = start(&settings);
    let admin = balancer.admin();
    let ask = |size: usize| {
        let head = "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: \r\n\r\n";
        let mut client = Client::to(admin.address);
        client.send(head.replace(": \r\n", &format!(": {}\r\n", "a".repeat(size - head.len()))));
        client.answer().status
    };
    assert_eq!((ask(32 << 10), ask(256 << 10)), (200, 431));
}
