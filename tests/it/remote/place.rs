//! Which balancer is asked.

use super::{pools, refused, start, told_in_json};
use crate::support::{Backend, Balancer, Sample, Settings};

#[test]
fn the_balancer_whose_settings_are_named_is_asked_and_no_other() {
    let (one, other) = (Sample::start("one"), Sample::start("other"));
    let settings = Settings::that_say(&pools("first", one.address(), other.address()));
    settings.put("token", "0123456789abcdef\n");
    let first = start(&settings);
    let token = settings.put("token", "0123456789abcdef\n");
    let guarded = settings.balancer().flag("--admin", "127.0.0.1:0");
    let second = guarded.flag("--admin-token-file", token.to_str().unwrap()).start();
    // What is wrong elsewhere is no matter here, and files are named from the folder of the settings.
    let address = second.admin().address.to_string();
    let text = format!("wrokers = 2\n[admin]\naddress = \"${{HERE:-{address}}}\"\ntoken_file = \"token\"\n");
    let named = settings.put("adm.toml", &text);
    let named = named.to_str().unwrap();
    let backend = format!("web/{}", one.address());
    let (code, said) = Balancer::bare().word("drain").flag("--config", named).word(&backend).fail();
    assert_eq!((code, said.contains("is draining")), (Some(0), true), "{said}");
    let by_environment = || Balancer::bare().env("LOADBALANCER_CONFIG", named);
    let (code, said) = by_environment().word("disable").word(&backend).fail();
    assert_eq!((code, said.contains("is disabled")), (Some(0), true), "{said}");
    let backend = &told_in_json(&first, &["status"])["overview"]["backends"];
    assert!(backend.get("draining").is_none_or(|count| count == 0), "{backend}");
    assert!(backend.get("disabled").is_none_or(|count| count == 0), "{backend}");
    // A flag wins, and is not told the token of another one.
    let address = first.admin().address.to_string();
    let (code, said) = by_environment().flag("--admin", &address).word("status").fail();
    assert_eq!((code, said.contains("disabled")), (Some(0), false), "{said}");
}

#[test]
fn settings_that_do_not_say_where_to_ask_ask_nobody() {
    let settings = Settings::that_say(&pools("first", Backend::refuses(), Backend::refuses()));
    for (text, code, wanted) in [
        (None, 1, "nowhere.toml: cannot be read: No such file"),
        (Some("[admin]\naddress = \"off\"\n"), 2, "error: off: the admin API is off, so nobody can be asked"),
        (Some("[admin]\naddress = \"here\"\n"), 2, "error: here: not an address"),
        (Some("[admin]\naddress = 5\n"), 2, "lb.toml:2:11"),
        (Some("[admin]\naddress = \"${NOBODY_SAYS_IT}\"\n"), 2, "NOBODY_SAYS_IT"),
        (Some("workers = \n"), 2, "lb.toml:1:"),
    ] {
        let place = match text {
            Some(text) => settings.put("lb.toml", text),
            None => settings.put("lb.toml", "").with_file_name("nowhere.toml"),
        };
        let (ended, said) = Balancer::bare().word("status").flag("--config", place.to_str().unwrap()).fail();
        assert_eq!(ended, Some(code), "{said}");
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let (code, said) = Balancer::bare().word("status").flag("--config", "-").fail();
    assert_eq!(
        (code, said.contains("standard input is read by the balancer itself")),
        (Some(2), true),
        "{said}"
    );
}

#[test]
fn what_is_no_place_to_ask_is_told_with_what_is_wrong_and_how_to_mend_it() {
    let help = "write ADDRESS:PORT, PORT or unix:PATH, for example 127.0.0.1:8081";
    for (value, wanted) in [
        ("99999", "99999: not a port; a port is 1 to 65535"),
        ("[::1]:99999", "[::1]:99999: not a port; a port is 1 to 65535"),
        ("0", "0: not a port; a port is 1 to 65535"),
        ("localhost", &format!("localhost: has no port; {help}")),
        ("127.0.0.1", &format!("127.0.0.1: has no port; {help}")),
        ("[::1]", &format!("[::1]: has no port; {help}")),
        ("host:8081", &format!("host:8081: a name, and none is looked up here; {help}")),
        ("http://host:8081/path", &format!("http://host:8081/path: a URL, not an address; {help}")),
        ("", &format!("'': not an address; {help}")),
        ("unix:", "unix:: not a path for a socket; write unix:PATH with a path of up to 107 bytes"),
    ] {
        let (code, said) = Balancer::bare().word("status").flag("--admin", value).fail();
        assert_eq!((code, said), (Some(2), format!("loadbalancer: --admin {wanted}")));
    }
    let (_, said) = Balancer::bare().word("status").env("LOADBALANCER_ADMIN", "[::1]").fail();
    assert_eq!(said, format!("loadbalancer: LOADBALANCER_ADMIN [::1]: has no port; {help}"));
}

#[test]
fn a_port_alone_asks_this_machine_be_it_of_every_address_or_not() {
    let settings = Settings::that_say(&pools("first", Backend::refuses(), Backend::refuses()));
    let running = start(&settings);
    let port = running.admin().address.port();
    for place in [format!("{port}"), format!(":{port}"), format!("localhost:{port}")] {
        let (code, said) = Balancer::bare().word("status").flag("--admin", &place).fail();
        assert_eq!(code, Some(0), "{place}: {said}");
    }
    drop(running);
    let (code, said) = Balancer::bare().word("status").flag("--admin", &format!(":{port}")).fail();
    let start = format!("loadbalancer: nobody listens on 127.0.0.1:{port}: ");
    assert_eq!((code, said.starts_with(&start)), (Some(1), true), "{said}");
}

#[test]
fn who_names_a_unix_socket_from_a_folder_is_told_its_whole_path() {
    let settings = Settings::that_say("");
    settings.write("listeners.web.address = \"127.0.0.1:0\"\npools.web.backends = [\"unix:app.sock\"]\n");
    let balancer = start(&settings);
    let whole = settings.put("app.sock", "");
    let meant = format!("a socket is named by its whole path; did you mean web/unix:{}?", whole.display());
    for wanted in ["unix:app.sock", "web/unix:app.sock"] {
        let said = refused(&balancer, &["drain", wanted]);
        assert_eq!(said, format!("loadbalancer: there is no backend {wanted}; {meant}"));
    }
    let answer = balancer.admin().ask("GET", "/api/v1/pools/web/backends/unix%3Aapp.sock", "", "");
    let text = answer.expect_status(404).text().to_owned();
    assert!(text.contains("a socket is named by its whole path, as in unix:%2Frun%2Fapp.sock"), "{text}");
}
