//! What a plan says is what would be.

use crate::support::{Backend, Balancer, Running, Settings, get, request};

use super::{admin, body, post, settings};

/// What the command line says of a plan, and the exit status.
pub(super) fn ask(balancer: &Running, settings: &Settings, text: &str) -> (Option<i32>, String) {
    let file = settings.put("new.toml", text);
    let asked = Balancer::bare().flag("--admin", &admin(balancer).to_string()).word("plan");
    asked.word(file.to_str().expect("a path")).fail()
}

#[test]
fn settings_that_could_not_be_put_in_force_are_refused_when_they_are_planned() {
    let backend = Backend::refuses().to_string();
    let usual = settings(std::slice::from_ref(&backend), "");
    let settings_now = Settings::that_say(&usual);
    let balancer = settings_now.balancer().start();
    // An address of documentation (RFC 5737), which no interface has.
    let elsewhere = format!("{usual}[listeners.b]\naddress = \"192.0.2.1:20005\"\n");
    let tried = post(admin(&balancer), "config?dry_run=1", &elsewhere).expect_status(409);
    let planned = post(admin(&balancer), "plan", &elsewhere).expect_status(409);
    assert_eq!(body(&planned)["detail"], body(&tried)["detail"]);
    let (code, said) = ask(&balancer, &settings_now, &elsewhere);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot listen on 192.0.2.1:20005"), "{said}");
    // One that could be opened is not opened by a plan.
    let more = format!("{usual}[listeners.b]\naddress = \"127.0.0.1:0\"\n");
    post(admin(&balancer), "plan", &more).expect_status(200);
    assert_eq!(ask(&balancer, &settings_now, &usual), (Some(0), "nothing would change".to_owned()));
    get(balancer.address, "/").expect_status(503);
}

#[test]
fn a_unix_socket_whose_file_was_removed_is_no_change_of_the_settings() {
    let backend = Backend::refuses().to_string();
    let settings_now = Settings::that_say("");
    let socket = settings_now.put("unused", "").with_file_name("socket");
    let text = settings(&[backend], &format!("[listeners.z]\naddress = \"unix:{}\"\n", socket.display()));
    settings_now.write(&text);
    let balancer = settings_now.balancer().start();
    balancer.said("admin API on");
    std::fs::remove_file(&socket).unwrap();
    assert_eq!(ask(&balancer, &settings_now, &text), (Some(0), "nothing would change".to_owned()));
    settings_now.change(&balancer, &text);
    assert!(socket.exists());
}

#[test]
fn requests_of_a_pool_whose_backends_are_all_replaced_would_go_elsewhere() {
    let backends: Vec<_> = (1..=4).map(|number| format!("127.0.0.9:{}", 40_000 + number)).collect();
    let settings_now = Settings::that_say(&settings(&backends[..2], ""));
    let balancer = settings_now.balancer().start();
    get(balancer.address, "/");
    for (range, elsewhere) in [(0..3, 0), (1..3, 0), (2..4, 1)] {
        let text = settings(&backends[range], "");
        let plan = body(&post(admin(&balancer), "plan", &text).expect_status(200));
        assert_eq!(plan["requests"]["elsewhere"], elsewhere, "{plan}");
    }
    let (code, said) = ask(&balancer, &settings_now, &settings(&backends[2..], ""));
    assert_eq!(code, Some(0), "{said}");
    let told = "1 from pool all (route default) to pool all, none of whose backends is one of before";
    assert!(said.contains("of the last 1 requests 1 would go elsewhere") && said.contains(told), "{said}");
}

#[test]
fn of_a_route_that_only_gets_other_shares_the_part_that_goes_to_another_pool_is_counted() {
    let backends = ["127.0.0.9:40001".to_owned()];
    let shares = |all: u32, new: u32| {
        let route = format!("[routes.all]\npools = {{ all = {all}, new = {new} }}\n");
        settings(&backends, &format!("[pools.new]\nbackends = [\"127.0.0.9:40002\"]\n{route}"))
    };
    let settings_now = Settings::that_say(&shares(300, 100));
    let balancer = settings_now.balancer().start();
    (0..4).for_each(|_| drop(get(balancer.address, "/")));
    for ((all, new), to) in [
        ((3, 1), None),
        ((1, 3), Some((2, "pool all (25 %), pool new (75 %) (route all)"))),
        ((2996, 1004), Some((1, "pool all (74.9 %), pool new (25.1 %) (route all)"))),
        ((1, 0), Some((1, "pool all (route all)"))),
    ] {
        let plan = body(&post(admin(&balancer), "plan", &shares(all, new)).expect_status(200));
        assert_eq!(plan["requests"]["looked_at"], 4);
        assert_eq!(plan["requests"]["elsewhere"], to.map_or(0, |(count, _)| count), "{plan}");
        let example = &plan["requests"]["examples"][0];
        assert_eq!(example["to"].as_str(), to.map(|(_, to)| to), "{plan}");
    }
}

#[test]
fn requests_that_would_arrive_with_another_target_or_host_would_go_elsewhere() {
    let backend = Backend::refuses().to_string();
    let text = |how: &str| {
        let more = format!("[routes.all]\npath = \"/v1/*\"\npool = \"all\"\n{how}\n");
        settings(std::slice::from_ref(&backend), &more)
    };
    let settings_now = Settings::that_say(&text(""));
    let balancer = settings_now.balancer().start();
    get(balancer.address, "/v1/users?token=secret");
    for (how, to) in [
        ("rewrite = \"/v1/{rest}\"", None),
        ("rewrite = \"/{rest}\"", Some("pool all as /{rest} (route all)")),
        ("set_host = \"users.test\"", Some("pool all for users.test (route all)")),
    ] {
        let plan = body(&post(admin(&balancer), "plan", &text(how)).expect_status(200));
        assert_eq!(plan["requests"]["elsewhere"], usize::from(to.is_some()), "{plan}");
        assert_eq!(plan["requests"]["examples"][0]["to"].as_str(), to, "{plan}");
        assert!(!plan.to_string().contains("secret"), "{plan}");
    }
}

#[test]
fn a_pool_that_would_hash_by_something_else_may_send_all_its_clients_elsewhere() {
    let backends: Vec<_> = (1..=3).map(|number| format!("127.0.0.9:{}", 40_000 + number)).collect();
    let by = |key: &str| settings(&backends, &format!("policy = \"maglev\"\nhash_key = \"{key}\"\n"));
    let settings_now = Settings::that_say(&by("query:k"));
    let balancer = settings_now.balancer().start();
    let plan = body(&post(admin(&balancer), "plan", &by("query:j")).expect_status(200));
    assert_eq!((&plan["moved"][0]["percent"], &plan["moved"][0]["other_key"]), (&100.0.into(), &true.into()));
    let (code, said) = ask(&balancer, &settings_now, &by("query:j"));
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("pool all: hashes by something else, so that all clients may go to another backend")
    );
    let same = body(&post(admin(&balancer), "plan", &by("query:k")).expect_status(200));
    assert_eq!((&same["moved"][0]["percent"], &same["moved"][0]["other_key"]), (&0.0.into(), &false.into()));
}

#[test]
fn a_pool_that_only_gets_another_name_begins_anew_and_that_is_told() {
    let backend = Backend::refuses().to_string();
    let usual = settings(std::slice::from_ref(&backend), "");
    let settings_now = Settings::that_say(&usual);
    let balancer = settings_now.balancer().start();
    let (code, said) = ask(&balancer, &settings_now, &usual.replace("[pools.all]", "[pools.web]"));
    assert_eq!(code, Some(0), "{said}");
    let told = "pool web has the backends of pool all, and nothing of what is known of them there: \
                checks, holds and weights begin anew";
    assert!(said.contains(told), "{said}");
    let other = usual.replace("[pools.all]", "[pools.web]").replace(&backend, "127.0.0.2:40009");
    let (_, said) = ask(&balancer, &settings_now, &other);
    assert!(!said.contains("begin anew"), "{said}");
}

#[test]
fn routes_that_go_by_what_we_say_of_a_client_are_not_judged_and_that_is_told() {
    let backend = Backend::refuses().to_string();
    let usual = settings(std::slice::from_ref(&backend), "");
    let settings_now = Settings::that_say(&usual);
    let balancer = settings_now.balancer().start();
    get(balancer.address, "/");
    let more = "[routes.all]\npool = \"all\"\n[routes.old]\nheaders = { via = \"1.0 loadbalancer\" }\npool = \"all\"\n";
    let (code, said) = ask(&balancer, &settings_now, &format!("{usual}{more}"));
    assert_eq!(code, Some(0), "{said}");
    let told = "route old goes by via, which we write ourselves: which of the last requests it is for cannot be told";
    assert!(said.contains(told), "{said}");
}

#[test]
fn a_redirect_to_https_takes_the_requests_that_came_in_the_clear_and_no_others() {
    let backend = Backend::refuses().to_string();
    let usual = settings(std::slice::from_ref(&backend), "");
    let https = "[routes.https]\npriority = 1\nheaders = { x-forwarded-proto = \"http\" }\nredirect = \"https://{host}{path}\"\n";
    let with = |pool: &str| {
        format!("{usual}{https}[routes.all]\npool = \"{pool}\"\n[pools.new]\nbackends = [\"{backend}\"]\n")
    };
    let trusting = "[access]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let settings_now = Settings::that_say(&format!("{}{trusting}", with("all")));
    let balancer = settings_now.balancer().start();
    for proto in ["http", "https", "http"] {
        let lines =
            format!("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: {proto}\r\nConnection: close\r\n");
        request(balancer.address, &format!("GET / HTTP/1.1\r\nHost: test\r\n{lines}\r\n"));
    }
    get(balancer.address, "/");
    for (text, count) in [(with("new"), 1), (format!("{usual}[routes.all]\npool = \"all\"\n"), 3)] {
        let (code, said) = ask(&balancer, &settings_now, &format!("{text}{trusting}"));
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&format!("of the last 4 requests {count} would go elsewhere")), "{said}");
        assert!(!said.contains("cannot be told"), "{said}");
    }
}

#[test]
fn backends_that_would_be_taken_out_are_named_for_their_requests_are_not_counted() {
    let backends: Vec<_> = (1..=3).map(|number| format!("127.0.0.9:{}", 40_000 + number)).collect();
    let usual = settings(&backends, "");
    let settings_now = Settings::that_say(&usual);
    let balancer = settings_now.balancer().start();
    get(balancer.address, "/");
    let told = |gone: &str| {
        format!("pool all: no more requests for {gone}; which of the last ones went there is not known\n")
    };
    let without_weight = format!("{{ address = {:?}, weight = 0 }}", backends[1]);
    let moved = format!("{}[pools.other]\nbackends = [{:?}]\n", settings(&backends[1..], ""), backends[0]);
    let moved =
        moved + "[routes.other]\npath = \"/other\"\npool = \"other\"\n[routes.default]\npool = \"all\"\n";
    for (text, gone) in [
        (settings(&backends[..1], ""), format!("{}, {}", backends[1], backends[2])),
        (usual.replace(&format!("{:?}", backends[1]), &without_weight), backends[1].clone()),
        (moved, backends[0].clone()),
    ] {
        let (code, said) = ask(&balancer, &settings_now, &text);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&told(&gone)), "{said}");
        assert!(
            said.contains("of the last 1 requests 0 would go elsewhere by their routes, pools and targets"),
            "{said}"
        );
    }
    let (_, said) = ask(&balancer, &settings_now, &settings(&backends, "policy = \"random\"\n"));
    assert!(!said.contains("no more requests"), "{said}");
}

#[test]
fn a_route_whose_tags_only_backends_without_weight_have_is_told() {
    let usual = settings(&[Backend::refuses().to_string()], "");
    let settings_now = Settings::that_say(&usual);
    let balancer = settings_now.balancer().start();
    let tagged = |weight: u32, more: &str| {
        let backends = format!(
            "[{{ address = \"127.0.0.9:40001\", weight = {weight}, tags = {{ v = \"1\" }} }}, \"127.0.0.9:40002\"]"
        );
        format!(
            "[pools.tagged]\nbackends = {backends}\n{more}[routes.b]\npath = \"/b\"\npool = \"tagged\"\n\
             tags = {{ v = \"1\" }}\n[routes.rest]\npool = \"all\"\n"
        )
    };
    let told = "route b: all backends of pool tagged that have its tags have weight 0";
    // What a source tells of has no tags.
    let source = "discover = [\"file:list\"]\n";
    settings_now.put("list", "127.0.0.9:40003\n");
    for (weight, more, is_told) in [(0, "", true), (0, source, true), (1, "", false)] {
        let tagged = tagged(weight, more);
        let (code, said) = ask(&balancer, &settings_now, &format!("{usual}{tagged}"));
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said.contains(told), is_told, "{said}");
        let (code, said) = Settings::that_say(&format!("{usual}{tagged}")).balancer().word("validate").fail();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("all is well") && said.contains(told) == is_told, "{said}");
    }
}

#[test]
fn what_waits_for_the_next_start_is_told_and_changes_nothing() {
    let usual = settings(&[Backend::refuses().to_string()], "");
    let text = format!("workers = 7\n{usual}");
    let settings_now = Settings::that_say(&usual);
    let balancer = Balancer::bare().flag("--config", settings_now.path()).start();
    let (code, said) = ask(&balancer, &settings_now, &text);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("\nworkers: the change takes effect at the next start\n"), "{said}");
    settings_now.write(&text);
    for _ in 0..2 {
        let asked = Balancer::bare().flag("--admin", &admin(&balancer).to_string()).word("reload");
        let expected = "nothing has changed\nworkers: the change takes effect at the next start";
        assert_eq!(asked.fail(), (Some(0), expected.to_owned()));
    }
    let more = format!("{text}policy = \"random\"\n");
    let changed = body(&post(admin(&balancer), "config", &more).expect_status(200));
    assert_eq!((&changed["revision"], &changed["later"][0]), (&2.into(), &"workers".into()));
}
