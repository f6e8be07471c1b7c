//! What a plan compares with: what is in force, and requests as they are routed.

use std::path::Path;

use h2::ext::Protocol;
use hyper::Request;

use crate::support::{Backend, Balancer, Http2, Settings, get};

use super::plan::ask;
use super::{admin, body, post, settings};

#[test]
fn a_websocket_over_http_2_goes_where_its_route_leads() {
    let backend = Backend::refuses().to_string();
    let text = |sockets: &str| {
        let more = format!(
            "[routes.sockets]\nheaders = {{ upgrade = \"websocket\", connection = \"upgrade\" }}\n{sockets}\n\
             [routes.rest]\npool = \"all\"\n"
        );
        settings(std::slice::from_ref(&backend), &more)
    };
    let settings_now = Settings::that_say(&text("answer = { status = 418 }"));
    let balancer = settings_now.balancer().start();
    let mut client = Http2::to(balancer.address);
    client.until_settings();
    for (protocol, status) in [("websocket", 418), ("connect-udp", 501)] {
        let request = Request::connect("http://test/chat").extension(Protocol::from_static(protocol));
        let (head, _) = client.begin(request.body(()).unwrap()).head();
        assert_eq!(head.status, status, "{head:?}");
    }
    let plan = body(&post(admin(&balancer), "plan", &text("answer = { status = 410 }")).expect_status(200));
    let told = &plan["requests"];
    assert_eq!((&told["looked_at"], &told["elsewhere"]), (&1.into(), &1.into()), "{plan}");
    assert_eq!(told["examples"][0]["from"], "answer 418 (route sockets)", "{plan}");
}

#[test]
fn a_request_that_could_lead_out_of_a_rewrite_is_told_as_that() {
    let backend = Backend::refuses().to_string();
    let text = |rewrite: &str| {
        let route = format!("[routes.inner]\npath = \"/*\"\npool = \"all\"\n{rewrite}\n");
        settings(std::slice::from_ref(&backend), &route)
    };
    let settings_now = Settings::that_say(&text("rewrite = \"/inner/{rest}\""));
    let balancer = settings_now.balancer().start();
    get(balancer.address, "/..%2Fadmin").expect_status(400);
    let plan = body(&post(admin(&balancer), "plan", &text("")).expect_status(200));
    let from = "refused: its path could lead out of its rewrite (route inner)";
    assert_eq!(plan["requests"]["examples"][0]["from"], from, "{plan}");
}

#[test]
fn what_waits_for_the_next_start_is_not_taken_for_what_is_in_force() {
    let usual = settings(&[Backend::refuses().to_string()], "");
    let waiting = format!("workers = 3\naccess_log = \"./off\"\n{usual}");
    let settings_now = Settings::that_say(&format!("workers = 2\n{usual}"));
    // Each worker takes some of the files that its clients could have.
    let balancer = Balancer::bare().flag("--config", settings_now.path()).open_files(1000).start();
    let difference = "workers: 2 -> 3";
    let later = "workers: the change takes effect at the next start\n";
    let (_, planned) = ask(&balancer, &settings_now, &waiting);
    assert!(planned.contains(difference) && planned.contains(later), "{planned}");
    assert!(!planned.contains("limits.connections"), "{planned}");
    settings_now.write(&waiting);
    let asked = Balancer::bare().flag("--admin", &admin(&balancer).to_string()).word("reload");
    let (code, said) = asked.fail();
    assert!(code == Some(0) && (said.clone() + "\n").contains(later), "{said}");
    assert_eq!(ask(&balancer, &settings_now, &waiting), (Some(0), planned));
    let (_, said) = ask(&balancer, &settings_now, &format!("workers = 4\n{usual}"));
    assert!(said.contains("workers: 2 -> 4"), "{said}");
    let (_, said) = ask(&balancer, &settings_now, &format!("workers = 2\n{usual}"));
    assert_eq!(said, "nothing would change");
}

#[test]
fn the_order_of_tables_is_told_as_that_and_what_means_the_same_is_no_change() {
    let (one, other) = (Backend::refuses(), Backend::refuses());
    let usual = settings(&[one.to_string()], "");
    let [a, b] = [("a", "/a"), ("b", "/b")]
        .map(|(name, path)| format!("[routes.{name}]\npath = \"{path}\"\npool = \"all\"\n"));
    let settings_now = Settings::that_say(&format!("{usual}{a}{b}"));
    let balancer = Balancer::bare().flag("--config", settings_now.path()).start();
    let (_, planned) = ask(&balancer, &settings_now, &format!("{usual}{b}{a}"));
    assert!(planned.contains("~ routes (order): [\"a\",\"b\"] -> [\"b\",\"a\"]\n"), "{planned}");
    assert!(!planned.contains("tls"), "{planned}");
    let same = format!("{usual}{a}{b}").replace(&one.to_string(), &format!("http://{one}"));
    let (_, planned) = ask(&balancer, &settings_now, &same);
    assert_eq!(planned, "nothing would change");
    let another = format!("{usual}{a}{b}").replace(&one.to_string(), &other.to_string());
    let (_, planned) = ask(&balancer, &settings_now, &another);
    assert!(planned.contains(&format!("+ pools.all.backends[{other}]")), "{planned}");
}

#[test]
fn an_access_log_that_is_in_force_is_no_change_though_another_one_waits() {
    let usual = settings(&[Backend::refuses().to_string()], "");
    let settings_now = Settings::that_say(&format!("access_log = \"a.log\"\n{usual}"));
    let balancer = Balancer::configured(Path::new(settings_now.path())).start();
    settings_now.write(&format!("access_log = \"b.log\"\n{usual}"));
    balancer.signal("HUP");
    balancer.said("access_log: the change takes effect at the next start");
    let shown = body(&balancer.admin().ask("GET", "/api/v1/config", "", ""));
    let plan = body(&balancer.admin().post("/api/v1/plan", &shown.to_string()).expect_status(200));
    assert_eq!(plan["changes"], false, "{plan}");
    let text = format!("access_log = \"./a.log\"\n{usual}policy = \"random\"\n");
    let (_, planned) = ask(&balancer, &settings_now, &text);
    assert!(planned.contains("pools.all.policy") && !planned.contains("access_log"), "{planned}");
    let (_, planned) = ask(&balancer, &settings_now, &format!("access_log = \"c.log\"\n{usual}"));
    assert!(planned.contains("access_log: ") && planned.contains("-> \"c.log\""), "{planned}");
}

/// Settings with a route of conditions and tags.
fn with_route(backend: &str, headers: &str, tags: &str, host: &str) -> String {
    let pool = format!("{{ address = {backend:?}, tags = {{ v = \"1\", w = \"2\" }} }}");
    let usual = settings(&[backend.to_owned()], "").replace(&format!("{backend:?}"), &pool);
    let route =
        format!("[routes.a]\npool = \"all\"\nheaders = {{ {headers} }}\ntags = {{ {tags} }}\n{host}\n");
    usual + &route
}

const HEADERS: [&str; 2] = ["x = \"1\", y = \"2\"", "y = \"2\", x = \"1\""];
const TAGS: [&str; 2] = ["v = \"1\", w = \"2\"", "w = \"2\", v = \"1\""];
const HOST: [&str; 2] = ["host = \"a.test\"", "hosts = [\"a.test\"]"];

#[test]
fn the_order_inside_a_route_is_told_where_it_counts_and_blamed_on_no_file() {
    let one = Backend::refuses().to_string();
    let settings_now = Settings::that_say(&with_route(&one, HEADERS[0], TAGS[0], HOST[0]));
    let balancer = Balancer::bare().flag("--config", settings_now.path()).start();
    let (_, planned) = ask(&balancer, &settings_now, &with_route(&one, HEADERS[1], TAGS[1], HOST[0]));
    assert!(planned.contains("~ routes.a.headers (order): [\"x\",\"y\"] -> [\"y\",\"x\"]\n"), "{planned}");
    assert!(!planned.contains("tls") && !planned.contains("tags"), "{planned}");
}

#[test]
fn what_is_only_written_otherwise_is_no_change_beside_one() {
    let one = Backend::refuses().to_string();
    let settings_now = Settings::that_say(&with_route(&one, HEADERS[0], TAGS[0], HOST[0]));
    let balancer = Balancer::bare().flag("--config", settings_now.path()).start();
    let usual = format!("http://{one}");
    let other = with_route(&usual, &HEADERS[0].replace('1', "9"), TAGS[1], HOST[0]);
    let (_, planned) = ask(&balancer, &settings_now, &other);
    assert!(planned.contains("~ routes.a.headers.x: \"1\" -> \"9\"\n"), "{planned}");
    assert!(!planned.contains("all.backends") && !planned.contains("order"), "{planned}");
}

#[test]
fn what_is_only_written_otherwise_is_no_change_beside_what_waits_for_the_next_start() {
    let one = Backend::refuses().to_string();
    let settings_now = Settings::that_say(&with_route(&one, HEADERS[0], TAGS[0], HOST[0]));
    let balancer = Balancer::bare().flag("--config", settings_now.path()).start();
    let waiting = format!("workers = 7\n{}", with_route(&one, HEADERS[0], TAGS[1], HOST[1]));
    let (_, planned) = ask(&balancer, &settings_now, &waiting);
    assert!(planned.contains("workers: ") && !planned.contains("host"), "{planned}");
}
