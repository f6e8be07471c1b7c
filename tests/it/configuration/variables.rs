//! What is shown of settings names variables of the environment in place of what they hold.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use crate::support::admin::body;
use crate::support::pki::Folder;
use crate::support::{Balancer, Settings, get};

/// Variables for numbers, words, sizes and times, some of which mean what they would not be written as.
const TEXT: &str = r#"
    workers = "${LB_N:-2}"
    watch = "${LB_WATCH:-false}"
    [listeners.web]
    address = "${LB_WEB:-127.0.0.1:0}"
    tls = "${LB_TLS:-false}"
    [admin]
    address = "127.0.0.1:0"
    [limits]
    body_size = "${LB_SIZE:-1024KiB}"
    headers = "${LB_N:-2}0"
    [pools.app]
    policy = "${LB_POLICY:-p2c}"
    backends = [{ address = "${LB_BACKEND:-127.0.0.1:1}" }, { address = "127.0.0.1:2", weight = "${LB_N:-2}" }]
    health.interval = "${LB_TIME:-60s}"
    tls.insecure = "${LB_TLS:-false}"
"#;

/// The header line of a body of settings.
const TOML: &str = "Content-Type: application/toml\r\n";

/// A secret in each place that is shown, and a route that goes on.
const SECRETS: &str = r#"
    [listeners.web]
    address = "127.0.0.1:0"
    [admin]
    address = "127.0.0.1:0"
    [pools.app]
    backends = ["127.0.0.1:1"]
    health.path = "/health?key=${LB_TOKEN}"
    [routes.secret]
    hosts = ["a.test", "${LB_HOST}"]
    path = "/${LB_TOKEN}/*"
    headers = { X-Key = "${LB_TOKEN}", X-Other = true }
    query = { q = "~ ^${LB_TOKEN}$" }
    cookies = { c = "${LB_TOKEN}" }
    pool = "app"
    [routes.else]
    path = "/else"
"#;

#[test]
fn a_variable_that_is_no_text_is_neither_unset_nor_its_default() {
    let folder = Folder::new();
    for text in ["${LB_X}", "${LB_X:-other}", "${LB_X:?why}", "a${LB_X}"] {
        let file = folder.write("lb.toml", format!("admin.address = \"{text}\"\n"));
        for word in ["validate", "status"] {
            let balancer = Balancer::configured(&file).env_of_bytes("LB_X", OsStr::from_bytes(b"\xff"));
            let (code, said) = balancer.word(word).fail();
            assert_eq!(code, Some(2), "{said}");
            let told = format!("error: {text}: the environment's LB_X is not UTF-8\n --> lb.toml:1:17\n");
            assert!(said.starts_with(&told) && said.ends_with("= help: set LB_X to text in UTF-8"), "{said}");
        }
    }
}

#[test]
fn a_flag_that_names_a_file_by_what_is_no_text_is_refused() {
    let bytes = OsStr::from_bytes(b"\xff.log");
    let why = "the file's name is not UTF-8; name one whose is";
    for flag in [
        "--access-log",
        "--admin-token-file",
        "--tls-cert",
        "--tls-key",
        "--tls-client-ca",
        "--backend-ca",
        "--backend-cert",
        "--backend-key",
    ] {
        let mut word = OsString::from(format!("{flag}="));
        word.push(bytes);
        let told = Balancer::bare().word("validate").word_of_bytes(&word).fail();
        assert_eq!(told, (Some(2), format!("loadbalancer: {flag}: {why}")));
    }
    let told = Balancer::bare().env_of_bytes("LOADBALANCER_ACCESS_LOG", bytes).word("validate").fail();
    assert_eq!(told, (Some(2), format!("loadbalancer: LOADBALANCER_ACCESS_LOG: {why}")));
}

#[test]
fn a_variable_is_shown_by_its_name_whatever_it_stands_for() {
    let folder = Folder::new();
    let file = folder.write("lb.toml", TEXT);
    let shown = |words: &[&str]| {
        let balancer = Balancer::configured(&file).word("config").word("show").word("--format=json");
        let (code, said) = words.iter().fold(balancer, |balancer, word| balancer.word(word)).fail();
        assert_eq!(code, Some(0), "{said}");
        serde_json::from_str::<Value>(&said).unwrap()
    };
    let backends = |tier: Value| match tier {
        Value::Null => {
            json!(["${LB_BACKEND:-127.0.0.1:1}", {"address": "127.0.0.1:2", "weight": "${LB_N:-2}"}])
        }
        tier => json!([
            {"address": "${LB_BACKEND:-127.0.0.1:1}", "weight": 1, "tier": tier},
            {"address": "127.0.0.1:2", "weight": "${LB_N:-2}", "tier": tier},
        ]),
    };
    for (words, tier) in [(&[][..], Value::Null), (&["--effective"], json!(0))] {
        let shown = shown(words);
        for (place, written) in [
            ("/workers", "${LB_N:-2}"),
            ("/watch", "${LB_WATCH:-false}"),
            ("/listeners/web/address", "${LB_WEB:-127.0.0.1:0}"),
            ("/listeners/web/tls", "${LB_TLS:-false}"),
            ("/limits/body_size", "${LB_SIZE:-1024KiB}"),
            ("/limits/headers", "${LB_N:-2}0"),
            ("/pools/app/policy", "${LB_POLICY:-p2c}"),
            ("/pools/app/health/interval", "${LB_TIME:-60s}"),
            ("/pools/app/tls/insecure", "${LB_TLS:-false}"),
        ] {
            assert_eq!(shown.pointer(place), Some(&json!(written)), "{place}: {shown}");
        }
        assert_eq!(shown["pools"]["app"]["backends"], backends(tier), "{shown}");
    }
    // A flag has said something else.
    let shown = shown(&["--workers=3", "--max-body-size=5", "--max-headers=20", "--watch"]);
    assert_eq!((&shown["workers"], &shown["limits"]["body_size"]), (&json!(3), &json!("5B")));
    assert_eq!((&shown["limits"]["headers"], &shown["watch"]), (&json!("${LB_N:-2}0"), &json!(true)));
}

#[test]
fn the_admin_api_shows_variables_by_their_names_too() {
    let settings = Settings::that_say(TEXT);
    let shown = settings.balancer().env("LB_SIZE", "3072KiB").start().admin().get("/api/v1/config");
    assert_eq!(shown["limits"]["body_size"], json!("${LB_SIZE:-1024KiB}"), "{shown}");
    assert_eq!(shown["pools"]["app"]["policy"], json!("${LB_POLICY:-p2c}"), "{shown}");
    assert_eq!(shown["workers"], json!(1), "{shown}");
}

#[test]
fn what_is_shown_means_the_same_and_names_variables_in_place_of_what_they_hold() {
    let folder = Folder::new();
    let text = "[routes.all]\npool = \"app\"\nrequest_headers.set.authorization = \"${LB_TOKEN}\"\n\
                [routes.away]\npath = \"/away\"\nredirect = \"/\"\n\
                [pools.app]\nbackends = [\"127.0.0.1:${LB_PORT}\"]\n";
    let file = folder.write("lb.toml", text);
    for (words, effective) in [(&["config", "show"][..], false), (&["config", "show", "--effective"], true)] {
        let shown = |format: &str| {
            let balancer = Balancer::configured(&file).env("LB_TOKEN", "hush-hush").env("LB_PORT", "3000");
            let balancer = words.iter().fold(balancer, |balancer, word| balancer.word(word));
            let (code, said) = balancer.word("--format").word(format).word("--workers=3").fail();
            assert_eq!(code, Some(0), "{said}");
            assert!(said.contains("${LB_TOKEN}") && said.contains("127.0.0.1:${LB_PORT}"), "{said}");
            assert!(!said.contains("hush"), "{said}");
            said
        };
        let json: Value = serde_json::from_str(&shown("json")).unwrap();
        assert_eq!(json["workers"], 3);
        assert_eq!(json["timeouts"]["header"], if effective { json!("10s") } else { Value::Null });
        let again = folder.write("again.toml", shown("toml"));
        let balancer = Balancer::configured(&again).env("LB_TOKEN", "x").env("LB_PORT", "3000");
        let (code, said) = balancer.word("validate").fail();
        assert_eq!(
            (code, said.as_str()),
            (Some(0), "again.toml: all is well: 1 listener, 2 routes, 1 pool, 1 backend")
        );
        let again = folder.write("again.yaml", shown("yaml"));
        let balancer = Balancer::configured(&again).env("LB_TOKEN", "x").env("LB_PORT", "3000");
        assert_eq!(balancer.word("validate").fail().0, Some(0));
    }
}

#[test]
fn no_answer_of_the_admin_api_tells_what_a_variable_holds() {
    let settings = Settings::that_say(&format!("{SECRETS}redirect = \"https://x/${{LB_TOKEN}}\"\n"));
    let balancer = settings.balancer().env("LB_TOKEN", "hush").env("LB_HOST", "hush.test").start();
    let admin = balancer.admin();
    get(balancer.address, "/else");
    let routes = admin.get("/api/v1/routes");
    let known = json!([
        "header x-key is ${LB_TOKEN}",
        "header x-other is there",
        "query q matches ^${LB_TOKEN}$",
        "cookie c is ${LB_TOKEN}"
    ]);
    let route = &routes["routes"][0];
    assert_eq!(route["conditions"], known, "{routes}");
    assert_eq!(
        (&route["hosts"], &route["paths"]),
        (&json!(["a.test", "${LB_HOST}"]), &json!(["/${LB_TOKEN}/*"]))
    );
    assert_eq!(routes["routes"][1]["action"]["to"], "https://x/${LB_TOKEN}", "{routes}");
    let backends = admin.get("/api/v1/backends");
    assert_eq!(backends["backends"][0]["check"]["path"], "/health?key=${LB_TOKEN}", "{backends}");
    let rewritten =
        format!("{SECRETS}pool = \"app\"\nrewrite = \"/${{LB_TOKEN}}\"\nset_host = \"${{LB_HOST}}\"\n");
    let plan = body(&admin.ask("POST", "/api/v1/plan", TOML, &rewritten).expect_status(200));
    let example = &plan["requests"]["examples"][0];
    assert_eq!(example["from"], "redirect 308 to https://x/${LB_TOKEN} (route else)", "{plan}");
    assert_eq!(example["to"], "pool app as /${LB_TOKEN} for ${LB_HOST} (route else)", "{plan}");
    for told in [routes, backends, plan, admin.get("/api/v1/config"), admin.get("/api/v1/pools")] {
        assert!(!told.to_string().contains("hush"), "{told}");
    }
}

#[test]
fn what_is_moved_into_a_variable_is_shown_by_its_name_from_then_on() {
    let with = |secret: &str| format!("{SECRETS}pool = \"app\"\nrequest_headers.set.x-key = \"{secret}\"\n");
    let settings = Settings::that_say(&with("hush"));
    let balancer = settings.balancer().env("LB_TOKEN", "hush").env("LB_HOST", "hush.test").start();
    let admin = balancer.admin();
    assert!(admin.get("/api/v1/config").to_string().contains("hush"));
    settings.write(&with("${LB_TOKEN}"));
    let applied = body(&admin.post("/api/v1/reload", "{}").expect_status(200));
    assert_eq!(applied["result"], "unchanged");
    let plan = body(&admin.ask("POST", "/api/v1/plan", TOML, &with("${LB_TOKEN}")).expect_status(200));
    assert_eq!(plan["changes"], false, "{plan}");
    let shown = admin.get("/api/v1/config");
    assert!(!shown.to_string().contains("hush"), "{shown}");
}

#[test]
fn no_message_about_settings_tells_what_a_variable_holds() {
    for (value, text, told) in [
        ("hush-hush", "[pools.app]\nbackends = [\"${LB_X}\"]", "${LB_X}: not an address"),
        ("hush", "[pools.app]\nbackends = [\"https://${LB_X}\"]", "https://${LB_X}: has no port"),
        ("127.0.0.1:1/hush", "[pools.app]\nbackends = [\"${LB_X}\"]", "${LB_X}: has a path"),
        ("hush", "workers = \"${LB_X}\"", "${LB_X}: expected a whole number, found text"),
        ("3hush", "[timeouts]\nheader = \"${LB_X}\"", "${LB_X}: unknown unit"),
        ("hush", "[routes.a]\npath = \"/a\"\npool = \"${LB_X}\"", "${LB_X}: no pool has this name"),
        ("{hush}", "[routes.a]\npath = \"/a\"\nredirect = \"/${LB_X}\"", "/${LB_X}: stands for nothing here"),
        (
            "(hush",
            "[routes.a]\npath = \"~ /${LB_X}\"\npool = \"app\"",
            "~ /${LB_X}: not a regular expression",
        ),
        ("10.1.1.1/8", "[access]\nallow = [\"${LB_X}\"]", "${LB_X}: the address is more than a network"),
        (
            "~ hush",
            "[routes.a]\npaths = [\"/a\", \"${LB_X}\"]\npool = \"app\"",
            "the path ${LB_X}, for no path ",
        ),
    ] {
        let folder = Folder::new();
        let pool = if text.contains("[pools") { "" } else { "\n[pools.app]\nbackends = [\"127.0.0.1:1\"]" };
        let file = folder.write("lb.toml", format!("{text}{pool}\n"));
        let (code, said) = Balancer::configured(&file).env("LB_X", value).word("validate").fail();
        assert_eq!(code, Some(2), "{text}: {said}");
        assert!(said.contains(told), "{told}: {said}");
        assert!(!said.contains("hush") && !said.contains("10.1.1.1"), "{said}");
    }
}

#[test]
fn what_a_variable_holds_is_to_be_looked_at_whatever_is_wrong_with_it() {
    let folder = Folder::new();
    let text = "workers = \"${LB_N}\"\n[listeners.web]\naddress = \"${LB_WEB}\"\n[pools.app]\npolicy = \"${LB_POLICY}\"\n\
                backends = [\"${LB_BACKEND}\"]\n";
    let balancer = Balancer::configured(&folder.write("lb.toml", text)).word("validate");
    let balancer = balancer.env("LB_N", "x").env("LB_WEB", "99999").env("LB_POLICY", "frist");
    let (code, said) = balancer.env("LB_BACKEND", "localhost").fail();
    let told = (said.matches("error: ").count(), said.matches("= help: see what the variable holds").count());
    assert_eq!((code, told), (Some(2), (4, 4)), "{said}");
}

#[test]
fn a_default_that_makes_no_sense_is_told_to_be_one() {
    let folder = Folder::new();
    let file = folder.write("lb.toml", "[pools.app]\nbackends = [\"${LB_LIST:-a:1,b:2}\"]\n");
    let (look, default) =
        ("see what the variable holds", "it is the default behind `:-`: mend it, or set the");
    for (value, told, other) in [("", default, look), ("x", look, default)] {
        let (code, said) = Balancer::configured(&file).env("LB_LIST", value).word("validate").fail();
        assert_eq!((code, said.contains(told), said.contains(other)), (Some(2), true, false), "{said}");
    }
}

#[test]
fn dollars_that_stand_for_themselves_are_no_variable_whose_value_is_to_be_looked_at() {
    for (text, shown, is_variable) in [
        ("backends = [\"$${x}:1\"]", "$${x}:1: not an address", false),
        ("policy = \"$${x}\"", "$${x}: not one of first,", false),
        ("backends = [\"$${x}${LB_PORT}\"]", "$${x}${LB_PORT}: not an address", true),
    ] {
        let folder = Folder::new();
        let file = folder.write("lb.toml", format!("[pools.app]\n{text}\n"));
        let (code, said) = Balancer::configured(&file).env("LB_PORT", ":1").word("validate").fail();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(shown), "{shown}: {said}");
        assert_eq!(said.contains("see what the variable holds"), is_variable, "{said}");
    }
}
