//! Each line says by which listener its request came, and one of a client that made none by which that came.

use crate::support::{Client, Http2, Sample, Settings, get};

use super::{GET, Log};

#[test]
fn a_line_names_the_listener_whatever_came_by_it() {
    let (sample, log) = (Sample::start("one"), Log::new());
    let text = format!(
        "access_log = \"{}\"\n[listeners.inside]\naddress = \"127.0.0.1:0\"\n[listeners.outside]\naddress = \"127.0.0.1:0\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n[pools.app]\nbackends = [\"{}\"]\n",
        log.path(),
        sample.address(),
    );
    let balancer = Settings::that_say(&text).balancer().start();
    let inside = balancer.address_of("inside");
    get(balancer.address_of("outside"), "/").expect_status(200);
    Http2::to(inside).get("/");
    let mut client = Client::to(inside);
    client.send("no request\r\n\r\n");
    client.answer().expect_status(400);
    let mut client = Client::to(inside);
    client.send(GET);
    client.answer().expect_status(200);
    let lines = log.lines_after(&balancer, 4);
    let said: Vec<_> =
        lines.iter().map(|line| (line["listener"].as_str(), line["status"].as_u64())).collect();
    let inside = |status| (Some("inside"), Some(status));
    assert_eq!(said, [(Some("outside"), Some(200)), inside(200), inside(400), inside(200)]);
}
