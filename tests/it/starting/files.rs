//! A start with few open files: each worker has what it needs, or nothing is started.

use std::net::Ipv4Addr;

use crate::support::{Backend, Balancer, Client, Sample, get, kept_port, until};

#[test]
fn without_files_for_each_worker_nothing_is_started_and_it_says_what_would_help() {
    for (files, workers) in [(16, "2"), (64, "12"), (128, "32")] {
        let balancer = Balancer::before(&[Backend::refuses()]).flag("--admin", "127.0.0.1:0");
        let (code, said) = balancer.flag("--workers", workers).open_files(files).fail();
        assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
        assert!(
            said.starts_with(&format!("loadbalancer: --workers {workers}: too few open files: ")),
            "{said}"
        );
        let help = format!("the limit is {files}; raise it with `ulimit -n`, or use fewer workers");
        assert!(said.ends_with(&help), "{said}");
    }
}

#[test]
fn without_files_to_begin_with_it_says_what_would_help() {
    for files in [6, 8] {
        let (code, said) = Balancer::before(&[Backend::refuses()]).open_files(files).fail();
        let help = format!(
            "loadbalancer: too few open files: at least 9 are needed to begin with, and the limit is {files}; raise it with `ulimit -n`"
        );
        assert_eq!((code, said), (Some(1), help));
    }
}

#[test]
fn a_port_that_is_named_takes_no_more_files_than_one_that_the_system_chooses() {
    let ports = [(); 2].map(|()| kept_port(Ipv4Addr::LOCALHOST));
    // How many files it says that it needs, if it does not start with so many.
    let needs = |files: usize, ports: [u16; 2]| -> Option<usize> {
        let [listen, admin] = ports.map(|port| format!("127.0.0.1:{port}"));
        let balancer = Balancer::bare().flag("--backend", "127.0.0.1:1").flag("--workers", "1");
        let balancer = balancer.flag("--listen", &listen).flag("--admin", &admin).open_files(files).run();
        let (serves, too_few) = ("listening on", "too few open files: ");
        until("it starts or does not", || balancer.times_said(too_few) + balancer.times_said(serves) > 0);
        match balancer.times_said(serves) {
            0 => balancer.said(too_few).split(too_few).nth(1)?.split(' ').next()?.parse().ok(),
            _ => None,
        }
    };
    let mut files = 20;
    // Whoever started it may have left some open.
    while let Some(more) = needs(files, [0, 0]) {
        assert!(more > files);
        files = more;
    }
    assert_eq!(needs(files, ports.map(|(_, port)| port)), None);
}

#[test]
fn a_start_with_few_files_warns_of_how_few_clients_there_is_room_for() {
    let sample = Sample::start("one");
    let before = || Balancer::before(&[sample.address()]);
    let balancer = before().open_files(99).start();
    let line = balancer.said("room for 15 connections only: the limit on open files is 99; ");
    assert!(line.contains(" WARN ") && line.ends_with("raise it with `ulimit -n`"), "{line}");
    get(balancer.address, "/").expect_status(200);
    // Who chose the number needs no word on it.
    let balancer = before().open_files(99).flag("--max-connections", "10").start();
    balancer.said("forwarding to");
    get(balancer.address, "/").expect_status(200);
    assert_eq!(balancer.times_said("open files"), 0);
}

#[test]
fn more_connections_than_there_are_files_for_are_refused_with_what_would_help() {
    let balancer = Balancer::bare().flag("--workers", "2").flag("--max-connections", "1000");
    let (code, said) = balancer.open_files(1024).fail();
    let expected = "loadbalancer: --max-connections 1000: too large: each takes two open files, of which the limit is 1024; \
                    use at most 475, or raise the limit with `ulimit -n 2074`";
    assert_eq!((code, said.as_str()), (Some(2), expected));
}

#[test]
fn clients_whom_several_workers_turned_away_are_told_of_together_and_to_the_last() {
    let sample = Sample::start("one");
    let balancer = Balancer::before(&[sample.address()]).flag("--workers", "2");
    let balancer = balancer.flag("--max-connections", "1").start();
    let mut seated = Client::to(balancer.address);
    seated.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    seated.answer().expect_status(200);
    for _ in 0..20 {
        Client::to(balancer.address).answer().expect_status(503);
    }
    let line = balancer.said("clients turned away: ");
    assert!(line.ends_with("; raise it, or that limit with `ulimit -n`"), "{line}");
    balancer.signal("TERM");
    balancer.ended();
    let said = balancer.all_said();
    let counts =
        said.split("clients turned away: ").skip(1).map(|rest| rest.split(';').next().unwrap().parse());
    let counts: Vec<u32> = counts.map(|count| count.expect("a number")).collect();
    // At once, and what came within ten seconds of that at the end.
    assert!(counts.len() <= 2 && counts.iter().sum::<u32>() == 20, "{said}");
}
