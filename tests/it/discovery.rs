//! Backends that names and files tell of.

mod asked;
mod left;
mod reloaded;

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use hickory_resolver::proto::rr::RecordType;

use crate::support::pki::Authority;
use crate::support::tls_backend::{TlsBackend, with_certificate};
use crate::support::{Dns, Running, Sample, Settings, get, until};

fn settings(dns: Option<&Dns>, source: &str) -> Settings {
    Settings::that_say(&settings_text(dns, source))
}

fn settings_text(dns: Option<&Dns>, source: &str) -> String {
    let servers = dns.map_or(String::new(), |dns| format!("dns_servers = [\"{}\"]\n", dns.address));
    format!(
        "{servers}[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [pools.all]\ndiscover = [\"{source}\"]\nhealth = {{ path = \"/health\" }}\n"
    )
}

fn answers(balancer: &Running) -> String {
    get(balancer.address, "/").text().to_owned()
}

#[test]
fn the_addresses_of_a_name_are_backends_from_the_first_request_on() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST]);
    let source = format!("dns:app.test:{}", sample.address().port());
    let balancer = settings(Some(&dns), &source).balancer().start();
    assert_eq!(answers(&balancer), "hello from named\n");
}

#[test]
fn a_name_is_asked_for_again_when_what_it_said_no_longer_holds() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    let elsewhere = Ipv4Addr::new(127, 0, 0, 9);
    dns.says("app.test.", &[elsewhere]);
    let source = format!("dns:app.test:{}", sample.address().port());
    let balancer = settings(Some(&dns), &source).balancer().start();
    get(balancer.address, "/").expect_status(503);
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST]);
    until("the new address is used", || get(balancer.address, "/").status == 200);
    balancer.said(&format!("{elsewhere}:{} is removed", sample.address().port()));
}

#[test]
fn a_name_that_comes_to_be_is_found_soon_however_long_it_was_said_not_to_be_there() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    dns.denies(true);
    let source = format!("dns:app.test:{}", sample.address().port());
    let balancer = settings(Some(&dns), &source).balancer().start();
    balancer.said("there is no such name");
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST]);
    until("it is used", || get(balancer.address, "/").status == 200);
}

#[test]
fn where_a_reload_begins_to_listen_is_left_out_of_what_a_source_told_and_comes_back_afterwards() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    let other = Ipv4Addr::new(127, 0, 0, 9);
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST, other]);
    dns.holds_for(300);
    let port = sample.address().port();
    let settings = settings(Some(&dns), &format!("dns:app.test:{port}"));
    let balancer = settings.balancer().start();
    balancer.said("tells of 2 backends");
    let text = std::fs::read_to_string(settings.path()).expect("a file of ours");
    settings.change(&balancer, &format!("{text}[listeners.other]\naddress = \"{other}:{port}\"\n"));
    balancer.said(&format!("{other}:{port} is removed"));
    settings.change(&balancer, &text);
    balancer.said_times(&format!("{other}:{port} is "), 3);
}

#[test]
fn neither_an_error_nor_an_answer_without_addresses_takes_backends_away() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST]);
    let source = format!("dns:app.test:{}", sample.address().port());
    let balancer = settings(Some(&dns), &source).balancer().start();
    assert_eq!(answers(&balancer), "hello from named\n");
    for (round, trouble) in
        [|dns: &Dns| dns.fails(true), |dns: &Dns| dns.says("app.test.", &[])].iter().enumerate()
    {
        trouble(&dns);
        balancer.said_times("what was known of it before still holds", round + 1);
        assert_eq!(answers(&balancer), "hello from named\n");
        dns.fails(false);
        dns.says("app.test.", &[Ipv4Addr::LOCALHOST]);
        balancer.said_times("tells of 1 backend", round + 2);
    }
    assert_eq!(balancer.times_said("is removed"), 0);
}

#[test]
fn an_address_that_would_be_taken_for_this_machine_is_no_backend() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    let (none, both) = (Ipv4Addr::UNSPECIFIED, [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED]);
    dns.says("app.test.", &both);
    dns.says("blocked.test.", &[none]);
    let port = sample.address().port();
    let balancer = settings(Some(&dns), &format!("dns:app.test:{port}")).balancer().start();
    assert_eq!(answers(&balancer), "hello from named\n");
    balancer.said("it leads to 0.0.0.0, which is no machine's address; it is left out");
    balancer.said("tells of 1 backend");
    dns.says("app.test.", &[none]);
    balancer.said("it leads only to 0.0.0.0, which is no machine's address; what was known");
    assert_eq!(answers(&balancer), "hello from named\n");
    assert_eq!(balancer.times_said("is removed"), 0);
    dns.serves("_http._tcp.app.test.", &[(0, 1, port, "blocked.test.")]);
    let balancer = settings(Some(&dns), "srv:_http._tcp.app.test").balancer().start();
    balancer.said("its target blocked.test leads only to 0.0.0.0, which is no machine's address; nothing");
    get(balancer.address, "/").expect_status(503);
}

#[test]
fn a_failure_to_tell_of_one_family_of_addresses_takes_none_of_them_away_and_keeps_none_of_the_other() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    let other = Ipv4Addr::new(127, 0, 0, 9);
    dns.says_both("app.test.", &[Ipv4Addr::LOCALHOST, other], &[Ipv6Addr::LOCALHOST]);
    let port = sample.address().port();
    let settings = settings(Some(&dns), &format!("dns:app.test:{port}"));
    let balancer = settings.balancer().start();
    balancer.said("tells of 3 backends");
    dns.fails_for(&[RecordType::AAAA]);
    balancer.said(
        "its IPv6 addresses cannot be found: the server of names says Server Failure; \
         what was known of it before still holds",
    );
    dns.says_both("app.test.", &[Ipv4Addr::LOCALHOST], &[]);
    balancer.said(&format!("{other}:{port} is removed"));
    assert_eq!(balancer.times_said(&format!("[::1]:{port} is removed")), 0);
    assert_eq!(answers(&balancer), "hello from named\n");
    // Nor does it when somebody else is asked from now on.
    let other = Dns::start();
    other.says_both("app.test.", &[Ipv4Addr::LOCALHOST], &[]);
    other.fails_for(&[RecordType::AAAA]);
    let text = std::fs::read_to_string(settings.path()).expect("a file of ours");
    settings.change(&balancer, &text.replace(&dns.address.to_string(), &other.address.to_string()));
    balancer.said_times("its IPv6 addresses cannot be found", 2);
    assert_eq!(balancer.times_said(&format!("[::1]:{port} is removed")), 0);
    other.fails(false);
    balancer.said(&format!("[::1]:{port} is removed"));
}

#[test]
fn who_never_answers_for_one_family_keeps_nobody_of_the_other_waiting() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    dns.drops(&[RecordType::AAAA]);
    // One after the other, all of them would take longer than anybody waits here.
    let hosts: Vec<_> = (0..16).map(|host| format!("host{host}.test.")).collect();
    let services: Vec<_> = hosts.iter().map(|host| (0, 1, sample.address().port(), host.as_str())).collect();
    hosts.iter().for_each(|host| dns.says(host, &[Ipv4Addr::new(127, 0, 0, 9)]));
    dns.serves("_http._tcp.app.test.", &services);
    let balancer = settings(Some(&dns), "srv:_http._tcp.app.test").balancer().start();
    balancer.said("its IPv6 addresses cannot be found: no answer in time; nothing was known of it before");
    hosts.iter().for_each(|host| dns.says(host, &[Ipv4Addr::LOCALHOST]));
    until("a new address is used", || get(balancer.address, "/").status == 200);
}

#[test]
fn who_never_answers_for_one_family_is_not_waited_for_again_at_each_look_at_what_is_known() {
    let dns = Dns::start();
    dns.drops(&[RecordType::AAAA]);
    let hosts: Vec<_> = (0..16).map(|host| format!("host{host}.test.")).collect();
    let services: Vec<_> = hosts.iter().map(|host| (0, 1, 9, host.as_str())).collect();
    hosts.iter().for_each(|host| dns.says(host, &[Ipv4Addr::LOCALHOST]));
    dns.serves("_http._tcp.app.test.", &services);
    let _balancer = settings(Some(&dns), "srv:_http._tcp.app.test").balancer().start();
    let looks = |looks| until("it was looked at", || dns.questions_for(RecordType::SRV) > looks);
    looks(2);
    looks(5);
    // Once while nothing was known; then twice, for what is said may be lost on its way; then it would be twice each time.
    let asked = dns.questions_for(RecordType::AAAA);
    assert!(asked < (1 + 4 * 2) * hosts.len(), "{asked} questions");
}

#[test]
fn who_never_answers_for_one_family_is_not_waited_for_again_though_an_answer_for_the_other_was_lost() {
    let dns = Dns::start();
    dns.drops(&[RecordType::A]);
    let hosts: Vec<_> = (0..16).map(|host| format!("host{host}.test.")).collect();
    let services: Vec<_> = hosts.iter().map(|host| (0, 1, 9, host.as_str())).collect();
    hosts.iter().for_each(|host| dns.says_both(host, &[], &[Ipv6Addr::LOCALHOST]));
    dns.serves("_http._tcp.app.test.", &services);
    let balancer = settings(Some(&dns), "srv:_http._tcp.app.test").balancer().start();
    until("it was waited for", || dns.questions_for(RecordType::SRV) > 2);
    dns.drops_at(Some(&hosts[0]));
    balancer.said("its target host0.test cannot be resolved: no answer in time");
    // One look more, and no other after that.
    dns.holds_for(300);
    let asked = dns.questions_for(RecordType::A);
    dns.drops_at(None);
    balancer.said_times("its IPv4 addresses cannot be found: no answer in time", 2);
    let asked = dns.questions_for(RecordType::A) - asked;
    assert!(asked < 2 * hosts.len() - 1, "{asked} questions");
}

#[test]
fn why_a_name_leads_nowhere_is_said_in_words() {
    let dns = Dns::start();
    let balancer = settings(Some(&dns), "dns:app.test:80").balancer().start();
    balancer.said("dns:app.test:80: the name cannot be resolved: there is nothing of this kind under it; nothing was known of it before");
    let told = "no backend is in service for this request\nthe pool has no backends: its sources have told of none\n";
    assert_eq!(get(balancer.address, "/").expect_status(503).text(), told);
    dns.denies(true);
    balancer.said("dns:app.test:80: the name cannot be resolved: there is no such name;");
    assert_eq!(balancer.times_said("what was known of it before still holds"), 0);
}

#[test]
fn services_of_a_name_have_ports_and_those_of_a_higher_priority_stand_by() {
    let (dns, samples) = (Dns::start(), ["first", "second"].map(Sample::start));
    let [first, second] = samples.each_ref().map(|sample| sample.address().port());
    dns.says("host.test.", &[Ipv4Addr::LOCALHOST]);
    dns.serves("_http._tcp.app.test.", &[(20, 1, second, "host.test."), (10, 1, first, "host.test.")]);
    let balancer = settings(Some(&dns), "srv:_http._tcp.app.test").balancer().start();
    assert_eq!(answers(&balancer), "hello from first\n");
    samples[0].kill();
    assert_eq!(answers(&balancer), "hello from second\n");
}

#[test]
fn a_service_in_a_domain_of_another_alphabet_is_called_as_certificates_and_hosts_call_it() {
    let (dns, authority) = (Dns::start(), Authority::new());
    let backend = TlsBackend::start(with_certificate(&authority.signs(&["xn--bcher-kva.test"])));
    dns.says("bücher.test.", &[Ipv4Addr::LOCALHOST]);
    dns.serves("_http._tcp.app.test.", &[(0, 1, backend.address.port(), "bücher.test.")]);
    let text = settings_text(Some(&dns), "srv:https://_http._tcp.app.test");
    let tls = format!("tls = {{ ca_file = \"{}\" }}\n", authority.file().display());
    let balancer = Settings::that_say(&format!("{text}{tls}")).balancer().start();
    get(balancer.address, "/").expect_status(200);
    let checked = backend.wait_for("it is checked", |met| !met.heads.is_empty());
    assert_eq!(checked.name.as_deref(), Some("xn--bcher-kva.test"));
}

#[test]
fn a_name_may_have_an_underscore_in_it() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    dns.says("my_app.test.", &[Ipv4Addr::LOCALHOST]);
    let source = format!("dns:my_app.test:{}", sample.address().port());
    let balancer = settings(Some(&dns), &source).balancer().start();
    assert_eq!(answers(&balancer), "hello from named\n");
    dns.serves("_http._tcp.app.test.", &[(0, 1, sample.address().port(), "my_app.test.")]);
    let balancer = settings(Some(&dns), "srv:_http._tcp.app.test").balancer().start();
    assert_eq!(answers(&balancer), "hello from named\n");
}

#[test]
fn a_name_that_no_certificate_can_be_for_is_an_address_to_tls() {
    let (dns, authority) = (Dns::start(), Authority::new());
    let backend = TlsBackend::start(with_certificate(&authority.signs(&["127.0.0.1"])));
    dns.says("app.1.", &[Ipv4Addr::LOCALHOST]);
    dns.serves("_http._tcp.app.test.", &[(0, 1, backend.address.port(), "app.1.")]);
    let text = settings_text(Some(&dns), "srv:https://_http._tcp.app.test");
    let tls = format!("tls = {{ ca_file = \"{}\" }}\n", authority.file().display());
    let balancer = Settings::that_say(&(text + &tls)).balancer().start();
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn a_service_that_leads_nowhere_takes_nobody_away_and_is_named() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    let (name, port) = ("_http._tcp.app.test.", sample.address().port());
    dns.says("host.test.", &[Ipv4Addr::LOCALHOST]);
    dns.serves(name, &[(0, 1, port, "host.test.")]);
    let balancer = settings(Some(&dns), "srv:_http._tcp.app.test").balancer().start();
    assert_eq!(answers(&balancer), "hello from named\n");
    let named = (0, 1, port, "host.test.");
    for (services, told) in [
        (vec![named, (0, 1, port, "gone.test.")], "its target gone.test cannot be resolved: there is"),
        (vec![(0, 1, 0, "host.test.")], "its target host.test has the port 0"),
        (
            vec![(0, 0, 0, ".")],
            "it says that there is no such service; what was known of it before still holds",
        ),
    ] {
        dns.serves(name, &services);
        balancer.said(told);
        assert_eq!(answers(&balancer), "hello from named\n");
    }
    assert_eq!(balancer.times_said("is removed"), 0);
}

#[test]
fn a_reload_asks_a_known_source_no_sooner_and_keeps_what_it_told() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    dns.says_both("app.test.", &[Ipv4Addr::LOCALHOST], &[Ipv6Addr::LOCALHOST]);
    dns.holds_for(60);
    let settings = settings(Some(&dns), &format!("dns:app.test:{}", sample.address().port()));
    let balancer = settings.balancer().start();
    balancer.said("is healthy");
    let questions = dns.questions();
    dns.fails(true);
    let text = std::fs::read_to_string(settings.path()).expect("a file of ours");
    settings.change(&balancer, &format!("{text}policy = \"round_robin\"\n").replace("health =", "#"));
    assert_eq!(answers(&balancer), "hello from named\n");
    assert_eq!(balancer.times_said("is removed"), 0);
    assert_eq!(dns.questions(), questions);
}

#[test]
fn a_reload_to_sources_that_tell_of_nobody_is_refused_where_there_are_backends() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST]);
    let source = format!("dns:app.test:{}", sample.address().port());
    let settings = settings(Some(&dns), &source);
    let balancer = settings.balancer().start();
    assert_eq!(answers(&balancer), "hello from named\n");
    dns.denies(true);
    let text = std::fs::read_to_string(settings.path()).expect("a file of ours");
    settings.write(&text.replace("dns:app.test", "dns:other.test"));
    balancer.signal("HUP");
    balancer.said("pool all has 1 backend, and would have none: dns:other.test");
    assert_eq!(answers(&balancer), "hello from named\n");
}

#[test]
fn a_refused_change_of_whom_names_are_asked_of_and_a_trial_of_one_leave_it_with_those_of_before() {
    let (dns, other, sample) = (Dns::start(), Dns::start(), Sample::start("named"));
    let (address, elsewhere) = (sample.address(), Ipv4Addr::new(127, 0, 0, 9));
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST]);
    other.says("app.test.", &[elsewhere]);
    let text = settings_text(Some(&dns), &format!("dns:app.test:{}", address.port()))
        .replace("address = \"off\"", "address = \"127.0.0.1:0\"");
    let with = |how: &str| format!("{text}[pools.more]\n{how}\n[routes.all]\npool = \"all\"\n");
    let settings = Settings::that_say(&with(&format!("backends = [\"{address}\"]")));
    let balancer = settings.balancer().start();
    assert_eq!(answers(&balancer), "hello from named\n");
    let bad = with("discover = [\"dns:gone.test:80\"]");
    settings.write(&bad.replace(&dns.address.to_string(), &other.address.to_string()));
    let refused = "pool more has 1 backend, and would have none: dns:gone.test:80";
    let trial = balancer.admin().post("/api/v1/reload?dry_run=1", "{}").expect_status(409);
    assert!(trial.text().contains(refused), "{}", trial.text());
    balancer.signal("HUP");
    balancer.said(refused);
    let questions = dns.questions();
    until("those of before are asked", || dns.questions() > questions + 4);
    assert_eq!(balancer.times_said(&format!("{elsewhere}:{} is added", address.port())), 0);
    assert_eq!(answers(&balancer), "hello from named\n");
}

#[test]
fn the_lines_of_a_file_are_backends_and_change_with_it() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let list = Settings::that_say("");
    let path = list.put("backends.txt", format!("# ours\n{} weight=2\n", first.address()));
    let balancer = settings(None, &format!("file:{}", path.display())).balancer().start();
    assert_eq!(answers(&balancer), "hello from first\n");
    for (bad, problem) in [("here\n", "line 1: "), ("", "it tells of no backend")] {
        list.put("backends.txt", bad);
        assert!(balancer.said(problem).ends_with("what was known of it before still holds"));
        assert_eq!(answers(&balancer), "hello from first\n");
    }
    list.put("backends.txt", format!("{} weight=0", first.address()));
    balancer.said("all weights are 0, and no backend of its pool would get a request; what was known");
    assert_eq!(answers(&balancer), "hello from first\n");
    list.put("backends.txt", second.address().to_string());
    until("the other one answers", || answers(&balancer) == "hello from second\n");
    std::fs::remove_file(&path).expect("a file of ours");
    balancer.said("cannot be read: No such file");
    assert_eq!(answers(&balancer), "hello from second\n");
}

#[test]
fn an_address_that_the_settings_name_is_one_backend_whatever_scheme_a_source_tells_of() {
    let sample = Sample::start("named");
    let list = Settings::that_say("");
    let path = list.put("backends.txt", format!("h2c://{}\n127.0.0.1:9\n", sample.address()));
    let text = settings_text(None, &format!("file:{}", path.display()))
        .replace("address = \"off\"", "address = \"127.0.0.1:0\"")
        .replace("discover", &format!("backends = [\"{}\"]\ndiscover", sample.address()));
    let balancer = Settings::that_say(&text).balancer().start();
    let backends = balancer.admin().get("/api/v1/pools/all")["backends"].clone();
    let backends: Vec<_> = backends.as_array().expect("a list").iter().map(|one| &one["address"]).collect();
    assert_eq!(backends, [&*sample.address().to_string(), "127.0.0.1:9"]);
}

#[test]
fn where_we_listen_ourselves_is_left_out_of_what_a_source_tells() {
    let other = Sample::start("other");
    // Nobody else's, so that it can be named before it is listened on.
    let ours = TcpListener::bind("127.77.65.83:0").and_then(|free| free.local_addr()).expect("a free port");
    let list = Settings::that_say("");
    let path = list.put("backends.txt", format!("{ours}\n{}\n", other.address()));
    let text =
        settings_text(None, &format!("file:{}", path.display())).replace("127.0.0.1:0", &ours.to_string());
    let balancer = Settings::that_say(&text).balancer().start();
    balancer
        .said(&format!("{ours} is where we listen, and requests would go round in circles; it is left out"));
    assert_eq!(answers(&balancer), "hello from other\n");
}

#[test]
fn thousands_of_lines_are_as_many_backends_and_a_file_without_end_is_refused() {
    let list = Settings::that_say("");
    let lines = |count: u32| -> String {
        (0..count).map(|number| format!("127.1.{}.{}:9\n", number / 250, 1 + number % 250)).collect()
    };
    let path = list.put("backends.txt", lines(10_001));
    let balancer = settings(None, &format!("file:{}", path.display())).balancer().start();
    balancer.said("tells of 10001 backends");
    balancer.said("only the first 10000 backends are used");
    let balancer = settings(None, "file:/dev/zero").balancer().start();
    balancer.said("file:/dev/zero: cannot be read: it is a device, not a file");
    let path = list.put("backends.txt", "#".repeat(2 << 20));
    let balancer = settings(None, &format!("file:{}", path.display())).balancer().start();
    balancer.said("backends.txt: cannot be read: it is larger than 1MiB");
}
