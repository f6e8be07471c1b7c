//! A balancer that runs is asked and told on the command line.

mod clock;
mod place;
mod stopped;
mod unseen;
mod waiting;

use std::net::{SocketAddr, TcpListener};

use serde_json::{Value, json};

use crate::support::{Backend, Balancer, Running, Sample, Settings, get, until};

/// A pool of two backends, and another of one of them.
fn pools(policy: &str, one: SocketAddr, other: SocketAddr) -> String {
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n\
         [pools.web]\npolicy = \"{policy}\"\nbackends = [\"{one}\", \"{other}\"]\nhealth = {{ path = \"/health\" }}\n\
         [pools.api]\nbackends = [\"{other}\"]\nhealth = {{ path = \"/health\" }}\n\
         [routes.api]\npath = \"/api/*\"\npool = \"api\"\n[routes.web]\npool = \"web\"\n"
    )
}

fn start(settings: &Settings) -> Running {
    settings.balancer().flag("--admin", "127.0.0.1:0").start()
}

/// What somebody on the command line is told by a balancer that runs, and the exit status.
fn ask(balancer: &Running, words: &[&str]) -> (Option<i32>, String) {
    let asked = Balancer::bare().flag("--admin", &balancer.admin().address.to_string());
    words.iter().fold(asked, |asked, word| asked.word(word)).fail()
}

fn told(balancer: &Running, words: &[&str]) -> String {
    let (code, said) = ask(balancer, words);
    assert_eq!(code, Some(0), "{said}");
    said
}

fn told_in_json(balancer: &Running, words: &[&str]) -> Value {
    let said = told(balancer, &[words, &["--json"]].concat());
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn refused(balancer: &Running, words: &[&str]) -> String {
    let (code, said) = ask(balancer, words);
    assert_eq!(code, Some(1), "{said}");
    said
}

#[test]
fn status_is_a_table_of_all_backends_with_what_is_wrong_first() {
    let (up, down) = (Sample::start("up"), Backend::refuses());
    let settings = Settings::that_say(&pools("first", up.address(), down));
    let balancer = start(&settings);
    balancer.said("is healthy");
    balancer.said_times("is down", 2);
    let said = told(&balancer, &["status"]);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("loadbalancer ") && lines[0].contains("serving for"), "{said}");
    assert_eq!(lines[1], "pool api has no backend that is used");
    assert_eq!(lines[2], "backends: 2 down, 1 up");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(lines[4]), ["POOL", "BACKEND", "STATE", "SINCE", "WEIGHT", "IN", "FLIGHT", "WHY"]);
    assert_eq!(words(lines[5])[..3], ["web".to_owned(), up.address().to_string(), "up".to_owned()]);
    assert_eq!(words(lines[6])[..3], ["web".to_owned(), down.to_string(), "down".to_owned()]);
    assert!(lines[6].ends_with("connection refused"), "{said}");
    let column = lines[4].find("STATE").expect("a column");
    assert!(lines[5][column..].starts_with("up") && lines[6][column..].starts_with("down"), "{said}");
    assert!(!said.contains('\u{1b}'), "colours are for terminals");
    let said = told_in_json(&balancer, &["status"]);
    assert_eq!(said["overview"]["backends"]["down"], 2);
    assert_eq!(said["pools"][0]["backends"][1]["why"], "connection refused");
}

#[test]
fn a_backend_is_drained_disabled_enabled_and_weighed_by_its_name() {
    let (one, other) = (Sample::start("one"), Sample::start("other"));
    let settings = Settings::that_say(&pools("first", one.address(), other.address()));
    let balancer = start(&settings);
    balancer.said_times("is healthy", 3);
    let (alone, both) = (one.address().to_string(), other.address().to_string());
    let full = format!("web/{both}");
    let answers = || get(balancer.address, "/").expect_status(200).text().to_owned();
    let said = told(&balancer, &["drain", &alone]);
    assert_eq!(said, format!("web/{alone} is draining: an operator drains it; it has nothing left to do"));
    until("requests go elsewhere", || answers() == "hello from other\n");
    // An address that two pools have says too little.
    let said = refused(&balancer, &["disable", &both]);
    assert!(said.contains(&format!("is in several pools; write one of: web/{both}, api/{both}")), "{said}");
    assert_eq!(told_in_json(&balancer, &["disable", &full])["state"], "disabled");
    // As the settings may write it, too.
    let enabled = told(&balancer, &["enable", &format!("http://{alone}")]);
    assert!(enabled.starts_with(&format!("web/{alone} is up: ")), "{enabled}");
    until("requests come back", || answers() == "hello from one\n");
    assert_eq!(
        told(&balancer, &["weight", &format!("web/http://{both}"), "50"]),
        format!("{full} has weight 50 (set: 1)")
    );
    assert!(told(&balancer, &["status"]).contains("50 (set: 1)"));
    let weight = &told_in_json(&balancer, &["weight", &full, "default"])["weight"];
    assert_eq!(*weight, json!({ "set": 1, "effective": 1 }));
}

#[test]
fn who_takes_the_last_backend_out_of_a_pool_is_told() {
    let (one, other) = (Sample::start("one"), Sample::start("other"));
    let settings = Settings::that_say(&pools("first", one.address(), other.address()));
    let balancer = start(&settings);
    let full = format!("api/{}", other.address());
    for words in [&["weight", &full, "0"][..], &["drain", &full]] {
        let said = told(&balancer, words);
        assert_eq!(said.lines().nth(1), Some("pool api has no backend that is used"), "{said}");
        assert!(told(&balancer, &["status"]).contains("\npool api has no backend that is used\n"));
    }
    let said = told(&balancer, &["drain", &format!("web/{}", one.address())]);
    assert_eq!(said.lines().count(), 1, "{said}");
    let text = pools("first", one.address(), other.address());
    let (web, _) = text.split_once("[pools.api]").expect("a second pool");
    settings.change(&balancer, web);
    let page = told(&balancer, &["status"]);
    let leaves = |line: &str| {
        let mut cells = line.split_whitespace();
        [cells.next(), cells.next(), cells.next()]
            == [Some("api"), Some(&*other.address().to_string()), Some("leaving")]
    };
    assert!(page.lines().any(leaves), "it is shown as long as it is known: {page}");
    told(&balancer, &["weight", &full, "default"]);
    let said = told(&balancer, &["enable", &full]);
    assert_eq!(said, format!("{full} is leaving: it is no longer among the settings"));
}

#[test]
fn a_backend_that_is_not_there_is_named_with_the_one_that_may_be_meant() {
    let (one, other) = (Sample::start("one"), Sample::start("other"));
    let settings = Settings::that_say(&pools("first", one.address(), other.address()));
    let balancer = start(&settings);
    let full = format!("web/{}", one.address());
    for wrong in [format!("wbe/{}", one.address()), format!("{full}0")] {
        let said = refused(&balancer, &["drain", &wrong]);
        let told =
            format!("loadbalancer: there is no backend {wrong}; did you mean {full}? `status` shows all");
        assert_eq!(said, told);
    }
    let said = refused(&balancer, &["drain", "somewhere"]);
    assert!(said.contains(&format!("there is no backend somewhere; there are: {full}, web/")), "{said}");
}

#[test]
fn of_many_backends_few_are_named_to_who_named_none() {
    let nobody = Backend::refuses();
    let list: Vec<_> = (1..=100).map(|number| format!("\"127.0.1.{number}:{}\"", nobody.port())).collect();
    let settings = Settings::that_say(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[pools.web]\nbackends = [{}]\n",
        list.join(", ")
    ));
    let balancer = start(&settings);
    let said = balancer.said(&format!("pool web: forwarding to 127.0.1.1:{}, ", nobody.port()));
    assert!(said.ends_with(&format!(", 127.0.1.8:{}, 92 more (first)", nobody.port())), "{said}");
    let said = refused(&balancer, &["drain", "somewhere"]);
    assert!(said.ends_with(&format!(", web/127.0.1.8:{} and 92 more", nobody.port())), "{said}");
    // So with a client that is told what is known of them.
    let answer = get(balancer.address, "/").expect_status(503);
    let lines: Vec<_> = answer.text().lines().collect();
    assert!(lines[1].starts_with("127.0.1.1:") && lines[16].starts_with("127.0.1.16:"), "{lines:?}");
    assert_eq!(lines[17..], ["and 84 more"]);
}

#[test]
fn a_plan_and_a_trial_change_nothing_and_a_reload_does() {
    let (one, other) = (Sample::start("one"), Sample::start("other"));
    let settings = Settings::that_say(&pools("first", one.address(), other.address()));
    let balancer = start(&settings);
    let swapped = pools("first", other.address(), one.address()).replace("first", "round_robin");
    let new = settings.put("new.toml", &swapped);
    let said = told(&balancer, &["plan", new.to_str().unwrap()]);
    assert!(said.contains("~ pools.web.policy: \"first\" -> \"round_robin\""), "{said}");
    assert!(said.contains("would go elsewhere"), "{said}");
    assert_eq!(told_in_json(&balancer, &["plan", new.to_str().unwrap()])["changes"], true);
    assert_eq!(told(&balancer, &["plan", settings.path()]), "nothing would change");
    let piped =
        Balancer::bare().flag("--admin", &balancer.admin().address.to_string()).word("plan").word("-");
    let (code, said) = piped.reading(&new).fail();
    assert!(code == Some(0) && said.contains("~ pools.web.policy: "), "{said}");
    let folder = new.parent().unwrap().to_str().unwrap();
    let said = refused(&balancer, &["plan", folder]);
    assert!(said.contains(&format!("config show --config {folder} | loadbalancer plan -")), "{said}");
    for (file, code) in [(new.to_str().unwrap(), 3), (settings.path(), 0)] {
        assert_eq!(ask(&balancer, &["plan", "--exit-code", file]).0, Some(code), "{file}");
    }
    settings.write(&swapped);
    assert_eq!(told(&balancer, &["reload", "--dry-run"]), "it can be done; nothing was put in force");
    assert_eq!(told_in_json(&balancer, &["status"])["overview"]["revision"], 1);
    let said = told(&balancer, &["reload", "--confirm", "30s", "--no-wait"]);
    assert!(said.contains("reloaded: settings 2 are in force\nwatched for 30s"), "{said}");
    assert!(told(&balancer, &["status"]).contains("the last change is watched for"));
    assert_eq!(told(&balancer, &["reload"]), "nothing has changed");
}

#[test]
fn what_is_wrong_with_settings_is_told_with_each_place() {
    let settings = Settings::that_say(&pools("first", Backend::refuses(), Backend::refuses()));
    let balancer = start(&settings);
    settings.write("[pools.web]\npolicy = \"fist\"\nbackends = [\"here\"]\n");
    let said = refused(&balancer, &["reload"]);
    let places: Vec<_> = said.lines().filter(|line| line.contains(settings.path())).collect();
    assert_eq!(places.len(), 2, "{said}");
    assert!(places[0].ends_with(".toml:2:10") && places[1].ends_with(".toml:3:13"), "{said}");
    expect_drawn(&said, &settings);
    let problem = refused(&balancer, &["reload", "--json"]);
    let problem: Value = serde_json::from_str(&problem).expect("a problem document");
    assert_eq!((&problem["status"], problem["errors"].as_array().map(Vec::len)), (&json!(422), Some(2)));
}

/// As `validate` does.
fn expect_drawn(said: &str, settings: &Settings) {
    let (code, drawn) = settings.balancer().word("validate").fail();
    assert_eq!(code, Some(2), "{drawn}");
    assert_eq!(said, drawn);
}

#[test]
fn that_more_is_wrong_than_is_told_is_told_of_a_plan_too() {
    let settings = Settings::that_say(&pools("first", Backend::refuses(), Backend::refuses()));
    let balancer = start(&settings);
    settings.write(&(0..60).map(|number| format!("k{number} = 1\n")).collect::<String>());
    let said = refused(&balancer, &["plan", settings.path()]);
    assert!(said.ends_with("more is wrong, and is told when this is mended"), "{said}");
}

#[test]
fn a_file_with_nothing_in_it_is_refused_by_a_plan_in_the_words_of_validate() {
    let (one, two, settings) = (Sample::start("one"), Sample::start("two"), Settings::that_say(""));
    settings.write(&pools("first", one.address(), two.address()));
    let balancer = start(&settings);
    // Some editors begin a file with a mark of UTF-8.
    for text in ["\n", "\u{feff}"] {
        let empty = settings.put("empty.toml", text);
        let empty = empty.to_str().unwrap();
        let (_, told) = Balancer::bare().word("validate").flag("--config", empty).fail();
        assert!(told.contains("has nothing in it"), "{told}");
        assert_eq!(refused(&balancer, &["plan", empty]), told);
        let piped = |balancer: Balancer| balancer.reading(std::path::Path::new(empty)).fail();
        let (_, told) = piped(Balancer::bare().word("validate").flag("--config", "-"));
        let asked = Balancer::bare().flag("--admin", &balancer.admin().address.to_string());
        assert_eq!(piped(asked.word("plan").word("-")), (Some(1), told));
    }
}

#[test]
fn what_is_wrong_with_settings_that_are_planned_is_drawn_as_it_is_when_they_are_validated() {
    let settings = Settings::that_say(&pools("first", Backend::refuses(), Backend::refuses()));
    let balancer = start(&settings);
    let bad = "wrokers = 2\ndns_servers = [\"a\", \"b\"]\n[timeouts]\ndrain = 5\n[pools.web]\npolicy = \"fist\"\n\
               backends = [{ address = \"here\", weight = 2 }]\n[routes.a]\npath = '~ ('\npool = \"web\"\n";
    settings.write(bad);
    expect_drawn(&refused(&balancer, &["plan", settings.path()]), &settings);
    let asked =
        Balancer::bare().flag("--admin", &balancer.admin().address.to_string()).word("plan").word("-");
    let (code, said) = asked.reading(std::path::Path::new(settings.path())).fail();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error: wrokers: unknown key\n --> standard input:1:1\n"), "{said}");
    let planned: Value =
        serde_json::from_str(&refused(&balancer, &["plan", "--json", settings.path()])).expect("JSON");
    assert_eq!(planned["errors"][0]["file"], settings.path(), "{planned}");
}

#[test]
fn of_a_file_that_cannot_be_drawn_each_problem_is_told_in_a_line_that_says_nothing_twice() {
    let settings = Settings::that_say(&pools("first", Backend::refuses(), Backend::refuses()));
    // What it reads is not where the caller is.
    let balancer = Balancer::configured(std::path::Path::new(settings.path()));
    let balancer = balancer.flag("--workers", "1").flag("--admin", "127.0.0.1:0").start();
    settings.write("wrokers = 2\n");
    let said = refused(&balancer, &["reload"]);
    assert_eq!(said, "loadbalancer: loadbalancer.toml:1:1: wrokers: unknown key; did you mean workers?");
}

#[test]
fn where_nobody_is_to_be_asked_it_is_said_what_to_do() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ask = |admin: &str| Balancer::bare().flag("--admin", admin).word("status").fail();
    let (code, said) = ask(&free.to_string());
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("nobody listens on {free}: connection refused; start the balancer")),
        "{said}"
    );
    let (code, said) = ask("unix:/nowhere/at/all");
    assert_eq!(code, Some(1));
    assert!(
        said.contains("nobody listens on unix:/nowhere/at/all: there is no socket at that path; "),
        "{said}"
    );
    for wrong in ["off", "here"] {
        assert_eq!(ask(wrong).0, Some(2));
    }
    // A listener of clients is no admin API.
    let sample = Sample::start("only");
    let (code, said) = ask(&sample.address().to_string());
    assert_eq!(code, Some(1));
    assert!(said.contains("does not answer as a balancer's admin API does"), "{said}");
    let (code, _) = Balancer::bare().word("weight").word("127.0.0.1:1").word("many").fail();
    assert_eq!(code, Some(2));
}

#[test]
fn a_token_and_the_environment_are_used() {
    let settings = Settings::that_say(&pools("first", Backend::refuses(), Backend::refuses()));
    let (token, wrong) =
        (settings.put("token", "0123456789abcdef\n"), settings.put("wrong", "fedcba9876543210\n"));
    let guarded = settings.balancer().flag("--admin", "127.0.0.1:0");
    let balancer = guarded.flag("--admin-token-file", token.to_str().unwrap()).start();
    let address = balancer.admin().address.to_string();
    let ask = |file: Option<&std::path::Path>| {
        let asked = Balancer::bare().env("LOADBALANCER_ADMIN", &address).word("status");
        file.into_iter()
            .fold(asked, |asked, file| asked.flag("--admin-token-file", file.to_str().unwrap()))
            .fail()
    };
    assert_eq!(ask(Some(&token)).0, Some(0));
    let (code, said) = ask(None);
    assert_eq!(code, Some(1));
    assert!(
        said.contains(
            "a token is needed: send `Authorization: Bearer TOKEN`, or name its file with --admin-token-file"
        ),
        "{said}"
    );
    assert_eq!(ask(Some(&wrong)).0, Some(1));
    let (code, said) = ask(Some(&settings.put("gone", "").with_extension("not")));
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot be read"), "{said}");
}

#[test]
fn a_unix_socket_can_be_asked_too() {
    let settings = Settings::that_say(&pools("first", Backend::refuses(), Backend::refuses()));
    let path = settings.put("socket", "");
    std::fs::remove_file(&path).unwrap();
    let place = format!("unix:{}", path.display());
    let balancer = settings.balancer().flag("--admin", &place).start();
    balancer.said("admin API on");
    let (code, said) = Balancer::bare().flag("--admin", &place).word("status").fail();
    assert_eq!(code, Some(0), "{said}");
}
