//! Each kind of setting that makes no sense is refused with its place, and all of them at once.

use crate::support::Balancer;
use crate::support::pki::Folder;

/// A file, where the first thing that is wrong with it stands, what is said of that, and how to mend it.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("log_levle = 'info'", "1:1", "log_levle: unknown key", "did you mean log_level?"),
    ("[server]\nx = 1", "1:2", "server: unknown key", "known here: workers, log_level, "),
    ("[pools.a]\nbackend = 1", "2:1", "backend: unknown key", "did you mean backends?"),
    ("[limits]\nxyzzy = 1", "2:1", "xyzzy: unknown key", "known here: header_size, headers, body_size, "),
    ("workers = 'many'", "1:11", "many: expected a whole number, found text", ""),
    ("workers = '2'", "1:11", "2: expected a whole number, found text", "write it without quotes"),
    ("watch = 'true'", "1:9", "true: expected true or false, found text", "write it without quotes"),
    (
        "[pools.a]\nbackends = '[::1]:1'",
        "2:12",
        "[::1]:1: expected a list, found text",
        "write it in brackets",
    ),
    (
        "[listeners]\naddress = '1'",
        "2:11",
        "1: expected a table, found text",
        "write [listeners.NAME] and its",
    ),
    (
        "[[pools]]\npolicy = 'first'",
        "1:1",
        "expected a table, found a list",
        "write [pools.NAME] and its keys",
    ),
    ("[timeouts]\nheader = '5 s'", "2:10", "5 s: a blank stands before the unit: write 5s", ""),
    ("[limits]\nbody_size = '1 kb'", "2:13", "1 kb: unknown unit `kb`: use B, KiB", ""),
    ("workers = 0", "1:11", "0: too small", "use at least 1"),
    ("workers = -1", "1:11", "-1: too small", "write a whole number that is not negative"),
    (
        "log_level = 'infos'",
        "1:13",
        "infos: not one of error, warn, info, debug, trace",
        "did you mean \"info\"?",
    ),
    ("access_log = 1", "1:14", "1: expected text in quotes, found a number", ""),
    ("timeouts = 1", "1:12", "1: expected a table, found a number", "write [timeouts] and its keys below it"),
    ("[timeouts]\nheader = 10", "2:10", "10: a unit is missing: write 10ms, 10s, 10m or 10h", ""),
    ("[timeouts]\nheader = 1979-05-27", "2:10", "expected text or a number, found a date", ""),
    ("[limits]\nheader_size = '1KiB'", "2:15", "1KiB: too small", "use at least 8KiB"),
    ("[limits]\nbody_size = '1k'", "2:13", "1k: unknown unit `k`: use B, KiB, MiB or GiB (1024), ", ""),
    ("[limits]\nmin_data_rate = '1KiB'", "2:17", "1KiB: `/s` is missing behind the size: write 1KiB/s", ""),
    ("[limits]\nbody_size = -1", "2:13", "-1: expected a whole number that is not negative", ""),
    ("[limits]\nrate = '100'", "2:8", "100: a unit is missing: write 100/s or 100/m", ""),
    ("[limits]\nrate_burst = 1", "2:14", "1: there is no rate that it belongs to", "add rate, for example"),
    ("[access]\nallow = ['10/8']", "2:10", "10/8: not a network", "write ADDRESS or ADDRESS/BITS"),
    ("[access]\nallow = ['::1']\ndeny = ['::1']", "3:9", "::1: allow has the same network", "remove one"),
    ("[admin]\naddress = ':8081'", "2:11", ":8081: others can reach this address", "add token_file, or"),
    ("[admin]\ntoken_file = 'nowhere'", "2:14", "nowhere: cannot be read: No such file", "name a file"),
    (
        "[admin]\naddress = 'off'\ntoken_file = 'x'",
        "3:14",
        "there is no admin API",
        "remove it, or set address",
    ),
    (
        "[listeners.web]\naddress = '7081'\n[admin]\naddress = 'localhost:7081'",
        "4:11",
        "localhost:7081: given twice: listener web has it, too",
        "choose another one, or \"off\"",
    ),
    (
        "[listeners.web]\naddress = '8081'",
        "2:11",
        "8081: given twice: it is the admin API's, which is there unless it is told otherwise",
        "choose another one, or set admin.address, for example to \"off\"",
    ),
    ("access_log = ''", "1:14", "names no file", "name a file, or \"-\" for standard output"),
    (
        "access_log = 'nowhere/a.log'",
        "1:14",
        "nowhere/a.log: cannot be opened for writing: No such file",
        "name a file in a folder that exists and is ours",
    ),
    ("access_log = '.'", "1:14", ".: cannot be opened for writing: ", "name a file in a folder"),
    (
        "access_log = 'lb.toml.key/a.log'",
        "1:14",
        "lb.toml.key/a.log: cannot be opened for writing: ",
        "name a",
    ),
    ("[listeners.web]", "1:12", "has no address", "add address, for example address = \":8080\""),
    ("[listeners.web]\naddress = 'here'", "2:11", "here: not an address", "write ADDRESS:PORT, :PORT, "),
    ("[listeners]\na.address = '1'\nb.address = '1'", "3:13", "1: given twice", "remove one of them, for"),
    ("[listeners.a]\naddress = '1'\ntls = true", "3:7", "there is no certificate for TLS", "add [tls] with"),
    ("[routes.a]\npool = 'default'\nclients = ['x']", "3:12", "x: not a network", "write ADDRESS"),
    ("[tls]\nclient_ca_file = 'ca'", "2:18", "no listener speaks TLS", "set tls = true in a listener, or"),
    ("[pools.'']\nbackends = ['[::1]:1']", "1:8", ": cannot be a name", "use a text without control"),
    ("[routes.\"a\\n\"]\npool = 'default'", "1:9", "a\\n: cannot be a name", "use a text without control"),
    (
        "pools.a.backends = ['[::1]:1']\npools.'b; c'.backends = ['[::1]:1']\n\
         [routes.a]\npools = { a = 1, 'b; c' = 1 }\nsplit_cookie = 'x'",
        "4:18",
        "b; c: cannot be in a cookie, where split_cookie puts it",
        "name the pool with letters",
    ),
    ("[routes.a]\npools = { default = 10001 }", "2:21", "10001: too large", "use at most 10000"),
    ("[routes.a]\npools = { default = 4294967296 }", "2:21", "4294967296: too large", "use at most 10000"),
    ("[pools.a]", "1:8", "has no backends", "add backends = [\"HOST:PORT\"], or discover"),
    (
        "[pools.a]\nbackends = ['x']",
        "2:13",
        "x: not an address",
        "write HOST:PORT, for example 127.0.0.1:3000",
    ),
    ("[pools.a]\nbackends = [1]", "2:13", "1: expected an address in quotes, or a table with one, found", ""),
    ("[pools.a]\nbackends = [{}]", "2:13", "has no address", "add address, for example address = "),
    (
        "[pools.a]\nbackends = ['127.0.0.1:8080']",
        "2:13",
        "127.0.0.1:8080: that is where we listen, so",
        "name another address",
    ),
    ("[pools.a]\ndiscover = ['dns:x']", "2:13", "dns:x: not a source of backends", "write dns:NAME:PORT, "),
    (
        "[pools.a]\nbackends = ['[::1]:1']\npolicy = 'round_robin'\nhash_key = 'path'",
        "4:12",
        "does nothing with the policy round_robin",
        "remove it, or set policy = \"maglev\" or policy = \"ring\"",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1']\nhash_bound = 200",
        "3:14",
        "does nothing with the policy first",
        "r",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1']\npolicy = 'ring'\nchoices = 3",
        "4:11",
        "does nothing with the policy ring",
        "remove it, or set policy = \"least_requests\"",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1']\npolicy = 'p2c'\ndecay = '1s'",
        "4:9",
        "does nothing with the policy least_requests",
        "remove it, or set policy = \"peak_ewma\"",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1']\nslow_start = '1s'",
        "3:14",
        "does nothing with the policy first",
        "remove it, or set another one",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1', { address = '[::1]:2', tier = 1 }]\noverflow = 50",
        "3:12",
        "does nothing with the policy first",
        "remove it, or set another one",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1', { address = '[::1]:2', weight = 3 }]",
        "2:56",
        "does nothing with the policy first, which is the usual one",
        "remove it, or set a policy, such as policy = \"round_robin\"",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1']\npolicy = 'random'\noverflow = 50",
        "4:12",
        "does nothing, for all backends are of one tier",
        "remove it, or give backups a tier",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1']\nzone = 'b'",
        "3:8",
        "does nothing, for no backend is in a zone",
        "remove it, or say where backends are",
    ),
    (
        "dns_servers = ['127.0.0.53']",
        "1:15",
        "does nothing, for no pool asks for names",
        "remove it, or add discover",
    ),
    (
        "[routes.a]\npool = 'default'\nretry = { attempts = 1, statuses = [503] }",
        "3:36",
        "do nothing, for attempts = 1 allows no second one",
        "remove them, or set attempts = 2",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1']\npolicy = 'ring'\nhash_key = 'x'",
        "4:12",
        "x: not part of a request",
        "write client",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1']\npolicy = 'ring'\nhash_bound = 9",
        "4:14",
        "9: too small",
        "use at least 101",
    ),
    ("[pools.a]\nbackends = ['[::1]:1']\nchoices = 'x'", "3:11", "x: expected a number or \"all\"", ""),
    (
        "[pools.a]\nbackends = ['[::1]:1']\npolicy = 'chance'",
        "3:10",
        "chance: not one of first, round_robin",
        "write one of them",
    ),
    ("[pools.a]\nbackends = ['[::1]:1']\nhealth.path = 'x'", "3:15", "x: must start with / and hold no ", ""),
    ("[pools.a]\nbackends = ['[::1]:1']\ntls.name = 'x'", "3:12", "no backend speaks TLS", "write https"),
    ("[pools.a]\nbackends = ['[::1]:1']\nsticky.cookie = 'a'", "3:1", "secret_file is missing", "add"),
    (
        "[pools.a]\nbackends = ['[::1]:1']\nsticky = { cookie = 'lb', secret_file = 'lb.toml.key' }",
        "3:41",
        "lb.toml.key: the secret in it is too short",
        "make one of 16 bytes or more",
    ),
    (
        "pools.a.backends = ['[::1]:1']\npools.b.backends = ['[::1]:1']",
        "1:1",
        "there are several pools, and no route says which gets what",
        "add [routes.NAME] with pool",
    ),
    ("[routes.a]", "1:9", "nothing is done with its requests", "add pool, pools, redirect or answer"),
    ("[routes.a]\npool = 'defualt'", "2:8", "defualt: no pool has this name", "did you mean \"default\"?"),
    ("[routes.a]\npool = 'x'", "2:8", "x: no pool has this name", "add [pools.x], or name one of default"),
    ("[routes.a]\npool = 'default'\nredirect = '/'", "3:12", "pool is given as well", "keep one of them"),
    (
        "[routes.a]\npools = { default = 0 }",
        "2:1",
        "all weights are 0, so no pool gets a request",
        "give one",
    ),
    (
        "[routes]\na.pool = 'default'\nb.pool = 'default'",
        "3:1",
        "routes a and b: hold for exactly the same requests",
        "remove one of them, or change what it is for",
    ),
    (
        "[routes.a]\npool = 'default'\npriority = 1\n[routes.b]\npool = 'default'\npath = '/b'",
        "4:9",
        "route b: never reached, for all its requests go to a before",
        "remove it, make it more specific, or raise its priority",
    ),
    ("[routes.a]\npool = 'default'\nhost = 'a:1'", "3:8", "a:1: not a host", "write a name without a port"),
    ("[routes.a]\npool = 'default'\nhost = 'a'\nhosts = ['b']", "4:9", "host is given as well", "remove one"),
    ("[routes.a]\npool = 'default'\npath = 'x'", "3:8", "x: a path begins with /", "write /login, /v1/*, "),
    ("[routes.a]\npool = 'default'\npath = '/*/x'", "3:8", "/*/x: a * stands only at the end", "write /lo"),
    ("[routes.a]\npool = 'default'\npath = '/{a}/{a}'", "3:8", "/{a}/{a}: two parts have the same name", ""),
    (
        "[routes.a]\npool = 'default'\npath = '~ ('",
        "3:8",
        "~ (: not a regular expression: unclosed group",
        "",
    ),
    ("[routes.a]\npool = 'default'\nmethods = ['get']", "3:12", "get: not a method", "did you mean GET?"),
    ("[routes.a]\npool = 'default'\nheaders = { 'a b' = true }", "3:13", "a b: not a name of a header", ""),
    (
        "[routes.a]\npool = 'default'\nquery = { a = 1 }",
        "3:15",
        "1: expected text in quotes, true or false",
        "",
    ),
    ("[routes.a]\npool = 'default'\nrewrite = '/{x}'", "3:11", "/{x}: {x} stands for nothing here", "use {h"),
    ("[routes.a]\npool = 'default'\nsplit_cookie = 'a'", "3:16", "does nothing without pools", "add pools"),
    (
        "[routes.a]\npool = 'default'\nrequest_headers.set.connection = 'x'",
        "3:21",
        "connection: says how a message is sent, which",
        "remove it",
    ),
    (
        "[routes.a]\npool = 'default'\nanswer_headers.remove = ['content-length']",
        "3:26",
        "content-length: says how a message is sent",
        "remove it",
    ),
    (
        "[routes.a]\npool = 'default'\nanswer_headers.remove = ['x', 'Date']",
        "3:31",
        "Date: comes back, for every answer says when it was made",
        "remove it; another date can be set",
    ),
    ("[routes.a]\npool = 'default'\nmirror.pool = 'default'", "3:15", "default: its requests go to this", ""),
    ("[routes.a]\npool = 'default'\nretry.statuses = [200]", "3:19", "200: not a status for this", "use 400"),
    ("[routes.a]\npool = 'default'\nerror_pages.200.body = ''", "3:13", "200: not a status for this", "use"),
    (
        "[routes.a]\npool = 'default'\nerror_pages.404.file = 'nowhere.html'",
        "3:24",
        "nowhere.html: cannot be read: No such file",
        "name a file that we may read",
    ),
    (
        "[routes.a]\npool = 'default'\nerror_pages.500 = {}",
        "3:13",
        "has neither a file nor a body",
        "add file or body",
    ),
    ("[routes.a]\nredirect = 'x'", "2:12", "x: nothing that a client could ask for", "write https://HOST/PA"),
    ("[routes.a]\nredirect = '/'\nredirect_status = 200", "3:19", "200: not a status for this", "use 301, "),
    ("[routes.a]\nredirect = '/'\nretry.attempts = 2", "3:1", "does nothing without pool", "add pool"),
    (
        "[routes.a]\nanswer = { status = 204, body = 'x' }",
        "2:33",
        "an answer with this status has no body",
        "",
    ),
    (
        "access_log = '${NOT_SET_ANYWHERE}'",
        "1:14",
        "${NOT_SET_ANYWHERE}: the environment has no NOT_S",
        "set",
    ),
    (
        "access_log = '${NO_NO:?name a file}'",
        "1:14",
        "${NO_NO:?name a file}: the environment has no NO_NO: name",
        "",
    ),
    (
        "[access]\nallow = []",
        "2:9",
        "an empty list, which would let everybody in",
        "leave the key out for any",
    ),
    ("[routes.a]\npool = 'default'\nclients = []", "3:11", "an empty list", "leave the key out for any"),
    ("[routes.a]\npool = 'default'\nhosts = []", "3:9", "an empty list", "leave the key out for any"),
    ("[routes.a]\npool = 'default'\nmethods = []", "3:11", "an empty list", "leave the key out for any"),
    ("[routes.a]\npool = 'default'\npaths = []", "3:9", "an empty list", "leave the key out for any"),
    ("[routes.a]\npool = 'default'\nhost = '*'", "3:8", "*: not a host", "leave it out for any"),
    (
        "[routes.a]\npools = { default = 1, zz = 0 }",
        "2:24",
        "zz: no pool has this name",
        "add [pools.zz], or name one of default",
    ),
    (
        "[pools.a]\nbackends = [{ address = '[::1]:1', weight = 0 }, { address = '[::1]:2', weight = 0 }]",
        "2:12",
        "all weights are 0, so no backend gets a request",
        "give one a weight, for example weight = 1",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1']\npolicy = 'p2c'\nchoices = 5000000000",
        "4:11",
        "5000000000: too large",
        "use at most 100",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1']\npolicy = 'p2c'\nchoices = -1",
        "4:11",
        "-1: too small",
        "use at least 1, or \"all\"",
    ),
    (
        "[routes.a]\nredirect = '/'\nredirect_status = 70000",
        "3:19",
        "70000: not a status for this",
        "use 301, ",
    ),
    ("[routes.a]\nanswer.status = 70000", "2:17", "70000: not a status for this", "use 200 to 599"),
    (
        "[routes.a]\npool = 'default'\nretry.statuses = [70000]",
        "3:19",
        "70000: not a status for this",
        "use 400 to 599",
    ),
    (
        "[routes.a]\npool = 'default'\nretry.attempts = 5000000000",
        "3:18",
        "5000000000: too large",
        "use at most 10",
    ),
    (
        "pools.b.backends = ['[::1]:1']\n[routes.a]\npool = 'default'\nmirror = { pool = 'b', percent = 300 }\n\
         [pools.default]\nbackends = ['[::1]:2']",
        "4:34",
        "300: too large",
        "use at most 100",
    ),
    (
        "[pools.a]\npolicy = 'random'\nbackends = [{ address = '[::1]:1', weight = 4294967296 }]",
        "3:45",
        "4294967296: too large",
        "use at most 10000",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1']\npolicy = 'ring'\nhash_bound = 4294967296",
        "4:14",
        "4294967296: too large",
        "use at most 10000",
    ),
    (
        "[pools.a]\nbackends = ['[::1]:1']\npolicy = 'p3c'",
        "3:10",
        "p3c: not one of first, round_robin",
        "did you mean \"least_requests\"?",
    ),
    ("access_log = '${A'", "1:14", "${A: `${` without its `}`", "write ${NAME}, or $${ for ${ itself"),
];

#[test]
fn each_setting_that_makes_no_sense_is_refused_with_its_line_and_column() {
    for (text, place, message, help) in REFUSED {
        let folder = Folder::new();
        folder.write("lb.toml.key", "short");
        let (code, said) = Balancer::configured(&folder.write("lb.toml", text)).fail();
        assert_eq!(code, Some(2), "{text}\n{said}");
        let start = format!("error: {message}");
        assert!(said.starts_with(&start), "{text}\n{said}");
        assert!(said.contains(&format!("--> lb.toml:{place}\n")), "{text}\n{said}");
        assert!(help.is_empty() || said.contains(&format!("= help: {help}")), "{text}\n{said}");
        // Where TLS is not spoken its files are looked into, too.
        let others = said.replace("error: ca: cannot be read", "");
        assert_eq!(others.matches("error: ").count(), 1, "{text}\n{said}");
    }
}

#[test]
fn what_is_wrong_beside_the_tags_of_a_route_and_of_a_pool_does_not_hide_that_they_do_not_meet() {
    let text = "[routes.a]\npool = 'p'\nretry.attempts = 0\nrwrite = 'x'\ntags = { v = '1' }\n\
                [pools.p]\nbackends = ['[::1]:1']\npolcy = 'ring'\nhealth = { path = 'x', intervall = '1s' }\n";
    let (code, said) = Balancer::configured(&Folder::new().write("lb.toml", text)).fail();
    assert_eq!((code, said.matches("error: ").count()), (Some(2), 6), "{said}");
    assert!(said.contains("error: route a: no backend of pool p has v = 1"), "{said}");
}

#[test]
fn all_that_is_wrong_is_drawn_at_once() {
    let text = r#"workers = 0
[listeners.web]
adress = ":80"
[pools.api]
backends = ["127.0.0.1:1", { address = "localhost", weight = "3" }, "127.0.0.1:1"]
[routes.api]
path = "/v1/*"
pool = "apis"
"#;
    let expected = r#"error: 0: too small
 --> lb.toml:1:11
  |
1 | workers = 0
  |           ^ workers
  |
  = help: use at least 1

error: adress: unknown key
 --> lb.toml:3:1
  |
3 | adress = ":80"
  | ^^^^^^ listeners.web.adress
  |
  = help: did you mean address?

error: localhost: not an address
 --> lb.toml:5:40
  |
5 | backends = ["127.0.0.1:1", { address = "localhost", weight = "3" }, "127.0.0.1:1"]
  |                                        ^^^^^^^^^^^ pools.api.backends[1].address
  |
  = help: write HOST:PORT, for example 127.0.0.1:3000

error: 3: expected a whole number, found text
 --> lb.toml:5:62
  |
5 | backends = ["127.0.0.1:1", { address = "localhost", weight = "3" }, "127.0.0.1:1"]
  |                                                              ^^^ pools.api.backends[1].weight
  |
  = help: write it without quotes

error: 127.0.0.1:1: given twice
 --> lb.toml:5:69
  |
5 | backends = ["127.0.0.1:1", { address = "localhost", weight = "3" }, "127.0.0.1:1"]
  |                                                                     ^^^^^^^^^^^^^ pools.api.backends[2]
  |
  = help: remove one of them

error: apis: no pool has this name
 --> lb.toml:8:8
  |
8 | pool = "apis"
  |        ^^^^^^ routes.api.pool
  |
  = help: did you mean "api"?"#;
    let folder = Folder::new();
    let (code, said) = Balancer::configured(&folder.write("lb.toml", text)).fail();
    assert_eq!((code, said.as_str()), (Some(2), expected));
}

#[test]
fn yaml_is_refused_at_its_places_as_well() {
    let text = "pools:\n  api:\n    backends:\n      - 127.0.0.1:1\n      - adress: 127.0.0.1:2\n";
    let folder = Folder::new();
    let (code, said) = Balancer::configured(&folder.write("lb.yaml", text)).fail();
    let expected = "error: adress: unknown key
 --> lb.yaml:5:9
  |
5 |       - adress: 127.0.0.1:2
  |         ^^^^^^ pools.api.backends[1].adress
  |
  = help: did you mean address?";
    assert_eq!((code, said.as_str()), (Some(2), expected));
}
