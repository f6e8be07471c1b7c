//! Files for TLS to backends: what is of no use is named, and what was replaced is read anew.

use std::fs;

use rustls::version::TLS13;

use crate::support::pki::{Authority, Folder, OF_ANOTHER_KIND, OF_VERSION_1, replace};
use crate::support::tls_backend::{TlsBackend, settings, with_certificate};
use crate::support::{Balancer, Settings, get, until};

/// A pool of this backend, which is spoken to with what stands in these files.
fn pool(backend: &TlsBackend, tls: &str) -> String {
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n\
         [pools.all]\nbackends = [\"{}\"]\n{tls}health = {{ interval = \"1h\" }}\n",
        backend.url("localhost"),
    )
}

#[test]
fn files_that_were_replaced_are_read_anew_and_what_is_of_no_use_is_told_once() {
    let (before, after) = (Authority::new(), Authority::new());
    let backend = TlsBackend::start(with_certificate(&after.signs(&["localhost"])));
    let folder = Folder::new();
    let file = folder.write("ca.pem", fs::read(before.file()).unwrap());
    let tls = format!("tls = {{ ca_file = \"{}\" }}\n", file.display());
    let settings = Settings::that_say(&pool(&backend, &tls));
    let balancer = settings.balancer().start();
    balancer.said("is down: its certificate is signed by an authority that is not trusted");
    replace(&file, &fs::read(after.file()).unwrap());
    until("it is trusted", || get(balancer.address, "/").status == 200);
    let anew = "pool all: the files for TLS to backends were read anew";
    balancer.said(anew);
    replace(&file, b"nothing of use");
    let kept = "; what was loaded of it before stays in use";
    let said = balancer.said(kept);
    assert!(said.contains(&format!("{}: holds no certificate", file.display())), "{said}");
    get(balancer.address, "/").expect_status(200);
    fs::remove_file(&file).unwrap();
    let said = balancer.said_times(kept, 2);
    assert!(said.contains("cannot be read: No such file"), "{said}");
    get(balancer.address, "/").expect_status(200);
    let both = [&before, &after].map(|authority| fs::read_to_string(authority.file()).unwrap()).concat();
    replace(&file, both.as_bytes());
    balancer.said_times(anew, 2);
    get(balancer.address, "/").expect_status(200);
    assert_eq!((balancer.times_said(anew), balancer.times_said(kept)), (2, 2));
}

#[test]
fn our_certificate_is_shown_to_backends_as_soon_as_it_was_replaced() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let backend = settings(&authority.signs(&["localhost"]), &[&TLS13], Some(&clients));
    let backend = TlsBackend::start(backend);
    let (stranger, known) = (authority.signs(&["balancer"]), clients.signs(&["balancer"]));
    let tls = format!(
        "tls = {{ ca_file = \"{}\", cert_file = \"{}\", key_file = \"{}\" }}\n",
        authority.file().display(),
        stranger.certificate().display(),
        stranger.key().display(),
    );
    let settings = Settings::that_say(&pool(&backend, &tls));
    let balancer = settings.balancer().start();
    balancer.said("is down: it does not take our certificate");
    stranger.become_that_of(&known);
    until("it is taken", || get(balancer.address, "/").status == 200);
}

#[test]
fn files_that_were_replaced_are_read_anew_by_a_reload_of_the_same_settings() {
    let (before, after) = (Authority::new(), Authority::new());
    let backend = TlsBackend::start(with_certificate(&after.signs(&["localhost"])));
    let settings = Settings::that_say("");
    let file = settings.put("ca.pem", fs::read_to_string(before.file()).unwrap());
    for tls in [format!("tls = {{ ca_file = \"{}\" }}\n", file.display()), String::new()] {
        settings.put("ca.pem", fs::read_to_string(before.file()).unwrap());
        settings.write(&pool(&backend, &tls));
        // Those of the system are read anew, too.
        let balancer = settings.balancer().env("SSL_CERT_FILE", file.to_str().unwrap()).start();
        balancer.said("is down");
        balancer.signal("HUP");
        balancer.said("nothing has changed");
        settings.put("ca.pem", fs::read_to_string(after.file()).unwrap());
        balancer.signal("HUP");
        if tls.is_empty() {
            // Who watches files knows nothing of these.
            balancer.said("reloaded");
        }
        until("it is trusted", || get(balancer.address, "/").status == 200);
        if !tls.is_empty() {
            settings.put("ca.pem", "nothing of use");
            balancer.signal("HUP");
            balancer.said("reload refused");
            get(balancer.address, "/").expect_status(200);
        }
    }
}

#[test]
fn files_that_cannot_be_used_keep_it_from_starting_in_one_line() {
    let authority = Authority::new();
    let (us, other) = (authority.signs(&["a"]), authority.signs(&["b"]));
    let folder = Folder::new();
    let (missing, nothing) = (folder.path("missing.pem"), folder.write("nothing.pem", "nothing\n"));
    let old = [folder.write("v1.pem", OF_VERSION_1.0), folder.write("v1.key", OF_VERSION_1.1)];
    let other_kind = folder.write("other.key", OF_ANOTHER_KIND);
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (missing, nothing, ca) = (text(&missing), text(&nothing), text(&authority.file()));
    let (cert, wrong_key) = (text(&us.certificate()), text(&other.key()));
    let ([old, old_key], other_kind) = (old.map(|path| text(&path)), text(&other_kind));
    for (flags, line) in [
        (
            vec![("--backend-ca", &missing)],
            format!("--backend-ca {missing}: cannot be read: No such file or directory"),
        ),
        (vec![("--backend-ca", &nothing)], format!("--backend-ca {nothing}: holds no certificate")),
        (
            vec![("--backend-ca", &ca), ("--backend-cert", &cert), ("--backend-key", &nothing)],
            format!("--backend-key {nothing}: holds no private key"),
        ),
        (
            vec![("--backend-ca", &ca), ("--backend-cert", &cert), ("--backend-key", &wrong_key)],
            format!("--backend-key {wrong_key}: is not the key of the certificate in {cert}"),
        ),
        (
            vec![("--backend-ca", &ca), ("--backend-cert", &old), ("--backend-key", &old_key)],
            format!("--backend-cert {old}: is of X.509 version 1; make one with extensions (subjectAltName)"),
        ),
        (
            vec![("--backend-ca", &ca), ("--backend-cert", &cert), ("--backend-key", &other_kind)],
            format!("--backend-key {other_kind}: cannot be used: "),
        ),
    ] {
        let balancer = Balancer::before(&[]).flag("--backend", "https://localhost:1");
        let balancer = flags.iter().fold(balancer, |balancer, (name, value)| balancer.flag(name, value));
        let (status, said) = balancer.fail();
        assert_eq!(status, Some(2), "{said}");
        assert!(said.starts_with(&format!("loadbalancer: {line}")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn flags_that_make_no_sense_together_are_refused_in_one_line() {
    let https = ("--backend", "https://localhost:1");
    for (flags, line) in [
        (vec![("--backend", "127.0.0.1:1"), ("--backend-ca", "x")], "--backend-ca: no backend speaks TLS"),
        (
            vec![https, ("--backend-cert", "x")],
            "--backend-cert and --backend-key: only one of them was given",
        ),
        (
            vec![https, ("--backend-ca", "x"), ("--backend-tls-insecure", "")],
            "--backend-tls-insecure: takes any certificate, but --backend-ca says which are good",
        ),
        (vec![https, ("--backend-tls-name", "a b")], "--backend-tls-name a b: not a name"),
        (vec![https, ("--backend-tls-name", ".example.com")], "--backend-tls-name .example.com: not a name"),
        (vec![https, ("--backend-tls-name", "web.1")], "--backend-tls-name web.1: not a name"),
        (vec![("--backend", "ftp://a:1")], "--backend ftp://a:1: not a scheme that is spoken"),
        (vec![("--backend", "http://a:1/x")], "--backend http://a:1/x: has a path"),
    ] {
        let balancer = Balancer::bare().flag("--listen", "127.0.0.1:0");
        let balancer = flags.iter().fold(balancer, |balancer, (name, value)| match *value {
            "" => balancer.word(name),
            value => balancer.flag(name, value),
        });
        let (status, said) = balancer.fail();
        assert_eq!(status, Some(2), "{said}");
        assert!(said.starts_with(&format!("loadbalancer: {line}")), "{said}");
        // That there is no such file is told as well.
        let lines = said.lines().filter(|line| !line.contains(" x: cannot be read"));
        assert_eq!(lines.count(), 1, "{said}");
    }
}
