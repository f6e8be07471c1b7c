//! Who is let in, and how much each may ask.

mod crowd;
mod files;
mod held;
mod pace;

use crate::support::{Answer, Balancer, Client, Running, Sample, Settings, expect_reason, get, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

fn limited(flags: &[(&str, &str)]) -> (Sample, Running) {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]);
    let balancer = flags.iter().fold(balancer, |balancer, (name, value)| balancer.flag(name, value));
    (sample, balancer.start())
}

fn retry_after(answer: &Answer) -> u64 {
    answer.header("retry-after").and_then(|value| value.parse().ok()).expect("whole seconds")
}

#[test]
fn a_client_of_a_denied_network_is_refused_before_it_says_a_word() {
    let (_sample, balancer) = limited(&[("--deny", "127.0.0.0/8"), ("--access-log", "-")]);
    let mut client = Client::to(balancer.address);
    let answer = expect_reason(client.answer(), 403, "denied");
    assert_eq!(answer.header("connection"), Some("close"));
    client.expect_end();
    assert!(balancer.said("\"reason\":\"denied\"").contains("\"status\":403"));
}

#[test]
fn who_is_allowed_keeps_others_out_and_the_most_specific_network_counts() {
    let (_sample, balancer) = limited(&[("--allow", "10.0.0.0/8")]);
    expect_reason(Client::to(balancer.address).answer(), 403, "denied");
    let (_sample, balancer) = limited(&[("--deny", "127.0.0.0/8"), ("--allow", "127.0.0.1")]);
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn a_client_has_so_many_connections_and_no_more_until_one_ends() {
    for workers in ["1", "2"] {
        let (_sample, balancer) = limited(&[("--max-connections-per-client", "2"), ("--workers", workers)]);
        let mut clients: Vec<_> = (0..2).map(|_| Client::to(balancer.address)).collect();
        for client in &mut clients {
            client.send(GET);
            client.answer().expect_status(200);
        }
        let mut refused = Client::to(balancer.address);
        let answer = expect_reason(refused.answer(), 429, "client_connections");
        assert_eq!((retry_after(&answer), answer.header("connection")), (1, Some("close")));
        refused.expect_end();
        drop(clients.pop());
        until("the connection no longer counts", || get(balancer.address, "/").status == 200);
    }
}

#[test]
fn who_was_counted_before_a_limit_was_lifted_for_a_while_counts_when_it_is_back() {
    let sample = Sample::start("app");
    let text = |limit: &str| {
        format!(
            "{limit}[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
             [pools.app]\nbackends = [\"{}\"]\n",
            sample.address()
        )
    };
    const LIMIT: &str = "limits.connections_per_client = 1\n";
    let settings = Settings::that_say(&text(LIMIT));
    let balancer = settings.balancer().start();
    let mut first = Client::to(balancer.address);
    first.send(GET);
    first.answer().expect_status(200);
    settings.change(&balancer, &text(""));
    settings.change(&balancer, &text(LIMIT));
    expect_reason(Client::to(balancer.address).answer(), 429, "client_connections");
}

#[test]
fn the_connections_of_a_trusted_proxy_are_not_counted() {
    let limits = [("--max-connections-per-client", "1"), ("--trusted-proxy", "127.0.0.1")];
    let (_sample, balancer) = limited(&limits);
    let mut clients = [(); 3].map(|()| Client::to(balancer.address));
    for client in &mut clients {
        client.send(GET);
        client.answer().expect_status(200);
    }
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_come_again() {
    let (_sample, balancer) = limited(&[("--rate-limit", "6/m"), ("--rate-burst", "3")]);
    let mut client = Client::to(balancer.address);
    for _ in 0..3 {
        client.send(GET);
        client.answer().expect_status(200);
    }
    client.send(GET);
    let answer = expect_reason(client.answer(), 429, "client_rate");
    assert!((1..=10).contains(&retry_after(&answer)), "{answer:?}");
    assert!(retry_after(&answer) > 1, "one comes back every ten seconds: {answer:?}");
    assert_eq!(answer.text(), "more requests came from your address than this proxy takes\n");
    client.send(GET);
    client.answer().expect_status(429);
}

#[test]
fn a_client_of_http_1_0_whose_refused_request_has_not_all_come_is_told_once_that_the_connection_ends() {
    let (_sample, balancer) = limited(&[("--rate-limit", "1/m"), ("--rate-burst", "1")]);
    get(balancer.address, "/").expect_status(200);
    let mut client = Client::to(balancer.address);
    client.send("POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 100000\r\n\r\nhello");
    assert_eq!(client.answer().expect_status(429).header("connection"), Some("close"));
}

#[test]
fn a_client_that_waits_as_it_was_told_is_served_again() {
    let (_sample, balancer) = limited(&[("--rate-limit", "1/s")]);
    get(balancer.address, "/").expect_status(200);
    assert_eq!(retry_after(&get(balancer.address, "/").expect_status(429)), 1);
    until("it is served again", || get(balancer.address, "/").status == 200);
}

#[test]
fn rates_are_those_of_the_whole_process_whichever_worker_serves() {
    for (flag, reason) in [("--total-rate-limit", "total_rate"), ("--rate-limit", "client_rate")] {
        let (_sample, balancer) = limited(&[(flag, "1/m"), ("--workers", "2")]);
        get(balancer.address, "/").expect_status(200);
        for _ in 0..20 {
            let refused = expect_reason(get(balancer.address, "/"), 429, reason);
            assert!((1..=60).contains(&retry_after(&refused)), "{refused:?}");
        }
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_and_nothing_is_started() {
    for (flag, value, said) in [
        (
            "--trusted-proxy",
            "10.0.0.0/33",
            "--trusted-proxy 10.0.0.0/33: not a network; write ADDRESS or ADDRESS/BITS, for example 10.0.0.0/8",
        ),
        (
            "--deny",
            "10.0.0.1/8",
            "--deny 10.0.0.1/8: the address is more than a network of that size; write 10.0.0.0/8 for the network or 10.0.0.1 for one address",
        ),
        ("--rate-limit", "100", "--rate-limit 100: a unit is missing: write 100/s or 100/m"),
        (
            "--total-rate-limit",
            "many",
            "--total-rate-limit many: not a rate; write a number from 1 to 1000000 and its unit, for example 100/s or 600/m",
        ),
        (
            "--rate-burst",
            "5",
            "--rate-burst 5: there is no rate that it belongs to; add --rate-limit, for example --rate-limit 100/s",
        ),
        ("--min-data-rate", "0", "--min-data-rate 0: too small; use at least 1"),
        ("--max-connections-per-client", "0", "--max-connections-per-client 0: too small; use at least 1"),
    ] {
        let (code, text) = Balancer::bare().flag(flag, value).fail();
        assert_eq!((code, text.as_str()), (Some(2), &*format!("loadbalancer: {said}")), "{flag}={value}");
    }
}
