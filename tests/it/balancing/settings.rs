//! What a file says of backends: weights, tiers and limits.

use super::*;

#[test]
fn each_backend_gets_as_many_turns_as_its_weight_says() {
    let (heavy, light) = (Sample::start("heavy"), Sample::start("light"));
    let pool = "policy = \"round_robin\"\nbackends = [{ address = \"{0}\", weight = 3 }, \"{1}\"]";
    let balancer = with_pool("weights", pool, &[heavy.address(), light.address()]);
    let answers: Vec<_> = (0..20).map(|_| get(balancer.address, "/").expect_status(200)).collect();
    let heavy = answers.iter().filter(|answer| answer.text() == "hello from heavy\n").count();
    assert_eq!(heavy, 15);
}

#[test]
fn a_backup_is_used_only_when_nobody_before_it_is_left() {
    let (main, backup) = (Sample::start("main"), Sample::start("backup"));
    let pool = "policy = \"random\"\nbackends = [{ address = \"{0}\", tier = 1 }, \"{1}\"]";
    let balancer = with_pool("tiers", pool, &[backup.address(), main.address()]);
    for _ in 0..20 {
        assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from main\n");
    }
    main.kill();
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from backup\n");
}

#[test]
fn a_backend_has_no_more_requests_than_it_may_and_when_all_have_the_client_is_told() {
    let (opener, gate) = gate();
    let gate = Arc::new(gate);
    let backends = ["one", "other"].map(|name| holding(name, Arc::clone(&gate)));
    let pool = "policy = \"p2c\"\nbackends = [{ address = \"{0}\", max_requests = 1 }, \
                { address = \"{1}\", max_requests = 2 }]";
    let balancer = with_pool("limits", pool, &backends.each_ref().map(|backend| backend.address));
    let mut held: Vec<_> = (0..3).map(|_| Client::to(balancer.address)).collect();
    held.iter_mut().for_each(|client| client.send("GET /hold HTTP/1.1\r\nHost: test\r\n\r\n"));
    until("all are busy", || backends.iter().map(Backend::requests).sum::<usize>() == 3);
    assert_eq!(backends.each_ref().map(Backend::requests), [1, 2]);
    let answer = get(balancer.address, "/").expect_status(503);
    let [one, other] =
        backends.each_ref().map(|of| format!("{}: it has as many requests as it may have\n", of.address));
    assert_eq!(answer.text(), format!("all backends have as many requests as they may have\n{one}{other}"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    let status = answer.header("proxy-status").unwrap();
    assert_eq!(status, "loadbalancer; error=connection_limit_reached; details=\"backends_full\"");
    (0..3).for_each(|_| opener.open());
    held.iter_mut().for_each(|client| drop(client.answer().expect_status(200)));
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn requests_of_one_key_overflow_to_others_when_their_backend_has_its_bound() {
    let (opener, gate) = gate();
    let gate = Arc::new(gate);
    let backends = ["one", "other"].map(|name| holding(name, Arc::clone(&gate)));
    let pool = "policy = \"ring\"\nhash_bound = 150\nbackends = [\"{0}\", \"{1}\"]";
    let balancer = with_pool("bound", pool, &backends.each_ref().map(|backend| backend.address));
    let mut held: Vec<_> = (0..8).map(|_| Client::to(balancer.address)).collect();
    for (number, client) in (1..).zip(&mut held) {
        client.send("GET /hold HTTP/1.1\r\nHost: test\r\n\r\n");
        until("it came", || backends.iter().map(Backend::requests).sum::<usize>() == number);
    }
    // Three quarters of all, for 150 per cent of the average are allowed.
    let mut requests = backends.each_ref().map(Backend::requests);
    requests.sort_unstable();
    assert_eq!(requests, [2, 6]);
    (0..8).for_each(|_| opener.open());
    held.iter_mut().for_each(|client| drop(client.answer().expect_status(200)));
}

#[test]
fn a_route_that_asks_for_tags_gets_only_backends_that_have_them() {
    let (old, new) = (Sample::start("old"), Sample::start("new"));
    let pool = "policy = \"round_robin\"\n\
                backends = [\"{0}\", { address = \"{1}\", tags = { version = \"2\" } }, \
                { address = \"127.0.0.1:1\", weight = 0, tags = { version = \"3\" } }]\n\
                [routes.new]\npath = \"/new/*\"\nrewrite = \"/\"\npool = \"app\"\ntags = { version = \"2\" }\n\
                [routes.newest]\npath = \"/newest/*\"\npool = \"app\"\ntags = { version = \"3\" }\n\
                [routes.rest]\npool = \"app\"";
    let balancer = with_pool("tags", pool, &[old.address(), new.address()]);
    for _ in 0..4 {
        assert_eq!(get(balancer.address, "/new/").expect_status(200).text(), "hello from new\n");
    }
    let rest = [get(balancer.address, "/"), get(balancer.address, "/")];
    assert_ne!(rest[0].text(), rest[1].text());
    let answer = get(balancer.address, "/newest/").expect_status(503);
    for address in [old.address(), new.address()] {
        assert!(
            answer.text().contains(&format!("{address}: its tags do not say version = 3\n")),
            "{}",
            answer.text()
        );
    }
    assert_eq!(answer.text().matches("its tags").count(), 2, "{}", answer.text());
}

#[test]
fn those_who_ask_for_tags_take_no_turns_from_others() {
    let backends = ["one", "two"].map(Sample::start);
    let pool = "policy = \"round_robin\"\n\
                backends = [{ address = \"{0}\", tags = { v = \"1\" } }, { address = \"{1}\", tags = { v = \"1\" } }]\n\
                [routes.tagged]\npath = \"/tagged\"\nrewrite = \"/\"\npool = \"app\"\ntags = { v = \"1\" }\n\
                [routes.rest]\npool = \"app\"";
    let balancer = with_pool("turns", pool, &backends.each_ref().map(Sample::address));
    let answers = [(); 4].map(|()| {
        ["/", "/tagged"].map(|path| get(balancer.address, path).expect_status(200).text().to_owned())
    });
    for route in 0..2 {
        assert!(answers.windows(2).all(|two| two[0][route] != two[1][route]), "{answers:?}");
    }
}

#[test]
fn weights_are_kept_by_who_says_first_and_refused_from_who_says_no_policy() {
    let validated = |policy: &str| {
        let backends = "backends = [{ address = \"127.0.0.1:1\", weight = 2 }, \"127.0.0.1:2\"]";
        Settings::that_say(&format!("[pools.app]\n{policy}{backends}\n")).balancer().word("validate").fail()
    };
    assert_eq!(validated("policy = \"first\"\n").0, Some(0));
    let (code, said) = validated("");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("does nothing with the policy first, which is the usual one"), "{said}");
}

#[test]
fn who_writes_a_policy_as_others_call_it_or_nearly_as_we_do_is_told_our_name_for_it() {
    for (word, ours) in [
        ("roundrobin", "round_robin"),
        ("rr", "round_robin"),
        ("leastconn", "least_requests"),
        ("least_conn", "least_requests"),
        ("least_time", "peak_ewma"),
        ("source", "maglev"),
        ("ip_hash", "maglev"),
    ] {
        let text = format!("[pools.app]\nbackends = [\"127.0.0.1:1\"]\npolicy = \"{word}\"\n");
        let said = Settings::that_say(&text).balancer().fail().1;
        assert!(said.contains(&format!("= help: did you mean \"{ours}\"?")), "{said}");
        for (balancer, flag) in [
            (Balancer::bare().flag("--policy", word), "--policy <POLICY>"),
            (Balancer::bare().env("LOADBALANCER_POLICY", word), "LOADBALANCER_POLICY"),
        ] {
            let told = format!(
                "loadbalancer: invalid value '{word}' for '{flag}'; did you mean {ours}? (see --help)"
            );
            assert_eq!(balancer.fail(), (Some(2), told));
        }
    }
}
