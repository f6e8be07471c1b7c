//! Files that are of no use are named before anything is started, and those that soon will be are warned of.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::support::pki::{Authority, DAY, Folder, Kind, OF_ANOTHER_KIND, OF_VERSION_1, Pair, TOO_SHORT};
use crate::support::{Backend, Balancer};

/// With these files, and nothing else that could be wrong.
fn with(certificate: &Path, key: &Path) -> Balancer {
    let balancer = Balancer::before(&[Backend::refuses()]).secured(&[]);
    let balancer = balancer.flag("--tls-cert", certificate.to_str().unwrap());
    balancer.flag("--tls-key", key.to_str().unwrap())
}

/// Fails to start, with this one line.
fn refuses(balancer: Balancer, code: i32, start: &str, end: &str) {
    let (status, said) = balancer.fail();
    assert_eq!((status, said.lines().count()), (Some(code), 1), "{said}");
    assert!(said.starts_with(&format!("loadbalancer: {start}")) && said.ends_with(end), "{said}");
}

#[test]
fn a_certificate_or_key_that_cannot_be_used_is_named_with_the_fix() {
    let pair = Authority::new().signs(&["localhost"]);
    let (cert, key) = (pair.certificate(), pair.key());
    let folder = Folder::new();
    let missing = folder.path("missing.pem");
    let empty = folder.write("empty.pem", "");
    let garbage = folder.write("garbage.pem", "\u{0}\u{1}garbage\n");
    let broken = folder.write("broken.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    let hollow = folder.write("hollow.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let half = folder.write("half.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    let der = folder.write("cert.der", &pair.der);
    let only_certs = "name a file in PEM form with a part BEGIN CERTIFICATE";
    let only_keys = "name a file in PEM form with a part BEGIN PRIVATE KEY";
    let readable = "name a file in PEM form that we may read";
    let sound = "name a file in PEM form that `openssl` can read";
    let cases: [(&Path, &Path, &Path, &str, &str, &str); 11] = [
        (&missing, &key, &missing, "--tls-cert", "cannot be read: No such file", readable),
        (&cert, &missing, &missing, "--tls-key", "cannot be read: No such file", readable),
        (&empty, &key, &empty, "--tls-cert", "holds no certificate", only_certs),
        (&cert, &empty, &empty, "--tls-key", "holds no private key", only_keys),
        (&garbage, &key, &garbage, "--tls-cert", "holds no certificate", only_certs),
        (&der, &key, &der, "--tls-cert", "holds no certificate", only_certs),
        (&cert, &garbage, &garbage, "--tls-key", "holds no private key", only_keys),
        (&broken, &key, &broken, "--tls-cert", "", sound),
        (&half, &key, &half, "--tls-cert", "it ends amid a part, before END CERTIFICATE;", sound),
        (&hollow, &key, &hollow, "--tls-cert", "its first certificate cannot be understood", sound),
        (&cert, &cert, &cert, "--tls-key", "holds no private key", only_keys),
    ];
    for (cert, key, named, flag, problem, fix) in cases {
        refuses(with(cert, key), 2, &format!("{flag} {}: {problem}", named.display()), fix);
    }
    // The two exchanged: each is named for what it lacks.
    let (code, said) = with(&key, &cert).fail();
    assert_eq!((code, said.lines().count()), (Some(2), 2), "{said}");
    assert!(said.contains(only_certs) && said.ends_with(only_keys), "{said}");
}

#[test]
fn the_key_of_another_certificate_is_refused() {
    let authority = Authority::new();
    let [one, other] = [authority.signs(&["localhost"]), authority.signs(&["localhost"])];
    let end = format!(
        "is not the key of the certificate in {}; name the two that were made together",
        one.certificate().display()
    );
    let start = format!("--tls-key {}: ", other.key().display());
    refuses(with(&one.certificate(), &other.key()), 2, &start, &end);
}

#[test]
fn a_chain_in_the_wrong_order_is_refused_with_the_place_of_the_certificate_that_belongs_first() {
    let authority = Authority::new();
    let pair = authority.signs(&["localhost"]);
    let folder = Folder::new();
    let chain = [authority.file(), pair.certificate()].map(|file| fs::read_to_string(file).unwrap()).concat();
    let (chain, key) = (folder.write("chain.pem", chain), pair.key());
    let said = format!("has the certificate of the key in {} as its number 2; put that first", key.display());
    refuses(with(&chain, &key), 2, &format!("--tls-cert {}: ", chain.display()), &said);
    let balancer = Balancer::before(&[]).flag("--backend", "https://localhost:1");
    let balancer = balancer.flag("--backend-cert", chain.to_str().unwrap());
    let balancer = balancer.flag("--backend-key", key.to_str().unwrap());
    refuses(balancer, 2, &format!("--backend-cert {}: ", chain.display()), &said);
}

#[test]
fn a_certificate_or_a_key_of_a_kind_that_is_of_no_use_is_named_and_not_the_other_one() {
    let pair = Authority::new().signs(&["localhost"]);
    let folder = Folder::new();
    let (cert, key) = (folder.write("v1.pem", OF_VERSION_1.0), folder.write("v1.key", OF_VERSION_1.1));
    let start = format!("--tls-cert {}: is of X.509 version 1; ", cert.display());
    refuses(with(&cert, &key), 2, &start, "make one with extensions (subjectAltName)");
    let key = folder.write("other.key", OF_ANOTHER_KIND);
    let start = format!("--tls-key {}: cannot be used (", key.display());
    refuses(with(&pair.certificate(), &key), 2, &start, "make one of RSA, ECDSA or Ed25519");
}

#[test]
fn a_key_that_is_too_short_is_named_as_such() {
    let folder = Folder::new();
    let (cert, key) = (folder.write("short.pem", TOO_SHORT.0), folder.write("short.key", TOO_SHORT.1));
    let said = "is an RSA key of 1024 bits, which is too short; make one of 2048 or more, or of ECDSA, and a certificate for it";
    refuses(with(&cert, &key), 2, &format!("--tls-key {}: ", key.display()), said);
    let balancer = Balancer::before(&[]).flag("--backend", "https://localhost:1");
    let balancer = balancer.flag("--backend-cert", cert.to_str().unwrap());
    let balancer = balancer.flag("--backend-key", key.to_str().unwrap());
    refuses(balancer, 2, &format!("--backend-key {}: ", key.display()), said);
}

#[test]
fn an_encrypted_key_is_refused_with_the_way_to_decrypt_it() {
    let pair = Authority::new().signs(&["localhost"]);
    let folder = Folder::new();
    let body = fs::read_to_string(pair.key()).unwrap();
    let modern = folder.write("modern.pem", body.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"));
    let head = "RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n";
    let old = body.replacen("PRIVATE KEY-----\n", head, 1).replace("END PRIVATE", "END RSA PRIVATE");
    let old = folder.write("old.pem", old);
    for key in [modern, old] {
        let start = format!("--tls-key {}: is encrypted", key.display());
        let fix = format!("decrypt it with `openssl pkey -in {} -out NEW`", key.display());
        refuses(with(&pair.certificate(), &key), 2, &start, &fix);
    }
}

#[test]
fn authorities_that_cannot_be_used_are_named() {
    let pair = Authority::new().signs(&["localhost"]);
    let folder = Folder::new();
    let files: [(PathBuf, &str); 3] = [
        (folder.path("missing.pem"), "cannot be read: No such file"),
        (folder.write("empty.pem", ""), "holds no certificate"),
        (pair.key(), "holds no certificate"),
    ];
    for (file, problem) in files {
        let balancer = with(&pair.certificate(), &pair.key());
        let balancer = balancer.flag("--tls-client-ca", file.to_str().unwrap());
        refuses(balancer, 2, &format!("--tls-client-ca {}: {problem}", file.display()), "");
    }
}

#[test]
fn flags_for_tls_that_do_not_fit_together_are_refused() {
    let bare = || Balancer::before(&[Backend::refuses()]);
    let listens = || bare().secured(&[]);
    refuses(listens(), 2, "--tls-listen: 0 of --tls-cert and 0 of --tls-key were given", "same order");
    let one = listens().flag("--tls-cert", "a");
    refuses(one, 2, "--tls-listen: 1 of --tls-cert and 0 of --tls-key were given", "same order");
    let three = listens().flag("--tls-cert", "a,b").flag("--tls-key", "c");
    refuses(three, 2, "--tls-listen: 2 of --tls-cert and 1 of --tls-key were given", "same order");
    for (flag, value) in
        [("--tls-cert", "a"), ("--tls-key", "a"), ("--tls-client-ca", "a"), ("--tls-client-auth", "optional")]
    {
        refuses(bare().flag(flag, value), 2, &format!("{flag}: no listener speaks TLS"), ":8443");
    }
    let pair = Authority::new().signs(&["localhost"]);
    let nobody = with(&pair.certificate(), &pair.key()).flag("--tls-client-auth", "optional");
    refuses(nobody, 2, "--tls-client-auth: nobody is named who signs", "add --tls-client-ca FILE");
    let unknown = with(&pair.certificate(), &pair.key()).flag("--tls-client-auth", "maybe");
    let start = "invalid value 'maybe' for '--tls-client-auth <WHETHER>'; use required or optional";
    refuses(unknown, 2, start, "(see --help)");
    let twice = with(&pair.certificate(), &pair.key()).flag("--tls-listen", "127.0.0.1:9");
    let twice = twice.flag("--listen", "127.0.0.1:9");
    refuses(twice, 2, "--tls-listen 127.0.0.1:9: given twice", "speaks either TLS or not");
}

#[test]
fn a_certificate_that_has_expired_is_warned_of_with_its_date() {
    let authority = Authority::new();
    let pair = authority.signs_until(-3);
    let balancer = with(&pair.certificate(), &pair.key()).start();
    let said = balancer.said("WARN");
    assert!(
        said.contains(&format!("certificate {} of localhost: expired on ", pair.certificate().display())),
        "{said}"
    );
    assert!(said.contains(&year_of(&pair)) && said.ends_with("clients refuse it, replace it"), "{said}");
    balancer.said(" is for localhost and was valid until ");
}

#[test]
fn a_certificate_that_expires_soon_is_warned_of_with_its_date() {
    let authority = Authority::new();
    let pair = authority.signs_until(3);
    let balancer = with(&pair.certificate(), &pair.key()).start();
    let said = balancer.said("WARN");
    assert!(
        said.contains(&format!("certificate {} of localhost: expires on ", pair.certificate().display())),
        "{said}"
    );
    assert!(said.contains(&year_of(&pair)) && said.ends_with("replace it before"), "{said}");
    let fresh = authority.signs_until(300);
    let balancer = with(&fresh.certificate(), &fresh.key()).start();
    balancer.said("forwarding to");
    assert_eq!(balancer.times_said("expire"), 0);
}

#[test]
fn a_certificate_that_is_not_valid_yet_is_warned_of_with_its_date() {
    let pair = Authority::new().signs_with(&["localhost"], Kind::Ecdsa, |params| {
        params.not_before = (SystemTime::now() + 3 * DAY).into();
        params.not_after = (SystemTime::now() + 300 * DAY).into();
    });
    let balancer = with(&pair.certificate(), &pair.key()).start();
    let said = balancer.said("WARN");
    assert!(
        said.contains(&format!(
            "certificate {} of localhost: not valid before ",
            pair.certificate().display()
        )),
        "{said}"
    );
    assert!(said.ends_with("clients refuse it until then; see whether the clock is right"), "{said}");
}

/// The year in which a certificate ends, as it is written in the certificate itself.
fn year_of(pair: &Pair) -> String {
    let text = x509_parser::parse_x509_certificate(&pair.der).unwrap().1.validity().not_after.to_string();
    text.split_whitespace().find(|word| word.len() == 4 && word.parse::<u16>().is_ok()).unwrap().to_owned()
}
