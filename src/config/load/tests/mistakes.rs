//! What is told of texts with mistakes in them, and what is not.

use super::*;

#[test]
fn fifty_mistakes_are_told_and_no_more_are_looked_for() {
    let text: String = (0..100).map(|number| format!("key{number} = 1\n")).collect();
    assert_eq!(refused(&text, Format::Toml).len(), 50);
    for text in [format!("[pools.a]\nbackends = [{}]", "'x',".repeat(100)), "?\n".repeat(100)] {
        assert_eq!(refused(&text, Format::Toml).len(), 50);
    }
}

#[test]
fn what_follows_from_a_mistake_is_not_told_beside_it() {
    for text in [
        "pools = 3",
        "[pools]\na = 3\n[routes.b]\npool = 'a'",
        "[pools.a]\nbackends = [3]",
        "[routes.a]\npool = 3",
        "[listeners.a]\naddress = 3\ntls = false",
        "[pools.a]\nbackends = ['[::1]:1']\npolicy = 'chance'\nhash_key = 'path'\nslow_start = '1s'",
        "dns_servers = ['127.0.0.1']\n[pools.a]\nbackends = ['[::1]:1']\ndiscover = [3]",
        "[pools.a]\npolicy = 'p2c'\noverflow = 50\nbackends = ['[::1]:1', { address = '[::1]:2', tier = 'x' }]",
        "pools.a.backends = ['[::1]:1']\npools.b.backends = ['[::1]:1']\nroutes = 3",
        "pools = 3\n[routes.a]\npool = 'b'\nrewrite = '/'",
        "pools = 3\npools = 4\n[routes.a]\npool = 'b'",
        "[routes.a]\npools = 3\nsplit_cookie = 'x'",
        "[listeners.a]\naddress = '1'\ntls = 'yes'\n[tls]\nclient_ca_file = 'ca'",
        "[listeners.a]\naddress = '1'\ntls = true\n[tls]\ncertificates = 'site.pem'",
        "[listeners.a]\naddress = 1\n[pools.a]\nbackends = ['127.0.0.1:8080']",
        "[limits]\nrate = 100\nrate_burst = 3",
        "[admin]\naddress = ':1'\ntoken_file = 3",
        "[pools.a]\nbackends = ['[::1]:1', 3]\ntls.ca_file = 'x'",
    ] {
        assert_eq!(refused(text, Format::Toml).len(), 1, "{text}");
    }
}

/// Where problems are and what they are, the start of each.
fn told(text: &str, format: Format) -> Vec<String> {
    let problem = |problem: &Problem| {
        let [line, column] = [problem.line, problem.column].map(|number| number.unwrap_or_default());
        format!("{line}:{column} {}", problem.message)
    };
    refused(text, format).iter().map(problem).collect()
}

#[test]
fn a_key_that_is_given_twice_hides_nothing_else_and_nothing_follows_from_it() {
    let text = "workers = 2\nworkers = 'x'\nlog_levle = 'info'\n[timeouts]\nheader = '5'\n\
                [pools.app]\nbackends = ['[::1]:1']\nbackends = ['x']\npolicy = 'ring'\npolcy = 1\nhash_bound = 3\n\
                [routes.a]\npool = 'ap'\n[timeouts]\nheader = '1s'\ndrain = 1\n\
                [pools.web]\nbackends = ['x']\n[pools.web]\nbackends = ['y']\nzones = 1\n\
                [routes.b]\npool = 'web'\npath = '/b'\n";
    assert_eq!(
        told(text, Format::Toml),
        [
            "2:1 duplicate key `workers`, which is at line 1, column 1 already",
            "3:1 unknown key",
            "8:1 duplicate key `backends`, which is at line 7, column 1 already",
            "10:1 unknown key",
            "11:14 too small",
            "13:8 no pool has this name",
            "14:2 duplicate key `timeouts`, which is at line 4, column 2 already",
            "15:1 duplicate key `header`, which is at line 5, column 1 already",
            "16:9 a unit is missing: write 1ms, 1s, 1m or 1h",
            "19:8 duplicate key `web`, which is at line 17, column 8 already",
            "21:1 unknown key",
        ][..]
    );
    let text = "workers: 2\nworkers: x\npools:\n  app:\n    backends: ['[::1]:1']\n    backends: [x]\n    polcy: 1\n\
                routes: { a: { pool: ap } }\npools:\n  web: { backends: [x] }\n  app: { backends: [y] }\n";
    assert_eq!(
        told(text, Format::Yaml),
        [
            "2:1 duplicate key `workers`, which is at line 1, column 1 already",
            "6:5 duplicate key `backends`, which is at line 5, column 5 already",
            "7:5 unknown key",
            "8:22 no pool has this name",
            "9:1 duplicate key `pools`, which is at line 3, column 1 already",
            "10:21 not an address",
            "11:3 duplicate key `app`, which is at line 4, column 3 already",
        ][..]
    );
    let text = "{\"workers\": 2, \"workers\": \"x\",\n\"pools\": {\"app\": {\"backends\": [\"[::1]:1\"], \"polcy\": 1}},\n\
                \"pools\": {\"a\\\"b\": {\"backends\": [\"x\"]}}, \"routes\": {\"a\": {\"pool\": \"app\", \"priority\": 1.5}}}";
    assert_eq!(
        told(text, Format::Json),
        [
            "1:16 duplicate key `workers`, which is at line 1, column 2 already",
            "2:44 unknown key",
            "3:1 duplicate key `pools`, which is at line 2, column 1 already",
            "3:33 not an address",
            "3:85 expected a whole number, found a number with a fraction",
        ][..]
    );
}

#[test]
fn of_two_keys_the_one_that_is_meant_is_named_however_it_is_written() {
    for (text, expected) in [
        (
            "pools.a.policy = 'ring'\n[pools.a]\nbackends = ['[::1]:1']",
            "2:8 duplicate key `a`, which is at line 1, column 7",
        ),
        ("[limits]\nheaders = 1\n'headers' = 2", "3:1 duplicate key `headers`, which is at line 2, column 1"),
        ("limits = 1\n[limits]\nheaders = 1", "2:2 duplicate key `limits`, which is at line 1, column 1"),
        (
            "timeouts = 1\ntimeouts.header = '1s'",
            "2:1 duplicate key `timeouts`, which is at line 1, column 1",
        ),
        (
            "limits = { headers = 1, headers = 2 }",
            "1:25 duplicate key `headers`, which is at line 1, column 12",
        ),
        (
            "[pools.a]\nbackends = ['[::1]:1', { address = '[::1]:2', tier = 1, tier = 2 }]",
            "2:57 duplicate key `tier`, which is at line 2, column 47",
        ),
        (
            "[[pools.a.backends]]\naddress = '[::1]:1'\n[[pools.a.backends]]\naddress = '[::1]:2'\naddress = 'x'",
            "5:1 duplicate key `address`, which is at line 4, column 1",
        ),
        (
            "[pools.a.health]\npath = '/'\n[pools.a]\nbackends = ['[::1]:1']\nhealth.interval = '1s'",
            "5:1 duplicate key `health`, which is at line 1, column 10",
        ),
    ] {
        let told = told(text, Format::Toml);
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        assert!(told[0].starts_with(expected), "{text}: {told:?}");
    }
    let said = refused("[pools.a]\nbackends = ['[::1]:1']\n[pools.a]", Format::Toml);
    assert_eq!(said[0].path.as_deref(), Some("pools.a"));
    assert_eq!(
        said[0].help.as_deref(),
        Some("give one of them another name, or write all of it in one place")
    );
}

#[test]
fn a_value_that_is_none_leaves_the_rest_of_a_text_known() {
    let text = "workers = many\nlog_levle = 1\n[pools.a]\nbackends = ['x']\npolicy = 'ring\nhash_bound = 200\n\
                [routes.a]\npool = b\n[routes.b]\npool = 'c'\n";
    assert_eq!(
        told(text, Format::Toml),
        [
            "1:11 string values must be quoted, expected literal string",
            "2:1 unknown key",
            "4:13 not an address",
            "5:15 invalid literal string, expected `'`",
            "8:8 string values must be quoted, expected literal string",
            "10:8 no pool has this name",
        ][..]
    );
}

#[test]
fn no_text_with_a_mistake_is_taken_however_large_or_deep_it_is() {
    let deep = format!("{}a = 1\n", "a.".repeat(40)).repeat(2);
    assert!(refused(&deep, Format::Toml)[0].message.starts_with("too deep"));
    assert_eq!(refused(&"[a.b]\n".repeat(100), Format::Toml).len(), 50);
    assert_eq!(refused(&"a: 1\n".repeat(100), Format::Yaml).len(), 50);
    let long = format!("{{\"a\": \"{}\", \"a\": 1}}", "x".repeat(1 << 20));
    let said = refused(&long, Format::Json);
    assert!(said[0].column.is_some() && said[0].to_string().len() < 200, "{}", said[0]);
}

#[test]
fn of_a_text_that_is_not_closed_only_what_stands_before_is_told() {
    let text = "workers = 0\n[routes.a]\npool = 'later'\nretry.attemps = 2\n[pools.a]\npolicy = 'ring'\n[pools.b]\n\
                backends = ['x'\n[routes.b]\npool = 'a'\nunknown = 1";
    let told = told(text, Format::Toml);
    assert_eq!(told, ["1:11 too small", "4:7 unknown key", "8:12 unclosed array, expected `]`"]);
    // Nobody knows what these were to be.
    for text in
        ["[pools.a\nbackends = ['x']", "a = \"\"\"\nb = 1\n", "?\nworkers = 0", "pools = {\nworkers = 0"]
    {
        let all_syntax = refused(text, Format::Toml).iter().all(|problem| problem.path.is_none());
        assert!(all_syntax, "{text}");
    }
}

/// Where mistakes are that are told of a text.
fn places(text: &str) -> Vec<(usize, usize)> {
    let place = |problem: &Problem| (problem.line.unwrap_or_default(), problem.column.unwrap_or_default());
    refused(text, Format::Toml).iter().map(place).collect()
}

#[test]
fn a_mistake_in_a_line_hides_no_other_line() {
    for (text, expected) in [
        // Values that are none.
        (
            "workers = two\nlog_level = info\n[timeouts]\nheader = 10s\nconnect = '1 year'",
            &[(1, 11), (2, 13), (4, 10), (5, 11)][..],
        ),
        // In a list, between others.
        (
            "[pools.p]\nbackends = [\n 'x',\n 127.0.0.1:1,\n]\npolcy = 1\n[limits]\nrate = '5'",
            &[(3, 2), (4, 7), (6, 1), (8, 8)],
        ),
        (
            "[pools.p]\nbackends = [{ address = 'x', weigth = 1, zone = eu }]\npolcy = 1",
            &[(2, 25), (2, 30), (2, 49), (3, 1)],
        ),
        // No key: what is behind it is in another table, maybe.
        ("[routes.a]\npth = 1\noops\nunknown = 1\n[limits]\nrate = '5'", &[(2, 1), (3, 5), (6, 8)]),
        ("?\nworkers = 0\n[limits]\nrat = 1", &[(1, 2), (4, 1)]),
        ("[pools.a\nunknown = 1\n[limits]\nrat = 1", &[(1, 9), (4, 1)]),
        (
            "[routes.a]\npth = 1\n\u{e9} = 5\npth2 = 1\npath = '/x\n[limits]\nrat = 5",
            &[(2, 1), (3, 1), (4, 1), (5, 11), (7, 1)],
        ),
        // Brackets that are closed, but not as they should be.
        ("[pools.p]\nbackends = [\n 'x'\n 'y']\npolcy = 1", &[(4, 2), (5, 1)]),
        ("[pools.p]\nbackends = [{ address = 'x' ]\npolcy = 1", &[(2, 13), (3, 1)]),
        ("[pools.p]\nbackends = ['x' }]\npolcy = 1", &[(2, 17), (3, 1)]),
        ("[pools.p]\nbackends = 'x',\n  'y'\n]\npolcy = 1\n[limits]\nrat = 1", &[(2, 15), (7, 1)]),
        // Brackets that are not closed, and what may not be said of what is behind them.
        ("polcy = 1\n[pools.a]\nbackends = ['x'\n[pools.b]\nbackends = ['y']", &[(1, 1), (3, 12)]),
        ("polcy = 1\n[pools.a]\nbackends = [\n 'x',\n[pools.b]\nbackends = ['y']", &[(1, 1), (3, 12)]),
        ("polcy = 1\n[pools.a]\nbackends = [\n x,\n[pools.b]", &[(1, 1), (3, 12), (4, 2)]),
        ("[routes.a]\nset = { a = { b = 1 }\nunknown = { c = ['x'] }\n[pools.q]\nb = ['x']", &[(2, 7)]),
        ("polcy = 1\na = \"\"\"\nunknown = 1\n", &[(1, 1), (2, 5)]),
        ("[routes.a]\npool = 'later'\nmethods = ['GET'\n[pools.later]\nbackends = ['x']", &[(3, 11)]),
    ] {
        assert_eq!(places(text), expected, "{text}: {:?}", told(text, Format::Toml));
    }
}

#[test]
fn what_is_yaml_but_no_settings_hides_nothing_and_nothing_follows_from_it() {
    for (text, expected) in [
        (
            "wrokers: 3\nlog_level: !foo verbose\npools:\n  p:\n    backends: ['[::1]:1', !x '[::1]:2']\n    polcy: x\n",
            &["1:1 unknown key", "2:17 has a tag", "5:30 has a tag", "6:5 unknown key"][..],
        ),
        (
            "wrokers: 1\nroutes: { a: { pool: later } }\n---\npools: 1\n",
            &["1:1 unknown key", "3:1 a second document"],
        ),
        (
            "routes:\n  ? [a, b]\n  : { pool: p }\n  ? { c: d, e: f }\n  : x\n  d: { pol: p }\nwrokers: 3\n",
            &["2:5 a key must be text", "4:5 a key must be text", "6:8 unknown key", "7:1 unknown key"],
        ),
        ("pools:\n  !x a:\n    polcy: 1\n  b: { polcy: 1 }\n", &["2:6 has a tag", "4:8 unknown key"]),
        (
            "pools: { a: { backends: ['[::1]:1'] } }\npools: { b: { backends: ['[::1]:2'] } }\n",
            &["2:1 duplicate key `pools`"],
        ),
        ("pools: !x y\nroutes: { a: { pool: p } }\n", &["1:11 has a tag"]),
    ] {
        let told = told(text, Format::Yaml);
        let same = told.len() == expected.len()
            && told.iter().zip(expected).all(|(told, start)| told.starts_with(start));
        assert!(same, "{text}: {told:?}");
    }
}

#[test]
fn a_comma_too_many_in_json_hides_nothing() {
    let text = "{\"wrokers\": 1, \"pools\": {\"p\": {\"backends\": [\"x\",], \"polcy\": \",}\"}},\n\"routes\": {\"a\": {\"pool\": \"zz\"}},\n}";
    assert_eq!(
        told(text, Format::Json),
        [
            "1:2 unknown key",
            "1:45 not an address",
            "1:48 a comma behind the last element",
            "1:52 unknown key",
            "2:26 no pool has this name",
            "2:32 a comma behind the last element",
        ]
    );
    assert_eq!(told("{\"a\": [1,], \"b\" 2}", Format::Json).len(), 2);
    assert_eq!(told("{\"a\": [,]}", Format::Json).len(), 2);
}

#[test]
fn many_routes_and_many_mistakes_are_no_reason_to_tell_less() {
    let route = |number: usize| {
        format!("[routes.r{number}]\npath = '/{number}'\npool = 'p'\nresponse_timeout = '5s'\n")
    };
    let routes: String = (0..10_000).map(route).collect();
    let text = format!(
        "{routes}[routes.r1]\npth = 1\n[limits]\nrate = 5\n[pools.p]\nbackends = ['127.0.0.1:1']\npolcy = x\n"
    );
    let said = refused(&text, Format::Toml);
    let paths: Vec<_> = said.iter().map(|problem| problem.path.as_deref()).collect();
    assert_eq!(paths, [Some("routes.r1"), Some("routes.r1.pth"), Some("limits.rate"), None]);
    assert!(said[0].message.ends_with("which is at line 5, column 9 already") && said[0].help.is_some());
    for text in [
        "a = 1\n".repeat(300_000),
        "[".repeat(1_000_000),
        format!("a = {}", "[".repeat(1_000_000)),
        "?\n".repeat(1_000_000),
    ] {
        assert!((1..=MOST_FLAWS).contains(&refused(&text, Format::Toml).len()));
    }
}

#[test]
fn of_one_mistake_in_a_text_that_is_good_otherwise_no_other_follows() {
    for at in TOML.char_indices().map(|(at, _)| at) {
        let put = "[]{}\"'=,.#x\n?".chars().map(|put| format!("{}{put}{}", &TOML[..at], &TOML[at..]));
        for text in put.chain([format!("{}{}", &TOML[..at], &TOML[at + 1..])]) {
            let Err(problems) = sources(&[]).read(text.as_bytes(), Format::Toml) else { continue };
            // Some of these texts are TOML, and mean something else.
            let count = problems.all().iter().filter(|problem| problem.path.is_none()).count();
            assert!(count == 0 || (count < 3 && count == problems.all().len()), "{text}: {problems}");
        }
    }
}
