//! What is done with settings without a balancer: check, show, convert, describe.

use std::fs;

use serde_json::{Value, json};

use super::{examples, folder_of_examples};
use crate::support::pki::Folder;
use crate::support::{Balancer, Sample, Settings, get};

/// A file with two mistakes in it.
const WRONG: &str = "workers = 0\n[pools.app]\nbackends = [\"127.0.0.1:1\"]\npolcy = \"first\"\n";

/// What a tool says of a file in a folder, and its exit status.
pub(super) fn run(file: &std::path::Path, words: &[&str]) -> (Option<i32>, String) {
    words.iter().fold(Balancer::configured(file), |balancer, word| balancer.word(word)).fail()
}

/// What a tool prints that succeeds.
pub(super) fn printed(words: &[&str]) -> String {
    let (code, said) = words.iter().fold(Balancer::bare(), |balancer, word| balancer.word(word)).fail();
    assert_eq!(code, Some(0), "{said}");
    said
}

#[test]
fn all_examples_are_valid() {
    let folder = folder_of_examples();
    assert!(examples().len() >= 5);
    for example in examples() {
        let name = example.file_name().unwrap().to_str().unwrap();
        let (code, said) = run(&folder.path(name), &["validate"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&format!("{name}: all is well: ")), "{said}");
    }
    // What a flag turns off for once may stay in the file.
    let (code, said) = run(&folder.path("everything.toml"), &["validate", "--admin=off"]);
    assert_eq!(code, Some(0), "{said}");
    let (_, said) = run(&folder.path("everything.toml"), &["validate"]);
    assert!(said.contains("file:backends.txt: cannot be read: No such file"), "{said}");
    assert!(
        said.ends_with("everything.toml: all is well: 2 listeners, 4 routes, 3 pools, 4 backends"),
        "{said}"
    );
}

#[test]
fn validate_says_what_is_wrong_with_a_list_of_backends_that_may_be_written_later() {
    let (folder, pool) = (Folder::new(), "[pools.app]\ndiscover = [\"file:list\"]\n");
    let file = folder.write("lb.toml", pool);
    let validated = || {
        let (code, said) = run(&file, &["validate"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("lb.toml: all is well: "), "{said}");
        said
    };
    assert!(validated().contains("list: cannot be read: No such file"));
    for (text, wrong) in
        [("127.0.0.1:1\nx", "list: line 2: x: not an address"), ("# none\n", "tells of no backend")]
    {
        folder.write("list", text);
        let said = validated();
        assert!(said.contains(wrong) && said.contains("no backend is known of it"), "{said}");
    }
    folder.write("list", "127.0.0.1:1\n");
    assert!(!validated().contains("file:"));
}

#[test]
fn validate_tells_by_its_exit_status_what_is_wrong_and_draws_it() {
    let folder = Folder::new();
    let (code, said) = run(&folder.path("nowhere.toml"), &["validate"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("loadbalancer: nowhere.toml: cannot be read: No such file"), "{said}");
    let (code, said) = run(&folder.write("lb.toml", WRONG), &["validate"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.starts_with("error: 0: too small\n --> lb.toml:1:11\n"), "{said}");
    assert!(said.contains("\nerror: polcy: unknown key\n --> lb.toml:4:1\n"), "{said}");
    let (code, said) = Balancer::bare().word("validate").flag("--backend", "127.0.0.1:1").fail();
    assert_eq!(code, Some(0), "{said}");
    let (code, said) =
        Balancer::bare().word("validate").word("--listen=:5000").word("--backend=[::1]:5000").fail();
    assert_eq!(code, Some(0), "who listens by IPv4 alone is another one by IPv6: {said}");
    let (code, said) = Balancer::bare().word("validate").flag("--backend", "x").fail();
    assert!(said.contains("--backend x: not an address"), "{said}");
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
}

#[test]
fn validate_looks_into_certificates_and_keys_and_names_the_keys_that_name_them() {
    let folder = folder_of_examples();
    fs::remove_file(folder.path("shop.key")).unwrap();
    let (code, said) = run(&folder.path("tls.toml"), &["validate"]);
    assert_eq!(code, Some(2), "{said}");
    let start = "error: shop.key: cannot be read: No such file or directory (os error 2)\n  --> ";
    assert!(said.starts_with(&format!("{start}tls.toml:")), "{said}");
    assert!(said.contains(" ^^^^^^^^^^ tls.certificates[1].key_file\n"), "{said}");
    let text = fs::read_to_string(folder.path("tls.toml")).unwrap();
    let text = text.replace(":8443", "127.0.0.1:0").replace(":8080", "127.0.0.1:0");
    let (code, said) = run(&folder.write("lb.toml", text), &[]);
    assert_eq!((code, said.starts_with(&format!("{start}lb.toml:"))), (Some(2), true), "{said}");
}

/// All kinds of mistakes in two files of a folder.
#[test]
fn validate_tells_all_that_is_wrong_in_several_files_at_once() {
    let folder = Folder::new();
    fs::create_dir(folder.path("conf.d")).unwrap();
    folder.write(
        "loadbalancer.toml",
        "workers = 2\nworkers = 3\nlog_levle = 'info'\n[timeouts]\nheader = '5'\n\
         [listeners.web]\naddress = '127.0.0.1:0'\ntls = true\n\
         [tls]\ncertificates = [{ cert_file = 'a.pem', key_file = 'a.key' }]\n\
         [routes.one]\npath = '/a'\npool = 'al'\n",
    );
    folder.write(
        "conf.d/b.toml",
        "[routes.other]\npath = '/a'\npool = 'all'\nretry.attemps = 1\n[routes.third]\npath = 'x'\npool = all\n\
         [pools.all]\nbackends = ['https://localhost:1', 'x']\ntls = { ca_file = 'ca.pem' }\n",
    );
    let (code, said) = run(&folder.path(""), &["validate", "--json"]);
    let verdict = serde_json::from_str::<Value>(&said).unwrap();
    let told = verdict["problems"].as_array().unwrap().iter().map(|problem| {
        let file = problem["file"].as_str().unwrap().rsplit('/').next().unwrap();
        let path = problem["path"].as_str().unwrap_or_default();
        format!(
            "{file}:{}:{} {path} {}",
            problem["line"],
            problem["column"],
            problem["message"].as_str().unwrap()
        )
    });
    let told: Vec<_> = told.collect();
    let expected = [
        "loadbalancer.toml:2:1 workers duplicate key `workers`, which is at ",
        "loadbalancer.toml:3:1 log_levle unknown key",
        "loadbalancer.toml:5:10 timeouts.header a unit is missing",
        "loadbalancer.toml:10:31 tls.certificates[0].cert_file cannot be read: No such file",
        "loadbalancer.toml:10:51 tls.certificates[0].key_file cannot be read: No such file",
        "loadbalancer.toml:13:8 routes.one.pool no pool has this name",
        "b.toml:1:9 routes.other routes one and other: hold for exactly the same requests",
        "b.toml:4:7 routes.other.retry.attemps unknown key",
        "b.toml:6:8 routes.third.path a path begins with /",
        "b.toml:7:8  string values must be quoted",
        "b.toml:9:36 pools.all.backends[1] not an address",
        "b.toml:10:19 pools.all.tls.ca_file cannot be read: No such file",
    ];
    assert_eq!((code, told.len()), (Some(2), expected.len()), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}, not {expected}");
    }
}

#[test]
fn validate_tells_of_every_file_for_tls_and_of_routes_at_once() {
    let text = r#"
        [listeners.web]
        address = "127.0.0.1:0"
        tls = true
        [tls]
        certificates = [{ cert_file = "a.pem", key_file = "a.key" }, { cert_file = "b.pem", key_file = "b.key" }]
        [pools.all]
        backends = ["https://localhost:1"]
        tls = { ca_file = "ca.pem" }
        [routes.one]
        path = "/a"
        pool = "all"
        [routes.other]
        path = "/a"
        pool = "all"
    "#;
    let (code, said) = run(&Folder::new().write("lb.toml", text), &["validate"]);
    assert_eq!(code, Some(2), "{said}");
    for part in [
        "routes one and other",
        "error: a.pem: cannot be read",
        "error: a.key: cannot be read",
        "error: b.pem: cannot be read",
        "error: b.key: cannot be read",
        "error: ca.pem: cannot be read",
    ] {
        assert_eq!(said.matches(part).count(), 1, "{part}: {said}");
    }
}

#[test]
fn validate_says_the_same_as_json() {
    let folder = Folder::new();
    let (code, said) = run(&folder.write("lb.toml", WRONG), &["validate", "--json"]);
    let expected = json!({
        "valid": false, "files": [], "problems": [
            {"file": "lb.toml", "line": 1, "column": 11, "path": "workers", "value": "0", "message": "too small",
                "help": "use at least 1"},
            {"file": "lb.toml", "line": 4, "column": 1, "path": "pools.app.polcy", "value": "polcy",
                "message": "unknown key", "help": "did you mean policy?"},
        ],
    });
    assert_eq!((code, serde_json::from_str::<Value>(&said).unwrap()), (Some(2), expected));
    let (code, said) = run(&folder.path("lb.toml"), &["--workers=two", "validate", "--json"]);
    let expected = json!({
        "valid": false, "files": [], "problems": [{"flag": "--workers", "value": "two",
            "message": "invalid value 'two' for '--workers <N>': expected a whole number in digits, such as 100"}],
    });
    assert_eq!((code, serde_json::from_str::<Value>(&said).unwrap()), (Some(2), expected));
    let (code, said) = run(&folder.write("lb.toml", "# the defaults\n"), &["validate", "--json"]);
    let expected = json!({"valid": true, "files": ["lb.toml"], "problems": []});
    assert_eq!((code, serde_json::from_str::<Value>(&said).unwrap()), (Some(0), expected));
}

#[test]
fn that_more_is_wrong_than_is_told_is_told() {
    let text = |count: usize| (0..count).map(|number| format!("key{number} = 1\n")).collect::<String>();
    let folder = Folder::new();
    for (count, is_more) in [(50, false), (60, true)] {
        let file = folder.write("lb.toml", text(count));
        let (_, said) = Balancer::configured(&file).word("validate").fail();
        assert_eq!(said.matches("error: ").count(), 50, "{said}");
        let more = "loadbalancer: more is wrong, and is told when this is mended";
        assert_eq!(said.ends_with(more), is_more, "{said}");
        let (_, said) = Balancer::configured(&file).word("validate").word("--json").fail();
        assert_eq!(said.contains("\"more\": true"), is_more, "{said}");
    }
}

#[test]
fn how_to_mend_settings_is_said_in_the_format_that_they_are_in() {
    let folder = Folder::new();
    for (name, text, help) in [
        (
            "lb.yaml",
            "pools: {app: {backends: ['[::1]:1'], sticky: on}}",
            "write pools.app.sticky and its keys",
        ),
        (
            "lb.yaml",
            "listeners: {a: {address: '1', tls: true}}",
            "add tls with certificates: [{ cert_file: \"s",
        ),
        ("lb.yaml", "pools: {b: {}}", "add backends: [\"HOST:PORT\"], or discover"),
        ("lb.json", "{\"pools\": {\"b\": {}}}", "add \"backends\": [\"HOST:PORT\"], or discover"),
    ] {
        let (code, said) = Balancer::configured(&folder.write(name, text)).word("validate").fail();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(&format!("= help: {help}")), "{help}: {said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_or_written_is_told_with_what_to_do() {
    let folder = folder_of_examples();
    let (nowhere, file) = (folder.path("nowhere/x.toml"), folder.path("minimal.toml"));
    let (nowhere, file) = (nowhere.to_str().unwrap(), file.to_str().unwrap());
    let token = format!("--admin-token-file={nowhere}");
    let (read, write) = ("name a file that we may read", "name a file that we may write to");
    for (words, what, help) in [
        (&["config", "convert", nowhere, "--to=json"][..], "cannot be read", read),
        (&["config", "convert", file, nowhere], "cannot be written", write),
        (&["plan", nowhere], "cannot be read", read),
        (&["status", &token], "the token of the admin API cannot be read", read),
    ] {
        let (code, said) = words.iter().fold(Balancer::bare(), |asked, word| asked.word(word)).fail();
        let error = "No such file or directory (os error 2)";
        assert_eq!((code, said), (Some(1), format!("loadbalancer: {nowhere}: {what}: {error}; {help}")));
    }
}

#[test]
fn the_help_of_a_command_shows_the_flags_that_say_something_to_it() {
    let help = printed(&["--help"]);
    for group in ["Listening and TLS:", "Backends:", "Timeouts:", "Limits:"] {
        assert!(help.lines().any(|line| line == group), "{group}: {help}");
    }
    for (words, its, foreign) in [
        (&["status", "--help"][..], "127.0.0.1:8081", "--policy"),
        (&["plan", "--help"], "--exit-code", "--tls-listen"),
        (&["config", "schema", "--help"], "--help", "--config"),
        (&["validate", "--help"], "--policy", "--exit-code"),
        (&["demo", "--help"], "--policy", "--config "),
        (&["demo", "--help"], "--listen", "--backend "),
        (&["demo", "--help"], "--listen", "--health-interval "),
    ] {
        let help = printed(words);
        assert!(help.contains(its) && !help.contains(foreign), "{words:?}: {help}");
    }
}

#[test]
fn the_program_describes_itself() {
    let schema: Value = serde_json::from_str(&printed(&["config", "schema"])).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["$defs"]["Pool"]["additionalProperties"], false);
    for shell in ["bash", "zsh", "fish"] {
        assert!(printed(&["completions", shell]).contains("health-path"), "{shell}");
    }
}

#[test]
fn the_schema_takes_what_a_file_may_say_in_place_of_a_number_or_a_word() {
    let schema: Value = serde_json::from_str(&printed(&["config", "schema"])).unwrap();
    assert!(!schema.to_string().contains("\"null\""), "what is there says something: {schema}");
    let workers = &schema["properties"]["workers"]["anyOf"];
    assert_eq!((&workers[0]["minimum"], &workers[1]["pattern"]), (&0.into(), &r"\$\{".into()), "{workers}");
    let policy = &schema["$defs"]["Pool"]["properties"]["policy"]["anyOf"][0]["enum"];
    assert!(policy.as_array().unwrap().contains(&"p2c".into()), "{policy}");
    let file = Settings::that_say(
        "[pools.a]\npolicy = \"p2c\"\nchoices = \"${LB_CHOICES:-3}\"\nbackends = [\"127.0.0.1:1\"]\n",
    );
    let validated = |value: &str| {
        Balancer::bare().flag("--config", file.path()).env("LB_CHOICES", value).word("validate").fail()
    };
    for value in ["", "7", "all"] {
        assert_eq!(validated(value).0, Some(0), "{value}");
    }
    for (value, wanted) in [("few", "expected a number or \"all\""), ("0", "use at least 1")] {
        let (code, said) = validated(value);
        assert!(code == Some(2) && said.contains(wanted), "{value}: {said}");
    }
}

#[test]
fn the_sample_system_has_settings_of_its_own() {
    let folder = Folder::new();
    let settings = folder.write("lb.toml", "");
    let with = |flag: &str, value: &str| Balancer::bare().flag(flag, value).word("demo").fail();
    for (flag, value) in [
        ("--config", settings.to_str().unwrap()),
        ("--backend", "127.0.0.1:1"),
        ("--health-path", "/"),
        ("--health-interval", "1s"),
        ("--notice-timeout", "1s"),
    ] {
        let expected =
            format!("loadbalancer: demo: has backends and a pool of its own; run it without {flag}");
        assert_eq!(with(flag, value), (Some(2), expected));
    }
    let (code, said) = Balancer::bare().word("--watch").word("demo").fail();
    assert!(code == Some(2) && said.ends_with("run it without --watch"), "{said}");
}

#[test]
fn the_environment_has_its_way_with_the_watch_over_files_as_well() {
    let watches = |says: &str| {
        let file = Folder::new();
        let text = "watch = true\n[pools.app]\nbackends = [\"127.0.0.1:1\"]\n";
        let shows = Balancer::configured(&file.write("lb.toml", text)).env("LOADBALANCER_WATCH", says);
        let (code, said) = shows.word("config").word("show").fail();
        assert_eq!(code, Some(0), "{said}");
        said.contains("watch = true")
    };
    assert_eq!((watches("true"), watches("false")), (true, false));
}

#[test]
fn to_watch_what_cannot_change_is_refused() {
    let expected = "loadbalancer: --watch: there is no file to watch; add --config FILE, or remove --watch";
    assert_eq!(Balancer::bare().word("--watch").fail(), (Some(2), expected.to_owned()));
    let by_environment = Balancer::bare().env("LOADBALANCER_WATCH", "1").word("validate").fail();
    assert_eq!(by_environment, (Some(2), expected.replace("--watch", "LOADBALANCER_WATCH")));
    let expected = "loadbalancer: --watch: standard input is read once; add --config FILE, or remove --watch";
    let (code, said) = Balancer::bare().flag("--config", "-").word("--watch").fail();
    assert_eq!((code, said.as_str()), (Some(2), expected));
    let file = Folder::new();
    let file = file.write("lb.toml", "workers = 1\nwatch = true\n");
    let (code, said) = Balancer::bare().flag("--config", "-").reading(&file).fail();
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.starts_with("error: true: standard input is read once\n --> standard input:2:9\n"),
        "{said}"
    );
    assert!(said.ends_with("= help: name a file with --config FILE, or remove this"), "{said}");
}

#[test]
fn what_flags_say_is_no_variable_when_it_is_shown() {
    let folder = Folder::new();
    let words = ["config", "show", "--format=json", "--health-path=/a${HOME}$${b}"];
    let shown = printed(&words);
    let path = "/a$${HOME}$$${b}";
    assert!(shown.contains(&format!("\"path\": \"{path}\"")), "{shown}");
    let (code, again) = run(&folder.write("shown.json", &shown), &["config", "show", "--format=json"]);
    assert_eq!((code, again), (Some(0), shown));
}

#[test]
fn what_is_shown_of_flags_alone_means_the_same_in_a_file() {
    let (folder, sample) = (Folder::new(), Sample::start("one"));
    let backend = format!("--backend={}", sample.address());
    for (admin, told) in [("off", 0), ("127.0.0.1:0", 1)] {
        let words = [&backend, "--listen=127.0.0.1:0", "--workers=1", &format!("--admin={admin}")];
        for words in [&words[..3 + told], &words] {
            let shown = printed(&[&["config", "show"], words].concat());
            let balancer = Balancer::configured(&folder.write("lb.toml", shown)).start();
            get(balancer.address, "/").expect_status(200);
            balancer.signal("TERM");
            assert!(balancer.ended().success());
            assert_eq!(balancer.times_said("admin API on "), told, "{words:?}");
        }
    }
}

#[test]
fn what_nobody_wrote_is_shown_only_if_it_is_asked_for() {
    let show = |words: &[&str]| {
        let shown = printed(&[&["config", "show", "--format=json"], words].concat());
        serde_json::from_str::<Value>(&shown).unwrap()
    };
    let pool = |more: Value| {
        let mut pool = json!({"backends": ["127.0.0.1:3000", "127.0.0.1:3001"]});
        pool.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        // With a file there is an admin API unless it says otherwise.
        json!({"admin": {"address": "off"}, "pools": {"default": pool}})
    };
    assert_eq!(show(&[]), pool(json!({})));
    assert_eq!(show(&["--policy=first"]), pool(json!({"policy": "first"})));
    assert_eq!(show(&["--health-interval=30s"]), pool(json!({"health": {"interval": "30s"}})));
    let all = show(&["--effective"]);
    assert_eq!(all["pools"]["default"]["health"]["interval"], "30s");
    assert_eq!(all.get("tls"), None);
}

#[test]
fn a_network_on_both_lists_is_the_one_that_is_told_whatever_stands_before_it() {
    let folder = Folder::new();
    let lists = "[access]\nallow = [\"10.0.0.0/8\"]\ndeny = [\"bad\", \"10.0.0.0/8\"]\n";
    let (_, said) = run(&folder.write("lb.toml", lists), &["validate"]);
    assert!(said.contains("error: 10.0.0.0/8: allow has the same network\n --> lb.toml:3:16\n"), "{said}");
    let (_, said) = run(&folder.write("lb.toml", "[access]\nallow = []\n"), &["validate", "--allow=::1"]);
    assert!(!said.contains("an empty list"), "{said}");
}
