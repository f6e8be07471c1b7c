//! What is found is what a look at each case in turn would find, and what is called unreachable is.

use hyper::header::{HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::config::{Condition, Match, Networks, Part, PathMatch, Pattern, Route, Segment, Test};

use super::*;

fn route(name: &str, when: Match) -> Route {
    Route { when, ..Route::to_first_pool(name) }
}

/// Reads a path as files write it.
fn path(text: &str) -> PathMatch {
    let segment = |text: &str| match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(name) => match name.strip_suffix("...") {
            Some(name) => Segment::Rest(name.into()),
            None => Segment::Capture(name.into()),
        },
        None => Segment::Literal(text.into()),
    };
    match (text.strip_prefix("~ "), text.strip_suffix("/*")) {
        (Some(pattern), _) => PathMatch::Regex(Pattern::new(pattern).expect("an expression")),
        (None, Some(prefix)) => PathMatch::Prefix(prefix.into()),
        (None, None) if text.contains('{') => {
            PathMatch::Template(text[1..].split('/').map(segment).collect())
        }
        (None, None) => PathMatch::Exact(text.into()),
    }
}

fn host(text: &str) -> HostMatch {
    match text.strip_prefix('*') {
        Some(suffix) => HostMatch::Under(suffix.into()),
        None => HostMatch::Exact(text.into()),
    }
}

fn when(hosts: &[&str], paths: &[&str]) -> Match {
    let (hosts, paths) = (hosts.iter().copied().map(host), paths.iter().copied().map(path));
    Match { hosts: hosts.collect(), paths: paths.collect(), ..Match::default() }
}

fn header(name: &'static str, test: Test) -> Condition {
    Condition { part: Part::Header(HeaderName::from_static(name)), test }
}

/// The name of the route of a GET.
fn found<'r>(routes: &'r [Route], compiled: &Routes, host: &str, path: &str) -> Result<&'r str, Missed> {
    let headers = HeaderMap::new();
    let client = [192, 0, 2, 1].into();
    let asked =
        Asked { host, path, query: None, method: &Method::GET, headers: &headers, client, listener: None };
    compiled.find(&asked).map(|found| &*routes[found.route].name)
}

#[test]
fn the_most_specific_case_counts() {
    let cases: [(&[&str], &[&str]); 15] = [
        (&[], &[]),
        (&[], &["/a/*"]),
        (&[], &["/a/b/*"]),
        (&[], &["/a/{x}"]),
        (&[], &["/a/{x}/c"]),
        (&[], &["/a/b/c"]),
        (&[], &["~ /r/.*"]),
        (&[], &["~ /r/[0-9]+"]),
        (&["*.example.com"], &[]),
        (&["*.b.example.com"], &[]),
        (&["a.b.example.com"], &["/only"]),
        (&[], &["/users/{id}/posts"]),
        (&[], &["/users/me/{rest...}"]),
        (&[], &["/slash/"]),
        (&[], &["/{x}/y"]),
    ];
    let name = |(hosts, paths): &(&[&str], &[&str])| format!("{}{}", hosts.join(","), paths.join(","));
    let routes: Vec<_> = cases.iter().map(|case| route(&name(case), when(case.0, case.1))).collect();
    let compiled = Routes::compile(&routes).expect("no conflicts");
    for (host, path, expected) in [
        ("other", "/", ""),
        ("other", "/a", "/a/*"),
        ("other", "/a/", "/a/*"),
        ("other", "/ab", ""),
        ("other", "/a/x", "/a/{x}"),
        ("other", "/a/x/y", "/a/*"),
        ("other", "/a/b", "/a/b/*"),
        ("other", "/a/b/c", "/a/b/c"),
        ("other", "/a/b/c/d", "/a/b/*"),
        ("other", "/a/d/c", "/a/{x}/c"),
        ("other", "/r/7", "~ /r/[0-9]+"),
        ("other", "/r/x", "~ /r/.*"),
        ("other", "/users/me/posts", "/users/me/{rest...}"),
        ("other", "/users/me", "/users/me/{rest...}"),
        ("other", "/users/7/posts", "/users/{id}/posts"),
        ("other", "/users//posts", ""),
        ("other", "/slash", ""),
        ("other", "/slash/", "/slash/"),
        ("other", "/a/y", "/a/{x}"),
        ("other", "/z/y", "/{x}/y"),
        ("other", "*", ""),
        ("example.com", "/a", "/a/*"),
        ("x.EXAMPLE.com:8080", "/a", "*.example.com"),
        ("a.b.example.com.", "/a", "*.b.example.com"),
        ("a.b.example.com", "/only", "a.b.example.com/only"),
        ("z.a.b.example.com", "/only", "*.b.example.com"),
    ] {
        assert_eq!(found(&routes, &compiled, host, path), Ok(expected), "{host} {path}");
    }
}

#[test]
fn a_higher_priority_comes_before_all_else() {
    let closed =
        Match { priority: 1, conditions: vec![header("x-closed", Test::Present)], ..Match::default() };
    let routes = [route("open", when(&["a"], &["/x"])), route("closed", closed)];
    let compiled = Routes::compile(&routes).expect("no conflicts");
    let headers = HeaderMap::from_iter([(HeaderName::from_static("x-closed"), HeaderValue::from_static(""))]);
    let client = [192, 0, 2, 1].into();
    let asked = Asked {
        host: "a",
        path: "/x",
        query: None,
        method: &Method::GET,
        headers: &headers,
        client,
        listener: None,
    };
    assert_eq!(compiled.find(&asked).expect("a route").route, 1);
    assert_eq!(found(&routes, &compiled, "a", "/x"), Ok("open"));
    assert_eq!(found(&routes, &compiled, "b", "/x"), Err(Missed::NoRoute));
}

#[test]
fn a_path_is_not_passed_by_in_disguise() {
    let routes = [
        route("all", when(&[], &[])),
        route("admin", when(&[], &["/admin/*"])),
        route("files", when(&[], &["/files/*"])),
    ];
    let compiled = Routes::compile(&routes).expect("no conflicts");
    for path in ["/%61dmin", "/x/../admin", "/./admin/x", "/x/%2e%2e/admin", "/files/../../admin"] {
        assert_eq!(found(&routes, &compiled, "a", path), Ok("admin"), "{path}");
    }
    for path in [
        "//admin",
        "/admin%2fx",
        "/x/..%2Fadmin",
        "/admin;x/y",
        "/x/..;/admin",
        "/x\\..\\admin",
        "/files/..%2fadmin",
        "/%2fadmin",
    ] {
        assert_eq!(found(&routes, &compiled, "a", path), Err(Missed::TwoReadings), "{path}");
    }
    for (path, expected) in [
        ("/files/a%2Fb", "files"),
        ("/files//a", "files"),
        ("/files/a;v=1", "files"),
        ("/x/http://y", "all"),
        ("/.well-known/x", "all"),
        ("/%41dmin", "all"),
    ] {
        assert_eq!(found(&routes, &compiled, "a", path), Ok(expected), "{path}");
    }
}

#[test]
fn a_path_that_a_route_names_as_it_stands_is_meant() {
    let routes = [
        route("all", when(&[], &[])),
        route("odd", when(&[], &["/a//b;c"])),
        route("b", when(&[], &["/a/b"])),
    ];
    let compiled = Routes::compile(&routes).expect("no conflicts");
    assert_eq!(found(&routes, &compiled, "a", "/a//b;c"), Ok("odd"));
    assert_eq!(found(&routes, &compiled, "a", "/a//b"), Err(Missed::TwoReadings));
}

#[test]
fn captures_are_those_of_the_case_that_holds() {
    let routes = [route("users", when(&[], &["/users/{id}/{rest...}", "/u/{id}"]))];
    let compiled = Routes::compile(&routes).expect("no conflicts");
    let headers = HeaderMap::new();
    let client = [192, 0, 2, 1].into();
    let asked = |path| Asked {
        host: "a",
        path,
        query: None,
        method: &Method::GET,
        headers: &headers,
        client,
        listener: None,
    };
    for (path, id, rest) in [
        ("/users/7/a/b", Some("7"), Some("a/b")),
        ("/users/7", Some("7"), Some("")),
        ("/u/%37%20", Some("7%20"), None),
    ] {
        let captures = compiled.find(&asked(path)).expect("a route").captures;
        assert_eq!((captures.get("id"), captures.get("rest")), (id, rest), "{path}");
    }
}

fn conflicts(routes: &[Route]) -> Vec<String> {
    let conflicts = Routes::compile(routes).expect_err("conflicts");
    conflicts.iter().map(ToString::to_string).collect()
}

#[test]
fn a_route_behind_one_for_what_is_there_and_one_for_what_is_absent_is_never_reached() {
    let of = |test| Match { conditions: vec![header("x", test)], ..when(&[], &["/q"]) };
    let with = |other: Test| {
        [route("there", of(Test::Present)), route("other", of(other)), route("rest", when(&[], &["/q"]))]
    };
    let told = conflicts(&with(Test::Absent));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("route rest: never reached, for all its requests go to "), "{told:?}");
    Routes::compile(&with(Test::Is("1".into()))).expect("who has none takes the last one");
}

#[test]
fn a_route_that_is_never_reached_is_refused_and_so_is_one_like_another() {
    let high = |name: &str, when: Match| route(name, Match { priority: 1, ..when });
    let never = "never reached, for all its requests go to a before; remove it, or raise its priority";
    for (wide, narrow) in [
        (when(&[], &[]), when(&["x"], &["/x"])),
        (when(&["*.x"], &["/a/*"]), when(&["y.x", "*.z.x"], &["/a", "/a/b/{c}", "/a/{rest...}"])),
        (when(&[], &["~ /[a-z]+"]), when(&[], &["/abc"])),
        (when(&[], &["/{x}/b"]), when(&[], &["/a/b", "/{y}/b"])),
        (when(&[], &["/a", "/b"]), when(&[], &["/b", "/a"])),
        (when(&[], &["~ /v[0-9]+"]), when(&["x"], &["~ /v[0-9]+"])),
        (when(&[], &["/v1/*"]), when(&[], &["~ /v1/[0-9]+", "~ /v1/(a|b)", "~ /v1/a/.*"])),
        (when(&[], &["/{version}/{rest...}"]), when(&[], &["~ /v1/[0-9]+"])),
        (when(&[], &["/v1"]), when(&[], &["~ /v1"])),
        (when(&[], &["~ /v[0-9]"]), when(&[], &["~ /v1"])),
    ] {
        assert_eq!(conflicts(&[high("a", wide), route("b", narrow)]), [format!("route b: {never}")]);
    }
    let same =
        "routes a and b: hold for exactly the same requests; remove one of them, or change what it is for";
    for (one, other) in [
        (when(&[], &[]), when(&[], &[])),
        (when(&[], &["/a/{x}"]), when(&[], &["/a/{y}"])),
        (when(&["X.y"], &["/%61/*"]), when(&["x.Y."], &["/a/{rest...}"])),
        (when(&[], &["~ /v[0-9]+"]), when(&[], &["~ /v[0-9]+"])),
    ] {
        assert_eq!(conflicts(&[route("b", one), route("a", other)]), [same]);
    }
    let of = |path: &[&str], name| Match {
        conditions: vec![header(name, Test::Is("1".into()))],
        ..when(&[], path)
    };
    for path in [&[][..], &["~ /v[0-9]+"]] {
        assert_eq!(
            conflicts(&[route("a", of(path, "x")), route("b", of(path, "y"))]),
            [
                "routes a and b: some requests could go to either, and neither is more specific; give one of them a higher priority, or a condition that the other lacks"
            ]
        );
    }
    let contradicts =
        Match { conditions: vec![header("x", Test::Absent), header("x", Test::Present)], ..Match::default() };
    assert!(
        conflicts(&[route("a", contradicts)])[0].starts_with("route a: never reached, for something must be")
    );
    assert!(conflicts(&[route("a", when(&[], &["/a/../{x}"]))])[0].contains("mend its path"));
}

#[test]
fn a_route_all_of_whose_methods_or_clients_go_elsewhere_is_never_reached() {
    let by = |methods: &[Method]| Match { methods: methods.to_vec(), ..when(&[], &["/a"]) };
    let from = |networks: &[&str]| {
        let networks = networks.iter().map(|text| (text.parse().expect("a network"), ()));
        Match { clients: Some(Networks::of(networks)), ..when(&[], &["/a"]) }
    };
    let apart = [route("get", by(&[Method::GET])), route("post", by(&[Method::POST]))];
    let unreached = |routes: &[Route]| conflicts(&[&apart, routes].concat());
    let told = |name: &str, others: &str| {
        format!(
            "route {name}: never reached, for all its requests go to {others} before; \
             remove it, make it more specific, or raise its priority"
        )
    };
    let both = route("both", by(&[Method::GET, Method::POST]));
    assert_eq!(unreached(&[both]), [told("both", "get and post")]);
    let more = by(&[Method::GET, Method::POST, Method::PUT]);
    assert!(Routes::compile(&[&apart[..], &[route("more", more), route("any", by(&[]))]].concat()).is_ok());
    let halves =
        [route("low", from(&["10.0.0.0/9"])), route("high", from(&["10.128.0.0/9", "192.0.2.0/24"]))];
    let with = |networks| [&halves[..], &[route("all", from(networks))]].concat();
    assert_eq!(conflicts(&with(&["10.0.0.0/8"])), [told("all", "low and high")]);
    assert!(Routes::compile(&with(&["10.0.0.0/7"])).is_ok());
}

#[test]
fn a_path_or_a_method_of_a_route_that_no_request_can_have_is_told_of() {
    let told = |when| conflicts(&[route("a", when)]);
    for (dead, alive) in [("~ v1/.*", "/v2"), ("/a/../{x}", "~ /v1")] {
        let told = told(when(&[], &[alive, dead]));
        assert_eq!(told.len(), 1, "{told:?}");
        let begins = format!("route a: no request can have the path {dead}, for no path ");
        assert!(told[0].starts_with(&begins), "{told:?}");
    }
    let methods = vec![Method::GET, Method::CONNECT];
    assert_eq!(
        told(Match { methods, ..when(&["x", "y"], &["/a", "/b"]) }),
        ["route a: CONNECT is answered with 405 before routes are looked at; \
          take CONNECT out of its methods (a WebSocket comes as a GET)"]
    );
}

#[test]
fn routes_that_can_be_told_apart_are_no_conflict() {
    let with = |test| Match { conditions: vec![test], ..Match::default() };
    let high = |when: Match| Match { priority: 1, ..when };
    for (one, other) in [
        (with(header("x", Test::Is("1".into()))), with(header("x", Test::Is("2".into())))),
        (with(header("x", Test::Present)), with(header("x", Test::Absent))),
        (with(header("x", Test::Present)), with(header("x", Test::Is("2".into())))),
        (when(&[], &["~ /a.*"]), when(&[], &["~ /b.*"])),
        (when(&[], &["/v1/*"]), when(&[], &["~ /v1[0-9]*"])),
        (when(&[], &["/v1/*"]), when(&[], &["~ /v1/a|/v2/b"])),
        (when(&[], &["/v1/a/*"]), when(&[], &["~ /v1/a*/b"])),
        (when(&["a"], &[]), when(&["b"], &[])),
        (when(&["a", "b"], &[]), high(when(&["a"], &[]))),
        (high(when(&[], &["/a/{x}"])), when(&[], &["/a/*"])),
        (
            Match { methods: vec![Method::GET], ..Match::default() },
            Match { methods: vec![Method::GET, Method::POST], ..Match::default() },
        ),
    ] {
        Routes::compile(&[route("a", one), route("b", other)]).expect("no conflict");
    }
    Routes::compile(&[route("a", when(&["x", "X"], &["/a", "/a/*", "/a"]))]).expect("it is one with itself");
}

/// Whether a case holds, in the plainest words.
fn holds(case: &Case, compiled: &Routes, asked: &Asked<'_>) -> bool {
    let host = match &case.host {
        None => true,
        Some(HostMatch::Exact(name)) => **name == *asked.host,
        Some(HostMatch::Under(suffix)) => asked.host.len() > suffix.len() && asked.host.ends_with(&**suffix),
    };
    let path = match &case.path {
        Path::Exact(path) => **path == *asked.path,
        Path::Regex(pattern) => pattern.matches(asked.path),
        Path::Steps(steps) => {
            let segments: Vec<_> = asked.path[1..].split('/').collect();
            let fits = steps.iter().zip(&segments).all(|(step, segment)| match step {
                Segment::Literal(text) => **text == **segment,
                Segment::Capture(_) => !segment.is_empty(),
                Segment::Rest(_) => true,
            });
            match steps.last() {
                Some(Segment::Rest(_)) => fits && segments.len() + 1 >= steps.len(),
                _ => fits && segments.len() == steps.len(),
            }
        }
    };
    host && path && compiled.rules[case.route as usize].holds(asked)
}

fn any_when() -> impl Strategy<Value = Match> {
    let hosts = select(vec!["a.x", "b.x", "*.x", "*.b.x", "*.y"]);
    let paths = select(vec![
        "/a",
        "/b",
        "/a/b",
        "/a/*",
        "/b/*",
        "/a/b/*",
        "/*",
        "/{x}",
        "/{x}/b",
        "/a/{x}",
        "/{x}/{y}",
        "/a/{rest...}",
        "/{x}/{rest...}",
        "/",
        "~ /a.*",
        "~ /[ab]/b",
        "~ /a/[bc]",
        "~ /a/(b|c)/c",
        "~ /a/b*",
        "~ /a/b",
        "~ /a|/b",
        "/a/",
    ]);
    let tests = select(vec![
        Test::Present,
        Test::Absent,
        Test::Is("1".into()),
        Test::Is("2".into()),
        Test::Matches(Pattern::new("[0-9]").expect("an expression")),
    ]);
    let parts = select(vec![
        Part::Header(HeaderName::from_static("h")),
        Part::Query("q".into()),
        Part::Cookie("c".into()),
    ]);
    let condition = (parts, tests).prop_map(|(part, test)| Condition { part, test });
    let networks =
        select(vec![None, None, None, Some("10.0.0.0/8"), Some("10.0.0.0/9"), Some("10.128.0.0/9")]);
    let methods = vec(select(vec![Method::GET, Method::POST]), 0..2);
    (0..2_i32, vec(hosts, 0..3), vec(paths, 0..3), methods, vec(condition, 0..3), networks).prop_map(
        |(priority, hosts, paths, methods, conditions, network)| Match {
            priority,
            methods,
            conditions,
            clients: network.map(|network| Networks::of([(network.parse().expect("a network"), ())])),
            ..when(&hosts, &paths)
        },
    )
}

type Request = (&'static str, &'static str, Option<&'static str>, Method, HeaderMap, [u8; 4]);

fn any_request() -> impl Strategy<Value = Request> {
    let hosts = select(vec!["a.x", "b.x", "c.x", "z.b.x", "x", ".x", "a.y", ""]);
    let paths = select(vec![
        "/", "/a", "/b", "/c", "/a/", "/a/b", "/b/b", "/a/b/c", "/a/c", "/c/b", "/ab", "/a/b/c/d",
    ]);
    let queries = select(vec![None, None, Some("q=1"), Some("q=2&q=1"), Some("q")]);
    let lines = select(vec![
        vec![],
        vec![],
        vec![("h", "1")],
        vec![("h", "2")],
        vec![("h", "1"), ("h", "2")],
        vec![("cookie", "c=1")],
        vec![("h", "x"), ("cookie", "d=1; c=2")],
    ]);
    let headers = lines.prop_map(|lines| {
        let line = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        HeaderMap::from_iter(lines.into_iter().map(line))
    });
    let methods = select(vec![Method::GET, Method::POST, Method::PUT]);
    (hosts, paths, queries, methods, headers, select(vec![[10, 0, 0, 1], [10, 128, 0, 1], [192, 0, 2, 1]]))
}

/// All of it but what is wrong with it.
fn compile_regardless(routes: &[Route]) -> (Routes, Vec<Conflict>) {
    let compiled = Routes::build(routes);
    let conflicts = conflict::find(routes, &compiled);
    (compiled, conflicts)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_is_what_a_look_at_each_case_in_turn_finds(
        matches in vec(any_when(), 1..12),
        requests in vec(any_request(), 20),
    ) {
        let name = |place: usize| format!("r{place}");
        let routes: Vec<_> = matches.into_iter().enumerate().map(|(place, when)| route(&name(place), when)).collect();
        let (compiled, conflicts) = compile_regardless(&routes);
        for (host, path, query, method, headers, client) in &requests {
            let asked = Asked { host, path, query: *query, method, headers, client: (*client).into(), listener: None };
            let expected = compiled.cases.iter().find(|case| holds(case, &compiled, &asked));
            let found = compiled.find(&asked).ok().map(|found| found.route);
            prop_assert_eq!(found, expected.map(|case| case.route as usize));
            for conflict in &conflicts {
                if let (Conflict::Shadowed { route, .. } | Conflict::Impossible { route, .. }, Some(found)) = (conflict, found) {
                    prop_assert_ne!(&routes[found].name, route);
                }
            }
        }
    }

    #[test]
    fn routes_without_a_conflict_are_found_in_one_order_only(
        matches in vec(any_when(), 2..8),
        requests in vec(any_request(), 20),
    ) {
        let routes: Vec<_> = matches.into_iter().enumerate().map(|(place, when)| route(&format!("r{place}"), when)).collect();
        let mut renamed = routes.clone();
        for (place, route) in renamed.iter_mut().enumerate() {
            route.name = format!("r{}", 100 - place).into();
        }
        let ((one, conflicts), (other, _)) = (compile_regardless(&routes), compile_regardless(&renamed));
        if !conflicts.is_empty() {
            return Ok(());
        }
        for (host, path, query, method, headers, client) in &requests {
            // Of two values of one part either may count.
            if headers.get_all("h").iter().count() > 1 || query.is_some_and(|query| query.contains('&')) {
                continue;
            }
            let asked = Asked { host, path, query: *query, method, headers, client: (*client).into(), listener: None };
            let found = |routes: &Routes| routes.find(&asked).ok().map(|found| found.route);
            prop_assert_eq!(found(&one), found(&other));
        }
    }
}
