//! Whether the access log can be written is known before anything is started, and nothing is written to find out.

use std::fs;

use rustls::version::TLS13;

use crate::support::pki::{Authority, Folder, replace};
use crate::support::tls_backend::{self, TlsBackend};
use crate::support::{Backend, Balancer, Settings, get};

#[test]
fn validate_neither_makes_nor_changes_an_access_log() {
    let folder = Folder::new();
    let file = folder.write("lb.toml", "access_log = 'a.log'\n");
    let validate = || Balancer::configured(&file).word("validate").fail();
    assert_eq!(validate().0, Some(0));
    assert!(!folder.path("a.log").exists());
    folder.write("a.log", "a line\n");
    assert_eq!(validate().0, Some(0));
    assert_eq!(fs::read_to_string(folder.path("a.log")).unwrap(), "a line\n");
    let (code, said) = Balancer::bare().flag("--access-log", "/nowhere/a.log").word("validate").fail();
    let expected = "loadbalancer: --access-log /nowhere/a.log: cannot be opened for writing: ";
    assert!(code == Some(2) && said.starts_with(expected), "{code:?}: {said}");
}

#[test]
fn who_balances_already_is_not_kept_from_a_reload_by_the_access_log() {
    let text = |more: &str| {
        let start = super::START;
        format!(
            "access_log = 'nowhere/a.log'\n{start}[pools.p]\nbackends = ['{}']\n{more}",
            Backend::refuses()
        )
    };
    let settings = Settings::that_say(&text(""));
    let log = settings.put("log", "");
    let balancer = settings.balancer().flag("--access-log", log.to_str().unwrap()).start();
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    settings.change(&balancer, &text("policy = 'random'\n"));
    get(balancer.address, "/").expect_status(503);
}

#[test]
fn an_access_log_that_the_next_start_could_not_open_is_refused_by_a_reload() {
    let text = |log: &str| {
        let start = super::START;
        format!("{log}\n{start}[pools.p]\nbackends = ['{}']\n", Backend::refuses())
    };
    let settings = Settings::that_say(&text(""));
    let balancer = settings.balancer().start();
    settings.write(&text("access_log = 'nowhere/a.log'"));
    balancer.signal("HUP");
    balancer.said("nowhere/a.log: cannot be opened for writing: ");
    settings.write(&text("access_log = 'a.log'"));
    balancer.signal("HUP");
    balancer.said("access_log: the change takes effect at the next start");
}

#[test]
fn what_is_said_while_it_runs_names_keys_where_settings_are_in_a_file() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let [pair, other] = [authority.signs(&["localhost"]), authority.signs(&["localhost"])];
    let backend = TlsBackend::start(tls_backend::settings(&pair, &[&TLS13], Some(&clients)));
    let settings = Settings::that_say(&format!(
        "[listeners.web]\naddress = '127.0.0.1:0'\ntls = true\n[admin]\naddress = 'off'\n\
         [[tls.certificates]]\ncert_file = '{}'\nkey_file = '{}'\n\
         [pools.p]\nbackends = ['{}']\ntls = {{ insecure = true }}\n",
        pair.certificate().display(),
        pair.key().display(),
        backend.url("localhost"),
    ));
    let balancer = settings.balancer().start();
    balancer.said("WARN pools.NAME.tls.insecure: certificates of backends are not verified");
    balancer.said("it wants a certificate of ours; give one with pools.NAME.tls.cert_file");
    replace(&pair.key(), &fs::read(other.key()).unwrap());
    balancer.said("WARN tls.certificates.key_file ");
}
