//! Reloads that move sources about, and those that would leave nobody to send requests to.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use hickory_resolver::proto::rr::RecordType;

use super::{answers, settings_text};
use crate::support::{Dns, Sample, Settings, until};

#[test]
fn a_reload_that_leaves_a_pool_only_weights_of_0_is_refused() {
    let samples = ["first", "second"].map(Sample::start);
    let [first, second] = samples.each_ref().map(Sample::address);
    let list = Settings::that_say("");
    let path = list.put("backends.txt", format!("{second} weight=0\n"));
    let rest = settings_text(None, &format!("file:{}", path.display()));
    let settings = Settings::that_say(&format!("{rest}backends = [\"{first}\"]\n"));
    let balancer = settings.balancer().start();
    balancer.said("tells of 1 backend");
    for text in [rest.clone(), format!("{rest}backends = [{{ address = \"{first}\", weight = 0 }}]\n")] {
        let before = balancer.times_said("no backend of pool all would get a request: all weights are 0");
        settings.write(&text);
        balancer.signal("HUP");
        balancer.said_times("no backend of pool all would get a request: all weights are 0", before + 1);
        assert_eq!(answers(&balancer), "hello from first\n");
    }
}

#[test]
fn a_pool_that_is_renamed_while_names_are_not_answered_keeps_what_was_told_of_them() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST]);
    let text = settings_text(Some(&dns), &format!("dns:app.test:{}", sample.address().port()));
    let settings = Settings::that_say(&text);
    let balancer = settings.balancer().start();
    assert_eq!(answers(&balancer), "hello from named\n");
    dns.drops(&[RecordType::A, RecordType::AAAA]);
    settings.change(&balancer, &text.replace("pools.all", "pools.renamed"));
    assert_eq!(answers(&balancer), "hello from named\n");
}

#[test]
fn a_source_that_moves_to_another_pool_while_names_are_not_answered_takes_along_what_it_told() {
    let (dns, samples) = (Dns::start(), ["first", "second"].map(Sample::start));
    let [first, second] = samples.each_ref().map(Sample::address);
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST]);
    let source = format!("discover = [\"dns:app.test:{}\"]\n", second.port());
    let backends = format!("backends = [\"{first}\"]\n");
    let text = |of_all: &str, of_more: &str| {
        let rest = settings_text(Some(&dns), "").replace("discover = [\"\"]\n", of_all);
        format!(
            "{rest}[pools.more]\n{of_more}[routes.all]\npath = \"/all\"\npool = \"all\"\n[routes.more]\npool = \"more\"\n"
        )
    };
    let settings = Settings::that_say(&text(&format!("{backends}{source}"), &backends));
    let balancer = settings.balancer().start();
    assert_eq!(answers(&balancer), "hello from first\n");
    dns.drops(&[RecordType::A, RecordType::AAAA]);
    settings.change(&balancer, &text(&backends, &source));
    assert_eq!(answers(&balancer), "hello from second\n");
}

#[test]
fn a_source_that_leads_to_where_we_listen_until_a_reload_is_gone_by_from_then_on() {
    let (dns, ours, sample) = (Dns::start(), Ipv4Addr::new(127, 77, 65, 84), Sample::start("first"));
    dns.says("app.test.", &[ours]);
    dns.holds_for(300);
    // Nobody else's, so that they can be named before they are listened on.
    let free = [(); 2].map(|()| TcpListener::bind((ours, 0)).expect("a free port"));
    let [before, later] = free.map(|free| free.local_addr().expect("it is bound"));
    let text = |listen: SocketAddr, source: &str| {
        let rest = settings_text(Some(&dns), source).replace("127.0.0.1:0", &listen.to_string());
        format!("{rest}backends = [\"{}\"]\n", sample.address())
    };
    let source = format!("dns:app.test:{}", before.port());
    let elsewhere = format!("dns:other.test:{}", sample.address().port());
    dns.says("other.test.", &[Ipv4Addr::LOCALHOST]);
    for (source_before, complaints) in [(&*elsewhere, 0), (&*source, 1)] {
        let settings = Settings::that_say(&text(before, source_before));
        let balancer = settings.balancer().start();
        until("it is known", || balancer.times_said("is where we listen") == complaints);
        settings.change(&balancer, &text(later, &source));
        // It is checked.
        balancer.said(&format!("all/{before} is "));
        assert_eq!(balancer.times_said("is where we listen"), complaints);
    }
}
