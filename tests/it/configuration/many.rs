//! Settings with more hosts and paths than there can be.

use super::START;
use crate::support::{Sample, Settings, get};

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
