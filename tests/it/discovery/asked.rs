//! Whom names are asked of, by which names, and whose answer counts.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_resolver::proto::rr::RecordType;

use super::{answers, settings_text};
use crate::support::{Dns, Running, Sample, Settings, get, lacks_lists_of_names, until};

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// A balancer that asks two servers of names.
fn asking([one, other]: [&Dns; 2], source: &str) -> Running {
    let text = settings_text(Some(one), source);
    let both = format!("\"{}\", \"{}\"", one.address, other.address);
    Settings::that_say(&text.replace(&format!("\"{}\"", one.address), &both)).balancer().start()
}

/// A balancer on a system that looks for names in this way; none where no such system can be made.
fn on_a_system(dns: &Dns, ways: &str, hosts: impl AsRef<[u8]>, source: &str) -> Option<(Settings, Running)> {
    if lacks_lists_of_names() {
        return None;
    }
    let settings = Settings::that_say(&settings_text(None, source));
    let servers = settings.put("resolv.conf", format!("nameserver {}\n{ways}\n", dns.address.ip()));
    let hosts = settings.put("hosts", hosts);
    let balancer = settings.balancer().names_from(&hosts).servers_of_names_from(&servers).start();
    Some((settings, balancer))
}

fn source_at(name: &str, address: SocketAddr) -> String {
    format!("dns:{name}:{}", address.port())
}

#[test]
fn servers_of_names_are_asked_in_their_order_and_the_first_that_tells_counts() {
    let ([first, second], sample) = ([(); 2].map(|()| Dns::start()), Sample::start("named"));
    first.says("app.test.", &[Ipv4Addr::LOCALHOST]);
    second.says("app.test.", &[ELSEWHERE]);
    let balancer = asking([&first, &second], &source_at("app.test", sample.address()));
    assert_eq!(answers(&balancer), "hello from named\n");
    let questions = first.questions();
    until("it is asked again", || first.questions() > questions + 2);
    assert_eq!(second.questions(), 0);
    // Who says that there is none has told, too.
    first.denies(true);
    first.says("app.test.", &[]);
    balancer.said("there is no such name; what was known of it before still holds");
    assert_eq!(second.questions(), 0);
    first.fails(true);
    balancer.said(&format!("{} is removed", sample.address()));
    assert!(second.questions() > 0);
    first.says("app.test.", &[Ipv4Addr::LOCALHOST]);
    first.fails(false);
    balancer.said(&format!("{ELSEWHERE}:{} is removed", sample.address().port()));
}

#[test]
fn a_server_of_names_that_is_silent_is_passed_over() {
    let ([first, second], sample) = ([(); 2].map(|()| Dns::start()), Sample::start("named"));
    first.drops(&[RecordType::A, RecordType::AAAA, RecordType::SRV]);
    second.says("host.test.", &[Ipv4Addr::LOCALHOST]);
    second.serves("_http._tcp.app.test.", &[(0, 1, sample.address().port(), "host.test.")]);
    let balancer = asking([&first, &second], "srv:_http._tcp.app.test");
    until("it is used", || get(balancer.address, "/").status == 200);
    // It is not waited for at each look.
    let (asked, questions) = (first.questions(), second.questions());
    until("the other one is asked", || second.questions() > questions + 6);
    assert_eq!(first.questions(), asked);
}

#[test]
fn a_failure_to_tell_of_a_name_is_not_made_up_for_by_what_is_said_of_a_longer_one() {
    let (Some(dns), sample) = (Dns::of_a_system(), Sample::start("named")) else { return };
    dns.says("app.internal.", &[Ipv4Addr::LOCALHOST]);
    dns.says("app.internal.wild.test.", &[ELSEWHERE]);
    let source = source_at("app.internal", sample.address());
    let Some((_settings, balancer)) = on_a_system(&dns, "search wild.test", "", &source) else { return };
    assert_eq!(answers(&balancer), "hello from named\n");
    dns.fails_at("app.internal.");
    balancer.said("the server of names says Server Failure; what was known of it before still holds");
    assert_eq!(answers(&balancer), "hello from named\n");
    assert_eq!(balancer.times_said(&format!("{ELSEWHERE}:")), 0);
}

#[test]
fn a_short_name_is_looked_for_in_the_domains_of_the_system() {
    let (Some(dns), sample) = (Dns::of_a_system(), Sample::start("named")) else { return };
    dns.denies(true);
    // Who never answers for one family is no reason not to go on.
    dns.drops(&[RecordType::AAAA]);
    dns.says("app.second.test.", &[Ipv4Addr::LOCALHOST]);
    let (ways, source) = ("search first.test second.test", source_at("app", sample.address()));
    let Some((_settings, balancer)) = on_a_system(&dns, ways, "", &source) else { return };
    assert_eq!(answers(&balancer), "hello from named\n");
}

#[test]
fn a_domain_that_a_list_of_domains_stands_in_for_is_not_looked_in() {
    let (Some(dns), sample) = (Dns::of_a_system(), Sample::start("named")) else { return };
    dns.denies(true);
    dns.says("app.former.test.", &[ELSEWHERE]);
    dns.says("app.first.test.", &[Ipv4Addr::LOCALHOST]);
    for ways in ["domain former.test\nsearch first.test", "search former.test\ndomain first.test"] {
        let source = source_at("app", sample.address());
        let Some((_settings, balancer)) = on_a_system(&dns, ways, "", &source) else { return };
        assert_eq!(answers(&balancer), "hello from named\n");
    }
}

#[test]
fn a_server_of_names_at_a_link_local_address_is_passed_over_which_is_said() {
    let (Some(dns), sample) = (Dns::of_a_system(), Sample::start("named")) else { return };
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST]);
    let (ways, source) = ("nameserver fe80::1%eth0", source_at("app.test", sample.address()));
    let Some((settings, balancer)) = on_a_system(&dns, ways, "", &source) else { return };
    assert_eq!(answers(&balancer), "hello from named\n");
    balancer
        .said("/etc/resolv.conf: the server of names fe80::1 is not asked, for its address is link-local");
    settings.put("resolv.conf", "nameserver fe80::1%eth0\n");
    balancer
        .said("nobody to ask for names: the addresses of all servers in /etc/resolv.conf are link-local;");
    assert_eq!(answers(&balancer), "hello from named\n");
}

#[test]
fn what_the_system_lists_of_names_counts_though_there_is_nobody_to_ask_which_is_said_of_other_names() {
    let sample = Sample::start("named");
    if lacks_lists_of_names() {
        return;
    }
    let port = sample.address().port();
    for (ways, why) in [
        ("nameserver fe80::1%eth0\n", "the addresses of all servers in /etc/resolv.conf are link-local"),
        ("search test\n", "/etc/resolv.conf: io error: no nameservers found in config"),
    ] {
        let sources = format!("dns:app.test:{port}\", \"dns:gone.test:{port}");
        let settings = Settings::that_say(&settings_text(None, &sources));
        let hosts = settings.put("hosts", "127.0.0.1 app.test\n");
        let servers = settings.put("resolv.conf", ways);
        let balancer = settings.balancer().names_from(&hosts).servers_of_names_from(&servers).start();
        assert_eq!(answers(&balancer), "hello from named\n");
        balancer.said(&format!(
            "dns:gone.test:{port}: the name cannot be resolved: nobody to ask for names: {why}; \
             name some with dns_servers; nothing was known of it before"
        ));
    }
}

#[test]
fn what_the_system_lists_of_names_counts_though_something_in_it_is_no_text() {
    let (Some(dns), sample) = (Dns::of_a_system(), Sample::start("named")) else { return };
    dns.says("app.test.", &[ELSEWHERE]);
    let (hosts, source) = (b"# B\xfccher\n127.0.0.1 app.test\n", source_at("app.test", sample.address()));
    let Some((settings, balancer)) = on_a_system(&dns, "", hosts, &source) else { return };
    assert_eq!(answers(&balancer), "hello from named\n");
    // One that cannot be read is told of.
    settings.put("hosts", vec![b'\n'; (16 << 20) + 1]);
    balancer.said("/etc/hosts: cannot be read, and names are looked for without it: it is larger than 16MiB");
}

#[test]
fn what_the_system_lists_of_names_counts_before_all_servers_and_as_it_is_now() {
    let (Some(dns), sample) = (Dns::of_a_system(), Sample::start("named")) else { return };
    dns.says("app.test.", &[Ipv4Addr::new(127, 0, 0, 8)]);
    let source = source_at("app.test", sample.address());
    let hosts = |address: Ipv4Addr| format!("{address} app.test\n");
    let Some((settings, balancer)) = on_a_system(&dns, "", hosts(ELSEWHERE), &source) else { return };
    balancer.said(&format!("{ELSEWHERE}:{} is ", sample.address().port()));
    settings.put("hosts", hosts(Ipv4Addr::LOCALHOST));
    until("the new address is used", || get(balancer.address, "/").status == 200);
    assert_eq!(dns.questions(), 0);
}

#[test]
fn what_the_system_lists_of_names_does_not_count_where_it_is_said_whom_to_ask() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    if lacks_lists_of_names() {
        return;
    }
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST]);
    let settings = Settings::that_say(&settings_text(Some(&dns), &source_at("app.test", sample.address())));
    let hosts = settings.put("hosts", format!("{ELSEWHERE} app.test\n"));
    let balancer = settings.balancer().names_from(&hosts).start();
    assert_eq!(answers(&balancer), "hello from named\n");
}

#[test]
fn services_are_found_under_a_name_that_stands_for_another_one() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    dns.says("host.test.", &[Ipv4Addr::LOCALHOST]);
    dns.aliases("_http._tcp.app.test.", "_http._tcp.more.test.");
    dns.aliases("_http._tcp.more.test.", "_http._tcp.most.test.");
    dns.serves("_http._tcp.most.test.", &[(0, 1, sample.address().port(), "host.test.")]);
    let source = "srv:_http._tcp.app.test";
    let balancer = Settings::that_say(&settings_text(Some(&dns), source)).balancer().start();
    assert_eq!(answers(&balancer), "hello from named\n");
    // In a circle it ends, too.
    dns.aliases("_http._tcp.most.test.", "_http._tcp.app.test.");
    balancer.said("what was known of it before still holds");
    assert_eq!(answers(&balancer), "hello from named\n");
}

#[test]
fn a_new_name_in_a_file_counts_though_servers_turn_its_addresses_round() {
    let (Some(dns), sample) = (Dns::of_a_system(), Sample::start("named")) else { return };
    // The system prefers neither of them.
    dns.says("app.test.", &[Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)]);
    dns.turns();
    let list = Settings::that_say("");
    let path = list.put("backends.txt", sample.address().to_string());
    let source = format!("file:{}", path.display());
    let Some((_settings, balancer)) = on_a_system(&dns, "", "", &source) else { return };
    assert_eq!(answers(&balancer), "hello from named\n");
    list.put("backends.txt", format!("app.test:{}", sample.address().port()));
    balancer.said(&format!("all/{} is removed", sample.address()));
    // So do new addresses of a known one.
    dns.says("app.test.", &[Ipv4Addr::new(127, 0, 0, 4), Ipv4Addr::new(127, 0, 0, 5)]);
    balancer.said(&format!("all/app.test:{} is removed", sample.address().port()));
}

#[test]
fn a_family_that_there_was_no_answer_for_is_asked_for_again_though_the_other_holds_for_long() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    dns.holds_for(300);
    dns.says_both("app.test.", &[Ipv4Addr::LOCALHOST], &[Ipv6Addr::LOCALHOST]);
    dns.fails_for(&[RecordType::AAAA]);
    let source = source_at("app.test", sample.address());
    let balancer = Settings::that_say(&settings_text(Some(&dns), &source)).balancer().start();
    // Each time it is asked twice.
    until("it failed once more", || dns.questions_for(RecordType::AAAA) >= 4);
    dns.fails(false);
    balancer.said("tells of 2 backends");
}
