//! Settings in several files of a folder.

use std::fs;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::START;
use super::tools::printed;
use crate::backend_unix::listen;
use crate::support::admin::body;
use crate::support::pki::Folder;
use crate::support::{Balancer, Sample, get};

#[test]
fn a_folder_has_a_first_file_and_more_in_another_folder() {
    let (folder, sample) = (Folder::new(), Sample::start("one"));
    folder.write("loadbalancer.toml", START);
    folder.write("other.toml", "this is not read");
    fs::create_dir(folder.path("conf.d")).unwrap();
    let pool = format!("[pools.app]\nbackends = [\"{}\"]\n", sample.address());
    folder.write("conf.d/10-app.toml", pool);
    folder.write("conf.d/20-routes.toml", "[routes.all]\npool = \"app\"\n[timeouts]\nheader = \"1s\"\n");
    folder.write("conf.d/20-routes.toml~", "nor is this");
    folder.write("conf.d/.hidden.toml", "nor is this");
    let balancer = Balancer::configured(&folder.path("")).start();
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn a_folder_without_a_first_file_is_read_in_the_order_of_names() {
    let (folder, sample) = (Folder::new(), Sample::start("one"));
    folder.write("a.toml", START);
    folder.write("b.toml", format!("[pools.app]\nbackends = [\"{}\"]\n", sample.address()));
    let balancer = Balancer::configured(&folder.path("")).start();
    get(balancer.address, "/").expect_status(200);
}

#[test]
fn a_name_or_a_key_that_two_files_have_is_refused_and_both_are_named() {
    let folder = Folder::new();
    folder.write("a.toml", "[pools.app]\nbackends = [\"127.0.0.1:1\"]\n[timeouts]\nheader = \"1s\"\n");
    folder.write("b.toml", "[timeouts]\nheader = \"2s\"\n[pools.app]\nbackends = [\"127.0.0.1:2\"]\n");
    let (code, said) = Balancer::bare().flag("--config", folder.path("").to_str().unwrap()).fail();
    assert_eq!(code, Some(2), "{said}");
    let said = said.replace(folder.path("").to_str().unwrap(), "");
    let expected = "error: header is given in another file, too: a.toml:4:1
 --> b.toml:2:1
  |
2 | header = \"2s\"
  | ^^^^^^ timeouts.header
  |
  = help: remove one of them

error: app is given in another file, too: a.toml:1:8
 --> b.toml:3:8
  |
3 | [pools.app]
  |        ^^^ pools.app
  |
  = help: remove one of them";
    assert_eq!(said, expected);
}

#[test]
fn a_table_that_two_files_have_is_looked_into_in_both() {
    let folder = Folder::new();
    folder.write("a.toml", "[pools.app]\nbackends = [\"127.0.0.1:1\"]\n[routes.a]\npool = \"none\"\n");
    folder.write(
        "b.toml",
        "[pools.app]\nbackends = [\"x\"]\npolcy = 1\n[routes.a]\npth = \"/\"\npriority = \"x\"\n",
    );
    let (code, said) = Balancer::bare().flag("--config", folder.path("").to_str().unwrap()).fail();
    assert_eq!(code, Some(2), "{said}");
    let said = said.replace(folder.path("").to_str().unwrap(), "");
    let places: Vec<_> = said.lines().filter_map(|line| line.trim_start().strip_prefix("--> ")).collect();
    assert_eq!(places, ["b.toml:1:8", "b.toml:3:1", "b.toml:4:9", "b.toml:5:1", "b.toml:6:12"], "{said}");
}

#[test]
fn files_that_settings_name_are_looked_for_beside_the_file_that_names_them() {
    let folder = Folder::new();
    folder.write("loadbalancer.toml", START);
    fs::create_dir(folder.path("conf.d")).unwrap();
    folder.write(
        "conf.d/app.toml",
        "[pools.app]\nbackends = [\"127.0.0.1:1\"]\nsticky = { cookie = \"lb\", secret_file = \"key\" }\n",
    );
    folder.write("key", "not this one");
    folder.write("conf.d/key", "0123456789abcdef");
    Balancer::bare().flag("--config", folder.path("").to_str().unwrap()).start();
}

#[test]
fn a_file_that_a_flag_names_is_looked_for_where_the_flag_is_written() {
    let folder = Folder::new();
    let settings = folder.write("lb.toml", format!("{START}[pools.app]\nbackends = [\"127.0.0.1:1\"]\n"));
    let token = folder.write("token", "0123456789abcdef0123456789abcdef");
    let here = std::env::current_dir().unwrap();
    let up = "../".repeat(here.components().count() - 1);
    let token = format!("{up}{}", token.to_str().unwrap().trim_start_matches('/'));
    let words = ["--config", settings.to_str().unwrap(), "--admin-token-file", &token, "--admin=127.0.0.1:0"];
    let said = printed(&[&["validate"], &words[..]].concat());
    assert!(said.contains("all is well"), "{said}");
    let shown = printed(&[&["config", "show", "--format=json"], &words[..]].concat());
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["admin"]["token_file"], format!("{}/{token}", here.display()));
}

#[test]
fn a_socket_that_a_file_names_is_beside_the_file_for_who_listens_who_sends_and_who_asks() {
    let folder = Folder::new();
    fs::create_dir(folder.path("more")).unwrap();
    let settings = folder.write(
        "lb.toml",
        "workers = 1\n[listeners]\nweb.address = \"127.0.0.1:0\"\nnear.address = \"unix:near\"\n\
         [admin]\naddress = \"unix:admin\"\n\
         [pools.app]\nbackends = [\"unix:app\"]\ndiscover = [\"file:more/list\"]\n",
    );
    folder.write("more/list", "unix:app\n");
    let _heads = ["app", "more/app"].map(|socket| listen(&folder.path(socket)));
    let settings = settings.to_str().unwrap();
    let balancer = Balancer::bare().flag("--config", settings).start();
    for socket in ["app", "more/app"] {
        balancer.said(&format!("unix:{} is healthy", folder.path(socket).display()));
    }
    UnixStream::connect(folder.path("near")).expect("one listens");
    let (code, said) = Balancer::bare().word("status").flag("--config", settings).fail();
    assert_eq!(code, Some(0), "{said}");
    let shown = printed(&["config", "show", "--config", settings]);
    assert_eq!(shown.matches("\"unix:near\"").count(), 1, "{shown}");
}

#[test]
fn a_socket_has_one_address_wherever_the_balancer_is_started_and_whichever_file_names_it() {
    let folder = Folder::new();
    let list = folder.write("list", "unix:near\nunix:./app\n");
    let settings = folder.write(
        "lb.toml",
        format!(
            "workers = 1\n[listeners]\nweb.address = \"127.0.0.1:0\"\nnear.address = \"unix:near\"\n\
             [admin]\naddress = \"127.0.0.1:0\"\n\
             [pools.app]\nbackends = [\"unix:app\"]\ndiscover = [\"file:{}\"]\n",
            list.display()
        ),
    );
    let _heads = listen(&folder.path("app"));
    let balancer = Balancer::configured(&settings).start();
    balancer.said(&format!("unix:{} is where we listen", folder.path("near").display()));
    let pool = balancer.admin().get("/api/v1/pools/app");
    let backends = pool["backends"].as_array().expect("a list");
    let addresses: Vec<_> = backends.iter().map(|backend| &backend["address"]).collect();
    assert_eq!(addresses, [&json!(format!("unix:{}", folder.path("app").display()))]);
}

#[test]
fn a_socket_in_a_folder_with_a_long_path_is_had_by_who_is_started_there() {
    let folder = Folder::new();
    let deep = format!("{0}/{0}", "x".repeat(60));
    fs::create_dir_all(folder.path(&deep)).unwrap();
    let text = "[listeners]\nweb.address = \"127.0.0.1:0\"\nnear.address = \"unix:near\"\n\
                [admin]\naddress = \"off\"\n[pools.app]\nbackends = [\"127.0.0.1:1\"]\n";
    let settings = folder.write(&format!("{deep}/lb.toml"), text);
    let _balancer = Balancer::configured(&settings).flag("--workers", "1").start();
    assert!(folder.path(&format!("{deep}/near")).exists());
}

#[test]
fn a_socket_whose_path_gets_too_long_with_its_folder_is_refused() {
    let folder = Folder::new();
    let name = "x".repeat(107);
    for text in
        [format!("[listeners.a]\naddress = \"unix:{name}\""), format!("admin.address = \"unix:{name}\"")]
    {
        let settings = folder.write("lb.toml", text);
        let (code, said) =
            Balancer::bare().flag("--config", settings.to_str().unwrap()).word("validate").fail();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("up to 107 bytes, counted with its folder"), "{said}");
    }
}

/// As the manual says: `config show --config DIR | loadbalancer plan -`.
#[test]
fn settings_of_a_folder_that_are_shown_mean_the_same_when_they_are_planned() {
    let folder = Folder::new();
    folder.write("loadbalancer.toml", format!("access_log = \"log\"\n{START}"));
    fs::create_dir(folder.path("conf.d")).unwrap();
    folder.write(
        "conf.d/app.toml",
        "[listeners.near]\naddress = \"unix:${NO_FOLDER:-near}\"\n\
         [pools.app]\nbackends = [\"unix:app\", { address = \"unix:two\", tier = 1 }]\ndiscover = [\"file:list\"]\n\
         sticky = { cookie = \"lb\", secret_file = \"${NO_FOLDER:-key}\" }\n\
         [routes.app]\npool = \"app\"\nerror_pages.503.file = \"down.html\"\n",
    );
    folder.write("conf.d/down.html", "down");
    folder.write("conf.d/list", "127.0.0.1:2\n");
    folder.write("conf.d/key", "0123456789abcdef");
    let place = folder.path("");
    let place = place.to_str().unwrap();
    let shown = printed(&["config", "show", "--format=json", "--config", place]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let pool = &shown["pools"]["app"];
    assert_eq!((&shown["access_log"], &pool["discover"]), (&json!("log"), &json!(["file:conf.d/list"])));
    assert_eq!(pool["sticky"]["secret_file"], json!("conf.d/${NO_FOLDER:-key}"));
    assert_eq!(shown["listeners"]["near"]["address"], json!("unix:conf.d/${NO_FOLDER:-near}"));
    assert_eq!(
        (&pool["backends"][0], &pool["backends"][1]["address"]),
        (&json!("unix:conf.d/app"), &json!("unix:conf.d/two"))
    );
    assert_eq!(shown["routes"]["app"]["error_pages"]["503"]["file"], json!("conf.d/down.html"));
    let balancer = Balancer::bare().flag("--config", place).flag("--admin", "127.0.0.1:0").start();
    let admin = balancer.admin();
    let effective = body(&admin.ask("GET", "/api/v1/config", "", ""));
    admin.post("/api/v1/plan", &effective.to_string()).expect_status(200);
    let shown = folder.write("shown", printed(&["config", "show", "--config", place]));
    let asked = Balancer::bare().flag("--admin", &admin.address.to_string()).word("plan").word("-");
    assert_eq!(asked.reading(&shown).fail(), (Some(0), "nothing would change".to_owned()));
}

#[test]
fn a_folder_without_settings_is_refused() {
    let folder = Folder::new();
    folder.write("lb.conf", START);
    let (code, said) = Balancer::bare().flag("--config", folder.path("").to_str().unwrap()).fail();
    let expected = format!(
        "loadbalancer: {}: cannot be read: the folder has neither loadbalancer.toml nor other .toml files; name a file or a folder that we may read",
        folder.path("").display()
    );
    assert_eq!((code, said), (Some(1), expected));
}
