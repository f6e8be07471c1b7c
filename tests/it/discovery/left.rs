//! What is said of backends that a source no longer tells of.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{answers, settings, settings_text};
use crate::support::{Balancer, Dns, End, Sample, Settings, until};

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

#[test]
fn a_source_that_tells_of_as_many_other_backends_is_said_to_once() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    let source = format!("dns:app.test:{}", sample.address().port());
    dns.says("app.test.", &[ELSEWHERE, Ipv4Addr::new(127, 0, 0, 8)]);
    let balancer = settings(Some(&dns), &source).balancer().start();
    balancer.said(&format!("{source} tells of 2 backends"));
    dns.says("app.test.", &[ELSEWHERE, Ipv4Addr::LOCALHOST]);
    balancer.said_times(&format!("{source} tells of 2 backends"), 2);
    // The same in another order is nothing new.
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST, ELSEWHERE]);
    let questions = dns.questions();
    until("it was asked again", || dns.questions() > questions + 4);
    assert_eq!(balancer.times_said("tells of"), 2);
}

#[test]
fn a_file_that_gives_other_weights_is_said_to_tell_of_its_backends() {
    let sample = Sample::start("listed");
    let list = Settings::that_say("");
    let line = |weight: u32| format!("{} weight={weight}\n", sample.address());
    let source = format!("file:{}", list.put("backends.txt", line(1)).display());
    let balancer = settings(None, &source).balancer().start();
    balancer.said(&format!("{source} tells of 1 backend"));
    list.put("backends.txt", line(2));
    balancer.said_times(&format!("{source} tells of 1 backend"), 2);
}

#[test]
fn a_backend_that_a_name_no_longer_leads_to_is_not_said_to_have_left_the_settings() {
    let (dns, sample) = (Dns::start(), Sample::start("named"));
    dns.says("app.test.", &[Ipv4Addr::LOCALHOST, ELSEWHERE]);
    let text = settings_text(Some(&dns), &format!("dns:app.test:{}", sample.address().port()));
    let settings = Settings::that_say(&text.replace("address = \"off\"", "address = \"127.0.0.1:0\""));
    let balancer = settings.balancer().start();
    balancer.said("tells of 2 backends");
    let admin = balancer.admin();
    admin.patch(sample.address(), r#"{"weight": 5}"#);
    dns.says("app.test.", &[ELSEWHERE]);
    until("it leaves", || admin.backend(sample.address())["state"] == "leaving");
    let why = "neither the settings nor the sources of its pool name it any more; \
               what an operator said of it is remembered";
    assert_eq!(admin.backend(sample.address())["why"], why);
}

#[test]
fn a_file_that_leaves_only_whom_the_settings_give_weight_0_is_not_gone_by() {
    let samples = ["first", "second"].map(Sample::start);
    let [first, second] = samples.each_ref().map(Sample::address);
    let list = Settings::that_say("");
    let path = list.put("backends.txt", format!("{first}\n{second}\n"));
    let text = settings_text(None, &format!("file:{}", path.display()));
    let own = format!("backends = [{{ address = \"{first}\", weight = 0 }}]\n");
    let balancer = Settings::that_say(&format!("{text}{own}")).balancer().start();
    assert_eq!(answers(&balancer), "hello from second\n");
    list.put("backends.txt", format!("{first}\n"));
    balancer.said("all weights are 0, and no backend of its pool would get a request; what was known");
    assert_eq!(answers(&balancer), "hello from second\n");
}

#[test]
fn a_file_that_gives_weight_0_to_all_is_gone_by_while_an_operator_gave_one_of_them_more() {
    let samples = ["first", "second"].map(Sample::start);
    let [first, second] = samples.each_ref().map(Sample::address);
    let list = Settings::that_say("");
    let lines = |weight: u32| format!("{first} weight={weight}\n{second} weight={weight}\n");
    let source = format!("file:{}", list.put("backends.txt", lines(1)).display());
    let text = settings_text(None, &source).replace("address = \"off\"", "address = \"127.0.0.1:0\"");
    let balancer = Settings::that_say(&text).balancer().start();
    balancer.said(&format!("{source} tells of 2 backends"));
    let admin = balancer.admin();
    admin.patch(second, r#"{"weight": 50}"#);
    list.put("backends.txt", lines(0));
    balancer.said_times(&format!("{source} tells of 2 backends"), 2);
    until("the file counts", || admin.backend(first)["weight"]["effective"] == 0);
    assert_eq!(admin.backend(second)["weight"], serde_json::json!({ "set": 0, "effective": 50 }));
    assert_eq!(answers(&balancer), "hello from second\n");
    assert_eq!(balancer.times_said("all weights are 0"), 0);
}

#[test]
fn a_file_that_never_says_the_same_twice_is_complained_of_until_it_does() {
    let (sample, list) = (Sample::start("listed"), Settings::that_say(""));
    let line = |weight| format!("{} weight={weight}\n", sample.address());
    let path = list.put("backends.txt", line(1));
    let source = format!("file:{}", path.display());
    let balancer = settings(None, &source).balancer().start();
    balancer.said(&format!("{source} tells of 1 backend"));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let end = End(&over);
        let rewrite = || {
            let next = path.with_extension("next");
            for weight in (2..=10_000).cycle().take_while(|_| !over.load(Ordering::Relaxed)) {
                fs::write(&next, line(weight)).unwrap();
                fs::rename(&next, &path).unwrap();
            }
        };
        scope.spawn(rewrite);
        let said = balancer.said("it says something else at each look");
        assert!(said.ends_with("write it less often; what was known of it before still holds"), "{said}");
        drop(end);
    });
    balancer.said_times(&format!("{source} tells of 1 backend"), 2);
}

#[test]
fn a_source_with_something_wrong_is_told_of_wherever_an_operator_looks_until_it_is_mended() {
    let (sample, list) = (Sample::start("listed"), Settings::that_say(""));
    let text_of_list = format!("{}\n", sample.address());
    let source = format!("file:{}", list.put("backends.txt", &text_of_list).display());
    let text = settings_text(None, &source).replace("address = \"off\"", "address = \"127.0.0.1:0\"");
    let balancer = Settings::that_say(&text).balancer().start();
    let admin = balancer.admin();
    let told = || admin.get("/api/v1/pools/all")["sources"][0].clone();
    let metric = |value: u32| {
        let page = admin.ask("GET", "/metrics", "", "").expect_status(200);
        let line = format!("source_failing{{pool=\"all\",source=\"{source}\"}} {value}\n");
        page.text().contains(&line)
    };
    let page = || Balancer::bare().flag("--admin", &admin.address.to_string()).word("status").fail().1;
    until("it is asked", || told()["backends"] == 1 && told()["trouble"].is_null());
    assert!(metric(0) && !page().contains("known of it"), "{}", page());
    list.put("backends.txt", "nonsense with blanks\n");
    until("it is of no use", || told()["trouble"].is_string());
    let why = told()["trouble"].as_str().unwrap().to_owned();
    let since = told()["trouble_since"].clone();
    assert!(since.is_string() && told()["backends"] == 1, "{:?}", told());
    let start = format!("pool all: {source}: {why}, for ");
    let page = page();
    let line = page.lines().find(|line| line.starts_with(&start));
    assert!(metric(1) && line.is_some_and(|line| line.ends_with("s; 1 backend known of it")), "{page}");
    list.put("backends.txt", &text_of_list);
    until("it is mended", || told()["trouble"].is_null());
    assert!(metric(0) && told()["trouble_since"].is_null());
}
