//! Settings of many thousand routes and pools, as one has who serves as many customers.

use std::fmt::Write;

use super::START;
use super::tools::run;
use crate::support::pki::Folder;
use crate::support::{Sample, Settings, get};

#[test]
fn settings_that_have_more_values_with_all_defaults_than_a_file_may_have_are_shown() {
    let (folder, count) = (Folder::new(), 16_500);
    let pools = (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "pools.p{number}.backends = [\"127.0.0.1:1\"]");
        text
    });
    let file = folder.write("lb.toml", format!("{pools}[routes.all]\npool = \"p0\"\n"));
    let (code, said) = run(&file, &["config", "show", "--effective", "--format=json"]);
    assert_eq!(code, Some(0), "{}", said.lines().next().unwrap_or_default());
    assert_eq!(said.matches("\"statuses\"").count(), count);
}

#[test]
fn more_hosts_with_more_paths_than_there_is_memory_for_are_refused_and_what_is_served_goes_on() {
    let list = |count, of: fn(usize) -> String| (0..count).map(of).collect::<Vec<_>>();
    let sample = Sample::start("one");
    let text = |hosts, paths| {
        let hosts = list(hosts, |number| format!("h{number}.test"));
        let paths = list(paths, |number| format!("/{number}"));
        format!(
            "{START}[pools.all]\nbackends = [\"{}\"]\n[routes.all]\npool = \"all\"\n\
             [routes.wide]\nhosts = {hosts:?}\npaths = {paths:?}\npool = \"all\"\n",
            sample.address()
        )
    };
    let settings = Settings::that_say(&text(30, 40));
    let balancer = settings.balancer().start();
    settings.write(&text(10_000, 10_000));
    balancer.signal("HUP");
    let expected = "route wide: 10000 hosts, each with 10000 paths: \
                    with those of the routes before it these are 100000001 pairs";
    let said = balancer.said(expected);
    assert!(
        said.contains("of which there may be 500000; write one `*.example.com` for many hosts"),
        "{said}"
    );
    get(balancer.address, "/").expect_status(200);
    let (code, said) = settings.balancer().word("validate").fail();
    assert!(code == Some(2) && said.contains(expected), "{code:?}: {said}");
    assert!(said.contains("[routes.wide]"), "it is drawn: {said}");
}

#[test]
fn many_thousand_routes_for_the_same_requests_are_told_of_without_a_look_at_each_pair() {
    let (folder, count) = (Folder::new(), 20_000);
    let routes = (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "routes.r{number}.pool = \"all\"");
        text
    });
    let text = format!("{routes}[pools.all]\nbackends = [\"127.0.0.1:1\"]\n");
    let (code, said) = run(&folder.write("lb.toml", text), &["validate"]);
    let expected = "routes r0 and r1: hold for exactly the same requests";
    assert!(
        code == Some(2) && said.contains(expected),
        "{code:?}: {}",
        said.lines().next().unwrap_or_default()
    );
    assert_eq!(
        said.matches("hold for exactly the same requests").count(),
        50,
        "no more is told than is read"
    );
}
