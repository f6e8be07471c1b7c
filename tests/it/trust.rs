//! Who is believed: proxies in front of us that the operator trusts say for whom they speak, and nobody else does.

use serde_json::Value;

use crate::support::{Answer, Balancer, Client, Running, Sample, Settings, request, until};

/// A sample backend and a balancer before it that trusts this network and logs to its standard output.
fn trusting(network: &str, flags: &[(&str, &str)]) -> (Sample, Running) {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--access-log", "-");
    let balancer = balancer.flag("--trusted-proxy", network);
    let balancer = flags.iter().fold(balancer, |balancer, (name, value)| balancer.flag(name, value));
    (sample, balancer.start())
}

/// Sends a request with these lines.
fn ask(balancer: &Running, lines: &str) -> Answer {
    request(
        balancer.address,
        &format!("GET /echo HTTP/1.1\r\nHost: own.test\r\nConnection: close\r\n{lines}\r\n"),
    )
}

/// What a backend was sent: the values of a header, its name in lower case.
fn sent(answer: &Answer, name: &str) -> Vec<String> {
    let lines = answer.text().lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
}

fn line_of(balancer: &Running, path: &str) -> Value {
    serde_json::from_str(&balancer.said(&format!("\"path\":\"{path}\""))).expect("a line of JSON")
}

#[test]
fn a_trusted_proxy_is_believed_and_the_chain_is_passed_on_with_its_address() {
    let (_sample, balancer) = trusting("127.0.0.0/8", &[]);
    let lines = "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 192.0.2.1, 127.0.0.5\r\n\
                 X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.test\r\n";
    let answer = ask(&balancer, lines).expect_status(200);
    assert_eq!(sent(&answer, "x-forwarded-for"), ["9.9.9.9, 192.0.2.1, 127.0.0.5, 127.0.0.1"]);
    assert_eq!(sent(&answer, "x-forwarded-proto"), ["https"]);
    assert_eq!(sent(&answer, "x-forwarded-host"), ["shop.test"]);
    let line = line_of(&balancer, "/echo");
    assert_eq!(line["client"], "192.0.2.1");
    assert!(line["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{line}");
}

#[test]
fn forwarded_is_understood_where_there_is_no_x_forwarded_for() {
    let (_sample, balancer) = trusting("127.0.0.1", &[]);
    let answer = ask(&balancer, "Forwarded: for=\"[2001:db8::1]:80\";proto=https;host=shop.test\r\n");
    assert_eq!(sent(&answer, "x-forwarded-for"), ["2001:db8::1, 127.0.0.1"]);
    assert_eq!(sent(&answer, "x-forwarded-proto"), ["https"]);
    assert_eq!(sent(&answer, "x-forwarded-host"), ["shop.test"]);
    assert!(sent(&answer, "forwarded").is_empty());
    assert_eq!(line_of(&balancer, "/echo")["client"], "2001:db8::1");
}

#[test]
fn what_is_not_used_of_two_stories_does_not_reach_the_backend() {
    let (_sample, balancer) = trusting("127.0.0.1", &[]);
    let lines = "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2;proto=https;host=evil.test\r\n\
                 X-Real-IP: 192.0.2.3\r\nX-Forwarded-Port: 7\r\n";
    let answer = ask(&balancer, lines);
    assert_eq!(sent(&answer, "x-forwarded-for"), ["192.0.2.1, 127.0.0.1"]);
    assert_eq!(sent(&answer, "x-forwarded-proto"), ["http"]);
    assert_eq!(sent(&answer, "x-forwarded-host"), ["own.test"]);
    for name in ["forwarded", "x-real-ip", "x-forwarded-port"] {
        assert!(sent(&answer, name).is_empty(), "{name}: {answer:?}");
    }
}

#[test]
fn who_is_not_trusted_is_not_believed_and_nothing_of_what_it_claims_is_passed_on() {
    let (_sample, balancer) = trusting("192.0.2.0/24", &[]);
    let lines = "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2\r\nX-Forwarded-Proto: https\r\n";
    let answer = ask(&balancer, lines);
    assert_eq!(sent(&answer, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(sent(&answer, "x-forwarded-proto"), ["http"]);
    assert!(sent(&answer, "forwarded").is_empty());
    let line = line_of(&balancer, "/echo");
    assert!(line["client"].as_str().is_some_and(|client| client.starts_with("127.0.0.1:")), "{line}");
    assert_eq!(line["peer"], Value::Null);
}

#[test]
fn malformed_claims_of_a_trusted_proxy_are_replaced_by_what_we_know() {
    let (_sample, balancer) = trusting("127.0.0.1", &[]);
    let answer =
        ask(&balancer, "X-Forwarded-For: unknown\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: a/b\r\n");
    assert_eq!(sent(&answer, "x-forwarded-for"), ["unknown, 127.0.0.1"]);
    assert_eq!(sent(&answer, "x-forwarded-proto"), ["http"]);
    assert_eq!(sent(&answer, "x-forwarded-host"), ["own.test"]);
    assert_eq!(line_of(&balancer, "/echo")["peer"], Value::Null);
}

#[test]
fn who_comes_through_a_proxy_is_judged_by_the_address_that_it_has_there() {
    let (_sample, balancer) =
        trusting("127.0.0.1", &[("--allow", "192.0.2.0/24"), ("--deny", "192.0.2.7"), ("--access-log", "-")]);
    ask(&balancer, "X-Forwarded-For: 192.0.2.1\r\n").expect_status(200);
    for denied in ["192.0.2.7", "198.51.100.1", "192.0.2.1, 192.0.2.7"] {
        let answer = ask(&balancer, &format!("X-Forwarded-For: {denied}\r\n")).expect_status(403);
        let told = answer.header("proxy-status").expect("a Proxy-Status");
        assert_eq!(told, "loadbalancer; error=http_request_denied; details=\"denied\"");
        assert_eq!(answer.text(), "this proxy does not serve clients of your network\n");
    }
    // A proxy writes this of a client that it does not tell of (RFC 7239 section 6.2).
    ask(&balancer, "X-Forwarded-For: unknown\r\n").expect_status(403);
    ask(&balancer, "Forwarded: for=unknown\r\n").expect_status(403);
}

#[test]
fn a_trusted_proxy_that_speaks_for_nobody_may_come_itself_unless_it_is_denied() {
    let (_sample, balancer) = trusting("127.0.0.1", &[("--allow", "192.0.2.0/24")]);
    ask(&balancer, "").expect_status(200);
    ask(&balancer, "X-Forwarded-For: 127.0.0.1\r\n").expect_status(403);
    let (_sample, balancer) =
        trusting("127.0.0.0/8", &[("--allow", "192.0.2.0/24"), ("--deny", "127.0.0.1")]);
    ask(&balancer, "").expect_status(403);
    ask(&balancer, "X-Forwarded-For: 192.0.2.1\r\n").expect_status(200);
}

#[test]
fn a_client_behind_a_proxy_has_a_rate_of_its_own() {
    let (_sample, balancer) = trusting("127.0.0.1", &[("--rate-limit", "2/m")]);
    ask(&balancer, "X-Forwarded-For: 192.0.2.1\r\n").expect_status(200);
    ask(&balancer, "X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n").expect_status(429);
    ask(&balancer, "X-Forwarded-For: 192.0.2.2\r\n").expect_status(200);
}

#[test]
fn a_client_behind_a_proxy_on_this_machine_learns_no_address() {
    let balancer =
        Balancer::before(&[crate::support::Backend::refuses()]).flag("--trusted-proxy", "127.0.0.1").start();
    let answer = ask(&balancer, "X-Forwarded-For: 192.0.2.1\r\n").expect_status(503);
    assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
}

#[test]
fn who_is_trusted_no_more_is_believed_no_more_on_connections_that_stay() {
    let sample = Sample::start("one");
    let text = |access: &str| with_access(access, &sample);
    let settings = Settings::that_say(&text("access = { trusted_proxies = [\"127.0.0.1\"] }\n"));
    let balancer = settings.balancer().start();
    let mut client = Client::to(balancer.address);
    let mut told = || {
        client.send("GET /echo HTTP/1.1\r\nHost: own.test\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n");
        let answer = client.answer().expect_status(200);
        (sent(&answer, "x-forwarded-for").concat(), sent(&answer, "x-forwarded-proto").concat())
    };
    assert_eq!(told(), ("192.0.2.1, 127.0.0.1".to_owned(), "https".to_owned()));
    settings.change(&balancer, &text(""));
    until("it is not believed", || told() == ("127.0.0.1".to_owned(), "http".to_owned()));
}

/// Settings that begin with this.
fn with_access(access: &str, sample: &Sample) -> String {
    format!(
        "{access}[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [pools.all]\nbackends = [\"{}\"]\nhealth = {{ path = \"/health\" }}\n",
        sample.address()
    )
}

#[test]
fn a_proxy_that_is_trusted_no_more_is_a_client_like_others_on_connections_that_stay() {
    let sample = Sample::start("one");
    let text = |trusted: &str| {
        with_access(
            &format!("access = {{ allow = [\"192.0.2.0/24\"], trusted_proxies = [{trusted}] }}\n"),
            &sample,
        )
    };
    let settings = Settings::that_say(&text("\"127.0.0.1\""));
    let balancer = settings.balancer().start();
    let mut client = Client::to(balancer.address);
    let mut status = || {
        client.send("GET / HTTP/1.1\r\nHost: own.test\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
        client.answer().status
    };
    assert_eq!(status(), 200);
    settings.change(&balancer, &text(""));
    until("its own network counts", || status() == 403);
}
