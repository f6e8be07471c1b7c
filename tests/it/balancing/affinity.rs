//! Clients stay where they were: by a cookie, or by what their requests are known by.

use super::*;

/// The value of the cookie `lb` that an answer sets, if it sets one.
fn cookie_of(answer: &crate::support::Answer) -> Option<String> {
    let line = answer.header("set-cookie")?;
    let value = line.strip_prefix("lb=").and_then(|rest| rest.split_once("; ")).map(|(value, _)| value);
    Some(value.expect("the cookie lb").to_owned())
}

fn get_with(balancer: &Running, line: &str) -> crate::support::Answer {
    get_at(balancer, "/", line)
}

fn get_at(balancer: &Running, path: &str, line: &str) -> crate::support::Answer {
    let head = format!("GET {path} HTTP/1.1\r\nHost: test\r\n{line}\r\nConnection: close\r\n\r\n");
    request(balancer.address, &head).expect_status(200)
}

/// A balancer that keeps clients by a cookie, before these backends.
fn sticky(name: &str, more: &str, routes: &str, backends: &[&Sample]) -> Running {
    let secret = folder(name).join("secret");
    fs::write(&secret, "a secret of thirty-two bytes or more\n").unwrap();
    let pool = format!(
        "policy = \"round_robin\"\nbackends = [\"{{0}}\", \"{{1}}\"]\n\
         sticky = {{ cookie = \"lb\", secret_file = \"{}\"{more} }}{routes}",
        secret.display()
    );
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address()).collect();
    with_pool(name, &pool, &addresses)
}

#[test]
fn a_cookie_keeps_a_client_at_its_backend_until_that_dies() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let balancer = sticky("sticky", "", "", &[&first, &second]);
    let answer = get(balancer.address, "/").expect_status(200);
    let (home, line) = (answer.text().to_owned(), answer.header("set-cookie").unwrap());
    assert!(line.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{line}");
    let cookie = cookie_of(&answer).unwrap();
    for _ in 0..10 {
        let answer = get_with(&balancer, &format!("Cookie: a=b; lb={cookie}"));
        assert_eq!((answer.text(), answer.header("set-cookie")), (home.as_str(), None));
    }
    let dies = if home.contains("first") { &first } else { &second };
    dies.kill();
    let answer = get_with(&balancer, &format!("Cookie: lb={cookie}"));
    assert_ne!(answer.text(), home);
    let other = cookie_of(&answer).unwrap();
    assert_ne!(other, cookie);
    assert_eq!(get_with(&balancer, &format!("Cookie: lb={other}")).header("set-cookie"), None);
}

#[test]
fn a_cookie_that_was_made_up_counts_for_nothing() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let balancer = sticky("made-up", "", "", &[&first, &second]);
    for made_up in ["", "AAAAAAAAAAAAAAAAAAAAAA", "127.0.0.1:3000", "\"", "0"] {
        let line = format!("Cookie: lb={made_up}");
        let answers = [get_with(&balancer, &line), get_with(&balancer, &line)];
        assert_ne!(answers[0].text(), answers[1].text(), "they take turns");
        assert!(answers.iter().all(|answer| cookie_of(answer).is_some()));
    }
}

#[test]
fn a_cookie_outlasts_a_restart_and_leads_to_the_same_backend_at_another_balancer() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let all = [&first, &second];
    let (one, other) = (sticky("one", "", "", &all), sticky("other", "", "", &all));
    for _ in 0..2 {
        let answer = get(one.address, "/");
        let cookie = cookie_of(&answer).unwrap();
        assert_eq!(get_with(&other, &format!("Cookie: lb={cookie}")).text(), answer.text());
    }
}

#[test]
fn how_long_a_cookie_is_kept_and_whether_only_over_tls_can_be_said() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let balancer = sticky("said", ", max_age = \"1h\", secure = true", "", &[&first, &second]);
    let answer = get(balancer.address, "/").expect_status(200);
    let line = answer.header("set-cookie").unwrap();
    assert!(line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure"), "{line}");
}

#[test]
fn a_cookie_of_ours_is_none_of_those_that_a_route_changes() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let routes = "\n[routes.removes]\npath = \"/\"\npool = \"app\"\nanswer_headers = { remove = [\"set-cookie\"] }\n\
                  [routes.sets]\npool = \"app\"\nanswer_headers = { set = { set-cookie = \"a=b\" } }\nrewrite = \"/\"\n";
    let balancer = sticky("ours", "", routes, &[&first, &second]);
    assert!(cookie_of(&get(balancer.address, "/").expect_status(200)).is_some());
    let lines: Vec<_> = get(balancer.address, "/x").expect_status(200).headers;
    let cookies: Vec<_> =
        lines.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value).collect();
    assert!(cookies.len() == 2 && cookies[0] == "a=b" && cookies[1].starts_with("lb="), "{cookies:?}");
}

#[test]
fn a_client_whose_answer_a_page_took_the_place_of_is_told_where_to_stay() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let routes = "\n[routes.all]\npools = { app = 1 }\nsplit_cookie = \"share\"\n\
                  answer_headers = { remove = [\"set-cookie\"] }\n\
                  error_pages = { \"400-599\" = { body = \"a page\" } }\n";
    let balancer = sticky("paged", "", routes, &[&first, &second]);
    let paged = |path: &str| {
        let answer = get(balancer.address, path);
        assert_eq!(answer.text(), "a page");
        let cookies = answer.headers.into_iter().filter(|(name, _)| name == "set-cookie");
        cookies.map(|(_, value)| value.split('=').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paged("/status/404"), ["lb", "share"]);
    // Where nobody served it, there is nowhere to stay.
    first.kill();
    second.kill();
    assert_eq!(paged("/"), Vec::<String>::new());
}

#[test]
fn a_route_that_takes_the_cookies_away_leaves_clients_at_their_backends() {
    let (first, second) = (Sample::start("first"), Sample::start("second"));
    let routes = "\n[routes.plain]\npath = \"/plain\"\nrewrite = \"/\"\npool = \"app\"\n\
                  request_headers = { remove = [\"cookie\"] }\n[routes.app]\npool = \"app\"\n";
    let balancer = sticky("plain", "", routes, &[&first, &second]);
    let answer = get(balancer.address, "/").expect_status(200);
    let cookie = cookie_of(&answer).unwrap();
    for _ in 0..4 {
        let plain = get_at(&balancer, "/plain", &format!("Cookie: lb={cookie}"));
        assert_eq!((plain.text(), plain.header("set-cookie")), (answer.text(), None));
    }
}

#[test]
fn routes_that_ask_for_other_tags_of_a_pool_each_keep_their_clients() {
    let samples = ["1a", "1b", "2a", "2b"].map(Sample::start);
    let secret = folder("tagged").join("secret");
    fs::write(&secret, "a secret of thirty-two bytes or more\n").unwrap();
    let backend = |version: usize| {
        format!("{{ address = \"{{{version}}}\", tags = {{ v = \"{}\" }} }}", version / 2 + 1)
    };
    let route = |version: &str| {
        format!(
            "[routes.v{version}]\npath = \"/{version}\"\nrewrite = \"/\"\npool = \"app\"\ntags = {{ v = \"{version}\" }}\n"
        )
    };
    let pool = format!(
        "policy = \"round_robin\"\nbackends = [{}]\nsticky = {{ cookie = \"lb\", secret_file = \"{}\" }}\n{}{}",
        [0, 1, 2, 3].map(backend).join(", "),
        secret.display(),
        route("1"),
        route("2"),
    );
    let balancer = with_pool("tagged", &pool, &samples.each_ref().map(Sample::address));
    let first = ["/1", "/2"].map(|path| get(balancer.address, path).expect_status(200));
    let pair = |answer: &crate::support::Answer| {
        answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    };
    let line = format!("Cookie: {}; {}", pair(&first[0]), pair(&first[1]));
    for _ in 0..4 {
        for (path, first) in ["/1", "/2"].iter().zip(&first) {
            let answer = get_at(&balancer, path, &line);
            assert_eq!((answer.text(), answer.header("set-cookie")), (first.text(), None));
        }
    }
}

#[test]
fn the_order_in_which_a_route_writes_its_tags_says_nothing() {
    let sample = Sample::start("only");
    let secret = folder("ordered").join("secret");
    fs::write(&secret, "a secret of thirty-two bytes or more\n").unwrap();
    let pool = format!(
        "backends = [{{ address = \"{{0}}\", tags = {{ v = \"1\", zone = \"a\" }} }}]\n\
         sticky = {{ cookie = \"lb\", secret_file = \"{}\" }}\n\
         [routes.one]\npath = \"/one\"\nrewrite = \"/\"\npool = \"app\"\ntags = {{ v = \"1\", zone = \"a\" }}\n\
         [routes.other]\npath = \"/other\"\nrewrite = \"/\"\npool = \"app\"\ntags = {{ zone = \"a\", v = \"1\" }}\n",
        secret.display(),
    );
    let balancer = with_pool("ordered", &pool, &[sample.address()]);
    let [one, other] = ["/one", "/other"].map(|path| {
        let answer = get(balancer.address, path).expect_status(200);
        answer.header("set-cookie").expect("a cookie").to_owned()
    });
    assert_eq!(one, other);
}

#[test]
fn requests_that_are_known_by_the_same_thing_meet_the_same_backend() {
    for (key, line, target) in [
        ("header:x-user", "X-User: {}", "/"),
        ("cookie:user", "Cookie: a=b; user={}", "/"),
        ("query:user", "X-Other: {}", "/?a=b&user={}"),
        ("path", "X-Other: 1", "/users/{}"),
    ] {
        let (one, other) = (Backend::answers(ONE), Backend::answers(OTHER));
        let pool = format!("policy = \"maglev\"\nhash_key = \"{key}\"\nbackends = [\"{{0}}\", \"{{1}}\"]");
        let name = key.replace(':', "-");
        let balancer = with_pool(&name, &pool, &[one.address, other.address]);
        let ask = |user: u32| {
            let fill = |text: &str| text.replace("{}", &user.to_string());
            let (line, target) = (fill(line), fill(target));
            let head = format!("GET {target} HTTP/1.1\r\nHost: test\r\n{line}\r\nConnection: close\r\n\r\n");
            request(balancer.address, &head).expect_status(200).text().to_owned()
        };
        let homes: Vec<_> = (0..20).map(ask).collect();
        assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), 2, "{key}: all are at {}", homes[0]);
        assert_eq!((0..20).map(ask).collect::<Vec<_>>(), homes, "{key}");
    }
}

#[test]
fn requests_that_a_route_makes_the_same_meet_the_same_backend() {
    for (key, line, target, change) in [
        ("header:x-user", "X-User: {}", "/", "request_headers = { set = { x-user = \"any\" } }"),
        ("query:user", "X-Other: 1", "/?user={}", "rewrite = \"/?user=any\""),
        ("path", "X-Other: 1", "/users/{}", "rewrite = \"/users\""),
    ] {
        let (one, other) = (Backend::answers(ONE), Backend::answers(OTHER));
        let pool = format!(
            "policy = \"maglev\"\nhash_key = \"{key}\"\nbackends = [\"{{0}}\", \"{{1}}\"]\n\
             [routes.all]\npool = \"app\"\n{change}"
        );
        let name = format!("changed-{}", key.replace(':', "-"));
        let balancer = with_pool(&name, &pool, &[one.address, other.address]);
        let ask = |user: u32| {
            let [line, target] = [line, target].map(|text| text.replace("{}", &user.to_string()));
            let head = format!("GET {target} HTTP/1.1\r\nHost: test\r\n{line}\r\nConnection: close\r\n\r\n");
            request(balancer.address, &head).expect_status(200).text().to_owned()
        };
        assert_eq!((0..20).map(ask).collect::<BTreeSet<_>>().len(), 1, "{key}");
    }
}

const ONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none";
const OTHER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother";
