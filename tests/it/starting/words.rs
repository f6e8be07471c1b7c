//! Words of the command line that make no sense.

use crate::support::{Balancer, Settings};

/// What does not make sense on a command line, and the start of what is said of it.
const REFUSED: &[(&str, &str)] = &[
    ("--lisen=1", "unexpected argument '--lisen' found; did you mean --listen? (see --help)"),
    ("frob", "unrecognized subcommand 'frob' (see --help)"),
    ("statsu", "unrecognized subcommand 'statsu'; did you mean status? (see --help)"),
    ("config shwo", "unrecognized subcommand 'shwo'; did you mean show? (see --help)"),
    (
        "--health-interval -5s",
        "invalid value '-5s' for '--health-interval <DURATION>': expected a number and a unit, such as 250ms",
    ),
    (
        "--max-body-size -1",
        "invalid value '-1' for '--max-body-size <SIZE>': expected a whole number that is not negative",
    ),
    ("--rate-limit -1/s", "--rate-limit -1/s: not a rate; write "),
    ("--workers --watch", "invalid value '--watch' for '--workers <N>': expected a whole number in digits"),
    (
        "validate --drain-timeout -5s",
        "invalid value '-5s' for '--drain-timeout <DURATION>': expected a number",
    ),
    (
        "--admin off --admin-token-file x",
        "--admin-token-file: there is no admin API; add --admin with an address",
    ),
    (
        "--admin 7081 --listen 127.0.0.1:7081",
        "--admin 7081: given twice: listener 127.0.0.1:7081 has it, too; ",
    ),
    ("status --policy ring", "--policy says nothing to status; remove it (see --help)"),
    ("--policy ring status", "--policy says nothing to status; remove it (see --help)"),
    ("status --watch", "--watch says nothing to status; remove it (see --help)"),
    ("drain 127.0.0.1:1 --listen=80", "--listen says nothing to drain; remove it (see --help)"),
    ("config schema --listen 80", "--listen says nothing to schema; remove it (see --help)"),
    ("config --listen 80 schema", "--listen says nothing to schema; remove it (see --help)"),
    ("--workers 1 completions bash", "--workers says nothing to completions; remove it (see --help)"),
    ("lb.toml", "unrecognized subcommand 'lb.toml'; did you mean --config lb.toml? (see --help)"),
    ("validate lb.toml", "unexpected argument 'lb.toml' found; did you mean --config lb.toml? (see --help)"),
    (
        "config show lb.yaml",
        "unexpected argument 'lb.yaml' found; did you mean --config lb.yaml? (see --help)",
    ),
    ("config", "config: a command is missing; write convert or schema or show (see --help)"),
    ("--config a --config=b", "--config is given twice; name one file, or a folder of them (see --help)"),
    ("--config a validate --config b", "--config is given twice; name one file, or a folder of them"),
    ("--listen", "a value is required for '--listen <ADDRESS>' but none was supplied (see --help)"),
    (
        "--listen=here",
        "--listen here: not an address; write ADDRESS:PORT, :PORT, PORT or unix:PATH, for example 127.0.0.1:8080",
    ),
    ("--listen=[::1]", "--listen [::1]: has no port; write ADDRESS:PORT, :PORT, PORT or unix:PATH, for"),
    (
        "--listen=lb.example.com:80",
        "--listen lb.example.com:80: a name, and none is looked up here; write ADD",
    ),
    ("--listen=http://[::1]:80/", "--listen http://[::1]:80/: a URL, not an address; write ADDRESS:PORT"),
    ("--listen=127.0.0.1:99999", "--listen 127.0.0.1:99999: not a port; a port is 1 to 65535, or 0 for any"),
    ("--listen=99999", "--listen 99999: not a port; a port is 1 to 65535, or 0 for any that is free"),
    ("--backend=127.0.0.1:99999", "--backend 127.0.0.1:99999: not a port; a port is 1 to 65535"),
    ("--backend=[::1]:99999", "--backend [::1]:99999: not a port; a port is 1 to 65535"),
    ("--backend=https://localhost", "--backend https://localhost: has no port; write https://localhost:443"),
    (
        "--backend=127.0.0.1:1,\t127.0.0.1:2",
        "--backend \\t127.0.0.1:2: holds a blank; remove it; between two is a comma alone",
    ),
    ("--backend=nowhere", "--backend nowhere: not an address; write HOST:PORT, for example 127.0.0.1:3000"),
    ("--backend=127.0.0.1:0", "--backend 127.0.0.1:0: not a port; a port is 1 to 65535"),
    ("--backend=[::1]", "--backend [::1]: not an address; write HOST:PORT, "),
    (
        "--backend=ftp://127.0.0.1:21",
        "--backend ftp://127.0.0.1:21: not a scheme that is spoken; write http://, https://",
    ),
    (
        "--backend=http://127.0.0.1:1/",
        "--backend http://127.0.0.1:1/: has a path, but requests keep their own; write ",
    ),
    ("--backend=127.0.0.1:1,127.0.0.1:1", "--backend 127.0.0.1:1: given twice; remove one of them"),
    (
        "--backend=localhost:1,127.0.0.1:1",
        "--backend 127.0.0.1:1: leads to 127.0.0.1:1, as localhost:1 does; remove one of them",
    ),
    (
        "--backend=127.0.0.1:1,localhost:1",
        "--backend localhost:1: leads to 127.0.0.1:1, as 127.0.0.1:1 does; remove one of them",
    ),
    (
        "--backend=127.0.0.1:1,https://127.0.0.1:1",
        "--backend https://127.0.0.1:1: leads to 127.0.0.1:1, as 127.0.0.1:1 does; remove one of them",
    ),
    (
        "--listen=5000 --backend=localhost:5000",
        "--backend localhost:5000: that is where we listen, so requests would go round in circles; name another",
    ),
    (
        "--backend=127.0.0.1:8080",
        "--backend 127.0.0.1:8080: that is where we listen, so requests would go round in circles; name another",
    ),
    (
        "--listen=5000 --backend=[::ffff:127.0.0.1]:5000",
        "--backend [::ffff:127.0.0.1]:5000: that is where we listen, so requests would go round in circles; name",
    ),
    (
        "--health-interval=30",
        "invalid value '30' for '--health-interval <DURATION>': a unit is missing: write 30ms, 30s, 30m or 30h",
    ),
    (
        "--drain-timeout=soon",
        "invalid value 'soon' for '--drain-timeout <DURATION>': expected a number and a unit, such as 250ms",
    ),
    ("--body-timeout=0s", "invalid value '0s' for '--body-timeout <DURATION>': expected more than zero"),
    ("--workers=0", "--workers 0: too small; use at least 1"),
    ("--workers=x", "invalid value 'x' for '--workers <N>': expected a whole number in digits, such as 100"),
    ("--workers=2000", "--workers 2000: too large; use at most 1024"),
    ("--max-header-size=100", "--max-header-size 100B: too small; use at least 8KiB"),
    ("--max-connections=0", "--max-connections 0: too small; use at least 1"),
    ("--max-connections=-1", "invalid value '-1' for '--max-connections <N>': expected a whole number"),
    ("--max-headers=", "invalid value '' for '--max-headers <N>': expected a whole number in digits"),
    ("--max-header-size=4KiB", "--max-header-size 4KiB: too small; use at least 8KiB"),
    (
        "--max-header-size=9e9",
        "invalid value '9e9' for '--max-header-size <SIZE>': unknown unit `e9`: use B, ",
    ),
    (
        "--max-body-size=1k",
        "invalid value '1k' for '--max-body-size <SIZE>': unknown unit `k`: use B, KiB, MiB",
    ),
    (
        "--min-data-rate=1KiB",
        "invalid value '1KiB' for '--min-data-rate <RATE>': `/s` is missing behind the size: write 1KiB/s",
    ),
    (
        "--min-data-rate=5KB/m",
        "invalid value '5KB/m' for '--min-data-rate <RATE>': `/m` is not known, only `/s`: write how much it is ",
    ),
    (
        "--workers=1,000",
        "invalid value '1,000' for '--workers <N>': expected digits only: write 1000 (see --help)",
    ),
    (
        "--max-connections=1_000",
        "invalid value '1_000' for '--max-connections <N>': expected digits only: write 1000 (see --help)",
    ),
    ("--workers=1.000", "invalid value '1.000' for '--workers <N>': expected a whole number in digits, such"),
    (
        "--max-body-size=99999999999999999999",
        "invalid value '99999999999999999999' for '--max-body-size <SIZE>': expected fewer digits",
    ),
    (
        "--policy=chance",
        "invalid value 'chance' for '--policy <POLICY>'; use first or round_robin or random or least_requests or peak_ewma or maglev or ring (see --help)",
    ),
    ("drain", "<BACKEND> is missing: POOL/ADDRESS, or ADDRESS alone if only one pool has it (see --help)"),
    (
        "weight web/127.0.0.1:80",
        "<N> is missing: From 0 to 10000, or `default` for what the settings say (see",
    ),
    ("completions", "<SHELL> is missing; use bash or elvish or fish or powershell or zsh (see --help)"),
    (
        "completions tcsh",
        "invalid value 'tcsh' for '<SHELL>'; use bash or elvish or fish or powershell or zsh",
    ),
    ("completions BASH", "invalid value 'BASH' for '<SHELL>'; did you mean bash? (see --help)"),
    ("--log-level=INFO", "invalid value 'INFO' for '--log-level <LEVEL>'; did you mean info? (see --help)"),
    ("config convert", "--to <FORMAT> and <IN> are missing (see --help)"),
    (
        "config convert a.toml --to xml",
        "invalid value 'xml' for '--to <FORMAT>'; use toml or yaml or json (see",
    ),
    ("listen :80", "unrecognized subcommand 'listen'; did you mean --listen? (see --help)"),
    ("-listen :80", "unexpected argument '-listen' found; did you mean --listen? (see --help)"),
    (
        "validate -policy=first",
        "unexpected argument '-policy=first' found; did you mean --policy=first? (see",
    ),
    ("version", "unrecognized subcommand 'version'; did you mean --version? (see --help)"),
    ("--watch=yes", "--watch takes no value; write --watch alone (see --help)"),
    ("--watch maybe", "unrecognized subcommand 'maybe' (see --help)"),
    (
        "reload --dry-run --confirm 5s",
        "the argument '--dry-run' cannot be used with '--confirm <DURATION>'; remove one of them (see --help)",
    ),
    (
        "--drain-timeout=1.5s",
        "invalid value '1.5s' for '--drain-timeout <DURATION>': a fraction: use a smaller unit, such as 1500ms for 1.5s",
    ),
    (
        "weight web/127.0.0.1:80 -3",
        "invalid value '-3' for '<N>': write a whole number from 0 to 10000, or `default` (see --help)",
    ),
    (
        "--health-interval=1ms",
        "--health-interval 1ms: too short: backends would do little but answer checks; use at least 10ms",
    ),
    ("--policy=firs", "invalid value 'firs' for '--policy <POLICY>'; did you mean first? (see --help)"),
    (
        "--health-host=app.example/",
        "--health-host app.example/: not a host; write a name or an address, and ",
    ),
    (
        "--health-statuses=200-399,500-404",
        "--health-statuses 500-404: not a status for this; use one or two from 200 to 599, the lower one first, for ",
    ),
    (
        "--health-path=/grpc.health.v1.Health/Check --health-statuses=200",
        "--health-statuses: do nothing, for gRPC's own check goes by what is said in gRPC; remove them, or ",
    ),
    ("--health-path=health", "--health-path health: not a path; begin with /, for example /health"),
    (
        "--health-path=/ü",
        "--health-path /ü: has characters that a request cannot send as they are; write /%C3%BC",
    ),
    ("--daemon", "unexpected argument '--daemon' found (see --help)"),
    ("start", "unrecognized subcommand 'start' (see --help)"),
    ("--lisetn=1", "unexpected argument '--lisetn' found; did you mean --listen? (see --help)"),
    (
        "--backend=2130706433:3000",
        "--backend 2130706433:3000: no address, and no name ends in a number; write all four numbers of an ",
    ),
    ("--backend=http://127.1", "--backend http://127.1: not an address; write HOST:PORT, for example "),
    ("--backend=256.1.1.1:80", "--backend 256.1.1.1:80: no address, and no name ends in a number; "),
    ("--backend=::1:3000", "--backend ::1:3000: an IPv6 address without brackets; write [::1]:3000"),
    (
        "--backend=https://::1:3000",
        "--backend https://::1:3000: an IPv6 address without brackets; write https://[::1]:3000",
    ),
    ("--backend=https://[::1]", "--backend https://[::1]: has no port; write https://[::1]:443"),
    (
        "--backend=0.0.0.0:3000",
        "--backend 0.0.0.0:3000: stands for all addresses, and a backend has one; write 127.0.0.1 for this ",
    ),
    (
        "--backend=münchen.example:80",
        "--backend münchen.example:80: has letters beyond ASCII; write the name in punycode: xn--",
    ),
    ("--backend=/run/app", "--backend /run/app: a path in place of HOST:PORT; write unix:/run/app"),
    ("--backend=./app", "--backend ./app: a path in place of HOST:PORT; write unix:./app"),
    (
        "--backend=http:///run/app",
        "--backend http:///run/app: a path in place of HOST:PORT; write unix:/run/app",
    ),
    (
        "--backend=http://unix:/run/app:/x",
        "--backend http://unix:/run/app:/x: a path in place of HOST:PORT; write unix:/run/app",
    ),
    ("--backend=//a", "--backend //a: not an address; write HOST:PORT, for example 127.0.0.1:3000"),
    ("--listen=::1:8080", "--listen ::1:8080: an IPv6 address without brackets; write [::1]:8080"),
    ("--listen=:::80", "--listen :::80: an IPv6 address without brackets; write [::]:80"),
    ("--admin=::1:81", "--admin ::1:81: an IPv6 address without brackets; write [::1]:81"),
    ("--listen=:1,\t:2", "--listen \\t:2: holds a blank; remove it; between two is a comma alone"),
    (
        "--trusted-proxy=::1,\t::2",
        "--trusted-proxy \\t::2: holds a blank; remove it; between two is a comma alone",
    ),
    ("--health-statuses=200,\t301", "--health-statuses \\t301: holds a blank; remove it; between two is "),
    ("--listen=:1 --listen=:1", "--listen :1: given twice; remove one of them"),
    (
        "--max-body-size=0",
        "--max-body-size 0B: too small: all that has a body would be refused; leave it out for any",
    ),
    (
        "--max-body-size=10\tMB",
        "invalid value '10\\tMB' for '--max-body-size <SIZE>': holds a blank: write 10MB",
    ),
    (
        "--tunnel-idle-timeout=0",
        "invalid value '0' for '--tunnel-idle-timeout <DURATION>': expected more than",
    ),
    // So many open files no system gives.
    (
        "--max-connections=4611686018427387904",
        "--max-connections 4611686018427387904: too large: each takes two ",
    ),
    (
        "--access-log=off",
        "--access-log off: would be a file of that name; leave it out for none, write - for",
    ),
    // What was written is told in the line that it is told in.
    (
        "--health-interval=5s\n",
        "invalid value '5s\\n' for '--health-interval <DURATION>': holds a blank: write 5s",
    ),
    (
        "--workers=2\nx",
        "invalid value '2\\nx' for '--workers <N>': expected digits only: write the number in full, ",
    ),
    (
        "--log-level=info\r",
        "invalid value 'info\\r' for '--log-level <LEVEL>'; did you mean info? (see --help)",
    ),
    ("--workers=\u{1b}[31m3", "invalid value '\\u{1b}[31m3' for '--workers <N>': expected a whole number"),
    ("--a\nb", "unexpected argument '--a\\nb' found (see --help)"),
    ("a\nb", "unrecognized subcommand 'a\\nb' (see --help)"),
    (
        "--log-level=loud",
        "invalid value 'loud' for '--log-level <LEVEL>'; use error or warn or info or debug",
    ),
];

#[test]
fn what_makes_no_sense_is_refused_in_one_line_that_names_it_and_says_what_would() {
    for (words, complaint) in REFUSED {
        let balancer = words.split(' ').fold(Balancer::bare(), Balancer::word);
        let (code, said) = balancer.fail();
        assert_eq!((code, said.lines().count()), (Some(2), 1), "{words}: {said}");
        assert!(said.starts_with(&format!("loadbalancer: {complaint}")), "{words}: {said}");
    }
}

#[test]
fn a_file_with_a_line_end_in_its_name_is_told_in_one_line() {
    let (code, said) = Balancer::bare().flag("--config", "nowhere\n/a\r.toml").fail();
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(
        said.split("; ").next(),
        Some("loadbalancer: nowhere\\n/a\\r.toml: cannot be read: No such file or directory (os error 2)")
    );
}

#[test]
fn a_name_that_is_not_resolved_is_told_with_the_status_of_what_may_do_another_time() {
    // No server of names need be asked for it, however the machine's would answer.
    let name = "of-more-than-63-letters-which-no-part-of-a-name-may-have-so-none-is:80";
    let (code, said) = Balancer::bare().flag("--backend", name).fail();
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(
        said.starts_with(&format!("loadbalancer: --backend {name}: the name cannot be resolved (")),
        "{said}"
    );
    let settings = Settings::that_say(&format!("[pools.all]\nbackends = [\"{name}\"]\n"));
    let (code, said) = Balancer::bare().flag("--config", settings.path()).fail();
    assert!(code == Some(1) && said.contains("the name cannot be resolved ("), "{code:?} {said}");
}
