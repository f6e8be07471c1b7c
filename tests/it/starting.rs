//! What the operator is told at start, and why a balancer does not start.

mod environment;
mod files;
mod paths;
mod signals;
mod words;

use std::net::TcpListener;
use std::path::Path;

use crate::support::{Backend, Balancer, Running, Sample, Settings, get, until};

#[test]
fn at_start_it_says_where_it_listens_and_where_it_forwards_to() {
    let [first, second] = [Backend::refuses(), Backend::refuses()];
    let balancer = Balancer::before(&[first, second]).flag("--policy", "round_robin").start();
    let line = balancer.said("listening on http://");
    assert!(line.ends_with(&format!("listening on http://{} with 1 worker", balancer.address)), "{line}");
    let line = balancer.said("forwarding to");
    assert!(line.ends_with(&format!("forwarding to {first}, {second} (round_robin)")), "{line}");
    let balancer = Balancer::before(&[first]).flag("--workers", "2").start();
    balancer.said(&format!("listening on http://{} with 2 workers", balancer.address));
}

#[test]
fn a_port_that_another_program_has_is_not_taken() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    refuses_to_listen(&other.local_addr().unwrap().to_string());
}

#[test]
fn a_port_that_another_balancer_has_is_not_shared_with_it() {
    let sample = Sample::start("one");
    let other = Balancer::before(&[sample.address()]).flag("--workers", "2").start();
    refuses_to_listen(&other.address.to_string());
    refuses_to_listen(&format!(":{}", other.address.port()));
    get(other.address, "/").expect_status(200);
}

#[test]
fn of_balancers_that_start_at_once_on_a_port_one_listens_there() {
    // None of the addresses that other tests use.
    let address = TcpListener::bind("127.0.0.77:0").unwrap().local_addr().unwrap().to_string();
    let start = || Balancer::before(&[Backend::refuses()]).flag("--listen", &address).run();
    let all = [(); 4].map(|()| start());
    let listens = |balancer: &&Running| balancer.times_said("listening on http") == 1;
    let is_refused = |balancer: &&Running| balancer.times_said("the port is in use") == 1;
    until("each listens or says why not", || {
        all.iter().all(|balancer| listens(&balancer) || is_refused(&balancer))
    });
    assert_eq!(all.iter().filter(listens).count(), 1);
}

#[test]
fn a_balancer_that_is_restarted_gets_its_port_back_at_once() {
    let sample = Sample::start("one");
    let first = Balancer::before(&[sample.address()]).start();
    let address = first.address;
    // The side that closes first keeps the port for a while.
    get(address, "/").expect_status(200);
    first.signal("KILL");
    first.ended();
    let second = Balancer::before(&[sample.address()]).flag("--listen", &address.to_string()).start();
    assert_eq!(second.address, address);
    get(address, "/").expect_status(200);
}

#[test]
fn an_address_of_no_interface_cannot_be_listened_on() {
    let (code, said) = Balancer::bare().flag("--listen", "203.0.113.1:8080").fail();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.starts_with("loadbalancer: cannot listen on 203.0.113.1:8080: no interface of this machine"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_socket_that_cannot_be_had_is_refused_with_what_would_help() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no socket");
    std::fs::write(&file, "").unwrap();
    for (path, why) in [
        (
            "/nowhere/lb",
            "the folder of the socket does not exist; make it, or choose another path with --listen",
        ),
        (
            file.to_str().unwrap(),
            "a file is there that is no socket; remove it, or choose another path with --listen",
        ),
    ] {
        let (code, said) = Balancer::bare().flag("--listen", &format!("unix:{path}")).fail();
        let expected = format!("loadbalancer: cannot listen on unix:{path}: {why}");
        assert_eq!((code, said), (Some(1), expected));
    }
}

#[test]
fn an_access_log_that_cannot_be_written_is_named_before_anything_listens() {
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no such folder").join("log");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for path in [nowhere.as_path(), folder] {
        let balancer = Balancer::before(&[Backend::refuses()]);
        let (code, said) = balancer.flag("--access-log", path.to_str().unwrap()).fail();
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
        let start = format!("loadbalancer: --access-log {}: cannot be opened for writing: ", path.display());
        assert!(said.starts_with(&start) && said.contains("; name a file in a folder"), "{said}");
    }
}

#[test]
fn settings_may_come_from_the_environment_and_flags_win_over_it() {
    let [first, second, third] = [Backend::refuses(), Backend::refuses(), Backend::refuses()];
    let balancer = || {
        Balancer::bare()
            .env("LOADBALANCER_LISTEN", "127.0.0.1:0")
            .env("LOADBALANCER_BACKEND", &format!("{first},{second}"))
            .env("LOADBALANCER_POLICY", "round_robin")
            .env("LOADBALANCER_WORKERS", "3")
            .env("LOADBALANCER_LOG_LEVEL", "debug")
    };
    let running = balancer().start();
    running.said("with 3 workers");
    running.said(&format!("forwarding to {first}, {second} (round_robin)"));
    let flagged = balancer().flag("--backend", &third.to_string()).flag("--policy", "first");
    let running = flagged.flag("--workers", "1").start();
    running.said("with 1 worker");
    running.said(&format!("forwarding to {third} (first)"));
    let (code, said) = balancer().env("LOADBALANCER_HEALTH_TIMEOUT", "2").fail();
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("'2'") && said.contains("LOADBALANCER_HEALTH_TIMEOUT"), "{said}");
    for variable in ["LOADBALANCER_WATCH", "LOADBALANCER_BACKEND_TLS_INSECURE"] {
        let (code, said) = balancer().env(variable, "maybe").fail();
        let expected = format!(
            "loadbalancer: invalid value 'maybe' for '{variable}': expected true or false (see --help)"
        );
        assert_eq!((code, said), (Some(2), expected));
    }
}

#[test]
fn what_is_wrong_in_the_environment_is_told_with_the_variable_that_is_to_be_mended() {
    for (variable, value, told) in [
        ("WORKERS", "abc", "invalid value 'abc' for 'LOADBALANCER_WORKERS': expected a whole number"),
        ("WORKERS", "0", "LOADBALANCER_WORKERS 0: too small; use at least 1"),
        ("POLICY", "chance", "invalid value 'chance' for 'LOADBALANCER_POLICY'; use first or "),
        ("BACKEND", "127.0.0.1:1,here", "LOADBALANCER_BACKEND here: not an address"),
        ("TOTAL_RATE_LIMIT", "many", "LOADBALANCER_TOTAL_RATE_LIMIT many: not a rate"),
        ("RATE_LIMIT", "", "LOADBALANCER_RATE_LIMIT '': not a rate"),
        ("WATCH", "1", "LOADBALANCER_WATCH: there is no file to watch; add --config FILE, or remove"),
    ] {
        let name = format!("LOADBALANCER_{variable}");
        let (code, said) = Balancer::bare().env(&name, value).fail();
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{variable}: {said}");
        assert!(said.starts_with(&format!("loadbalancer: {told}")), "{variable}: {said}");
    }
    // What the command line says wins, and is what is wrong then.
    let (_, said) = Balancer::bare().env("LOADBALANCER_WORKERS", "abc").word("--workers=x").fail();
    assert!(said.starts_with("loadbalancer: invalid value 'x' for '--workers <N>'"), "{said}");
    let said = Balancer::bare().env("LOADBALANCER_WORKERS", "abc").word("validate").word("--json").fail().1;
    assert!(said.contains("\"flag\": \"LOADBALANCER_WORKERS\""), "{said}");
}

#[test]
fn a_variable_that_is_nearly_one_of_ours_is_told_of_and_those_of_others_are_not() {
    let others = ["SERVICE_HOST", "PORT", "PORT_80_TCP_ADDR", "ADMIN_PORT", "ADMIN_SERVICE_HOST", "IMAGE"];
    let with_others = |balancer: Balancer| {
        let name = |other| format!("LOADBALANCER_{other}");
        others.iter().fold(balancer, |balancer, other| balancer.env(&name(other), "tcp://10.0.0.1:80"))
    };
    let told = "LOADBALANCER_LISTN means nothing; did you mean LOADBALANCER_LISTEN?";
    let before = || with_others(Balancer::before(&[Backend::refuses()]));
    let balancer = before().env("LOADBALANCER_LISTN", "80").start();
    let line = balancer.said(told);
    assert!(line.contains(" WARN "), "{line}");
    assert_eq!(balancer.times_said("means nothing"), 1);
    let (code, said) = before().env("LOADBALANCER_LISTN", "80").word("validate").fail();
    assert_eq!((code, said.matches("means nothing").count()), (Some(0), 1), "{said}");
    assert!(said.contains(&format!("loadbalancer: {told}")), "{said}");
}

#[test]
fn a_flag_may_be_given_again_and_the_last_one_holds_but_backends_add_up() {
    let [first, second] = [Backend::refuses(), Backend::refuses()];
    let balancer = Balancer::before(&[first, second]).flag("--workers", "2").flag("--workers", "3").start();
    balancer.said("with 3 workers");
    balancer.said(&format!("forwarding to {first}, {second} (first)"));
}

#[test]
fn a_backend_may_be_given_by_name() {
    let sample = Sample::start("named");
    let balancer = Balancer::before(&[]).flag("--backend", &format!("localhost:{}", sample.address().port()));
    assert_eq!(get(balancer.start().address, "/").expect_status(200).text(), "hello from named\n");
}

#[test]
fn help_and_version_are_answers_not_errors() {
    for words in ["--help", "-h", "demo --help"] {
        let (code, said) = words.split(' ').fold(Balancer::bare(), Balancer::word).fail();
        assert_eq!(code, Some(0), "{words}: {said}");
        assert!(said.contains("Usage: loadbalancer"), "{words}: {said}");
    }
    let (code, said) = Balancer::bare().word("--version").fail();
    assert_eq!((code, said.as_str()), (Some(0), concat!("loadbalancer ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_help_names_the_defaults_and_each_flags_variable() {
    let (_, help) = Balancer::bare().word("--help").fail();
    let mut flags: Vec<_> = help.split("\n      --").map(|part| part.replace('\n', " ")).collect();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    flags.remove(0);
    for flag in &flags {
        let name = flag.split(' ').next().unwrap().replace('-', "_").to_uppercase();
        assert!(flag.contains(&format!("[env: LOADBALANCER_{name}=]")), "{name}: {flag}");
    }
    for (flag, default) in [
        ("listen", "127.0.0.1:8080"),
        ("backend", "127.0.0.1:3000,127.0.0.1:3001"),
        ("policy", "first"),
        ("health-interval", "30s"),
        ("health-path", "/"),
        ("workers", "one per core"),
    ] {
        let text = flags.iter().find(|text| text.starts_with(&format!("{flag} "))).expect("a flag");
        assert!(words(text).contains(&format!("[default: {default}]")), "{text}");
    }
}

fn refuses_to_listen(address: &str) {
    let balancer = Balancer::before(&[Backend::refuses()]).flag("--listen", address);
    let (code, said) = balancer.fail();
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("cannot listen on ") && said.contains(address.trim_start_matches(':')), "{said}");
    assert!(said.contains("the port is in use; stop the program that has it"), "{said}");
}

#[test]
fn all_that_keeps_it_from_starting_is_told_with_the_names_of_listeners() {
    let [one, other, admin] = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let place = |listener: &TcpListener| listener.local_addr().expect("an address").to_string();
    let (one, other, admin) = (&place(&one), &place(&other), &place(&admin));
    let settings = Settings::that_say(&format!(
        "[admin]\naddress = \"{admin}\"\n[listeners.a]\naddress = \"{one}\"\n\
         [listeners.b]\naddress = \"{other}\"\n[pools.p]\nbackends = [\"{}\"]\n",
        Backend::refuses()
    ));
    let (code, said) = settings.balancer().fail();
    assert_eq!(code, Some(1), "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    for (line, (address, name)) in lines.iter().zip([(one, "a"), (other, "b")]) {
        assert!(
            line.starts_with(&format!("loadbalancer: cannot listen on {address}: the port is in use")),
            "{said}"
        );
        assert!(line.ends_with(&format!("or choose another with listeners.{name}.address")), "{said}");
    }
    assert!(lines[2].starts_with(&format!("loadbalancer: no admin API on {admin}: ")), "{said}");
}
