//! Backends that are given by name, when the name gets other addresses.

use std::net::Ipv4Addr;

use serde_json::json;

use super::{Backend, Client, Sample, Settings, get};
use crate::support::admin::{JSON, body};
use crate::support::{Successor, lacks_lists_of_names, signal};

/// The system gives this one first.
const FIRST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn text(backend: &str) -> String {
    format!(
        "watch = true\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
         [pools.all]\nbackends = [\"{backend}\"]\nhealth = {{ path = \"/health\" }}\n"
    )
}

fn names(addresses: &[Ipv4Addr]) -> String {
    addresses.iter().map(|address| format!("{address} app.test\n")).collect()
}

#[test]
fn a_backend_stays_where_its_name_led_as_long_as_that_leads_there_among_others() {
    if lacks_lists_of_names() {
        return;
    }
    let port = Backend::refuses().port();
    let (name, path) = (format!("app.test:{port}"), format!("/api/v1/pools/all/backends/app.test:{port}"));
    let settings = Settings::that_say(&text(&name));
    let list = settings.put("hosts", names(&[SECOND]));
    let balancer = settings.balancer().names_from(&list).start();
    let admin = balancer.admin();
    let patch = |patch| body(&admin.ask("PATCH", &path, "Content-Type: application/json\r\n", patch));
    let plan = || {
        let lines = "Content-Type: application/toml\r\n";
        body(&admin.ask("POST", "/api/v1/plan", lines, &text(&name)).expect_status(200))
    };
    patch(r#"{"hold": "drain", "weight": 3}"#);
    settings.put("hosts", names(&[FIRST, SECOND]));
    assert_eq!(plan()["changes"], false);
    balancer.signal("HUP");
    balancer.said("reload: nothing has changed");
    assert_eq!(admin.get(&path)["state"], "draining");
    // Its address is gone, and what was said of it is remembered until it is taken back.
    settings.put("hosts", names(&[FIRST]));
    let moved = json!([{
        "kind": "change",
        "what": format!("pools.all.backends[{name}]"),
        "before": format!("{SECOND}:{port}"),
        "after": format!("{FIRST}:{port}"),
    }]);
    assert_eq!(plan()["differences"], moved);
    balancer.signal("HUP");
    balancer.said(" reloaded");
    assert_eq!(admin.get(&path)["hold"], json!(null));
    for (text, left) in [(r#"{"weight": null}"#, json!([null])), (r#"{"hold": null}"#, json!([]))] {
        patch(text);
        let overrides = admin.get("/api/v1/overrides")["overrides"].clone();
        let weights: Vec<_> = overrides.as_array().unwrap().iter().map(|one| one["weight"].clone()).collect();
        assert_eq!(json!(weights), left);
    }
}

#[test]
fn files_that_say_what_was_taken_back_are_known_again_when_a_name_in_them_has_more_addresses() {
    if lacks_lists_of_names() {
        return;
    }
    let good = Sample::start("good");
    let bad = text(&format!("app.test:{}", Backend::refuses().port()));
    let settings = Settings::that_say(&text(&good.address().to_string()));
    let list = settings.put("hosts", names(&[SECOND]));
    let balancer = settings.balancer().names_from(&list).start();
    balancer.said("is healthy");
    settings.write(&bad);
    balancer.admin().post("/api/v1/reload?confirm=60s", "{}").expect_status(200);
    balancer.said("the change was taken back: no backend of pool all could be used");
    settings.put("hosts", names(&[FIRST, SECOND]));
    settings.write(&format!("{bad}# a remark\n"));
    balancer.said("reload refused, the settings stay as they were: the files say what was taken back");
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from good\n");
}

#[test]
fn what_was_said_of_a_backend_to_a_process_before_is_taken_back_when_its_name_leads_elsewhere() {
    if lacks_lists_of_names() {
        return;
    }
    let port = Backend::refuses().port();
    let path = format!("/api/v1/pools/all/backends/app.test:{port}");
    for (taken_back, left) in [
        (r#"{"hold": null}"#, json!([null, 3])),
        (r#"{"weight": null}"#, json!(["drain", 1])),
        (r#"{"hold": null, "weight": null}"#, json!([null, 1])),
    ] {
        let settings = Settings::that_say(&text(&format!("app.test:{port}")));
        let list = settings.put("hosts", names(&[SECOND]));
        let balancer = settings.balancer().names_from(&list).start();
        let admin = balancer.admin();
        let patch = |patch| admin.ask("PATCH", &path, JSON, patch).expect_status(200);
        patch(r#"{"hold": "drain", "weight": 3}"#);
        settings.put("hosts", names(&[FIRST]));
        balancer.signal("HUP");
        balancer.said(" reloaded");
        let successor = Successor::of(balancer.id(), &balancer, 0);
        patch(taken_back);
        settings.put("hosts", names(&[SECOND]));
        signal("HUP", successor.0);
        balancer.said_times(" reloaded", 2);
        let known = admin.get(&path);
        assert_eq!(json!([known["hold"], known["weight"]["effective"]]), left, "{taken_back}");
    }
}

#[test]
fn what_is_counted_of_a_name_begins_anew_when_it_leads_back() {
    if lacks_lists_of_names() {
        return;
    }
    let (backend, came, let_go) = Backend::held_up();
    let name = format!("app.test:{}", backend.address.port());
    let settings = Settings::that_say(&text(&name));
    let list = settings.put("hosts", names(&[FIRST]));
    let balancer = settings.balancer().names_from(&list).start();
    let answers = || {
        let page = balancer.admin().ask("GET", "/metrics", "", "").expect_status(200);
        let start =
            format!("loadbalancer_backend_answers_total{{pool=\"all\",backend=\"{name}\",code=\"2xx\"}} ");
        let count = page.text().lines().find_map(|line| line.strip_prefix(&start)?.parse::<u64>().ok());
        count.unwrap_or_else(|| panic!("{}", page.text()))
    };
    (0..3).for_each(|_| drop(get(balancer.address, "/").expect_status(200)));
    assert_eq!(answers(), 3);
    let mut slow = Client::to(balancer.address);
    slow.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
    came.wait();
    for (reloads, address) in [(1, SECOND), (2, FIRST)] {
        settings.put("hosts", names(&[address]));
        balancer.signal("HUP");
        balancer.said_times(" reloaded", reloads);
        assert_eq!(answers(), 0, "{address}");
    }
    let_go.open();
    slow.answer().expect_status(200);
    assert_eq!(answers(), 1);
}
