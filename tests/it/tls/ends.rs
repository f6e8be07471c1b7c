//! Certificates that have expired, or soon will: who is told of them, and where.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support::pki::{Authority, DAY, Folder, Kind, Pair, replace};
use crate::support::{Balancer, Settings};

const EXPIRED: &str = "expired on ";

/// Settings that show the one pair to clients and the other to backends, and believe an authority in both.
fn showing(clients: &Pair, backends: &Pair, authority: &Path) -> String {
    let keys = |pair: &Pair| {
        format!("cert_file = \"{}\"\nkey_file = \"{}\"\n", pair.certificate().display(), pair.key().display())
    };
    let authority = authority.display();
    format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\ntls = true\n[admin]\naddress = \"127.0.0.1:0\"\n\
         [tls]\nclient_ca_file = \"{authority}\"\n[[tls.certificates]]\n{}\
         [pools.all]\nbackends = [\"https://127.0.0.1:1\"]\n[pools.all.tls]\nca_file = \"{authority}\"\n{}",
        keys(clients),
        keys(backends),
    )
}

/// The lines that tell of the end of certificates.
fn ends(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.contains(" expire")).collect()
}

#[test]
fn certificates_of_all_kinds_that_have_expired_are_told_by_validate_a_start_a_plan_and_a_reload() {
    let authority = Authority::new();
    let (shown, client, old) =
        (authority.signs_until(-3), authority.signs_until(3), authority.signs_until(-9));
    let settings = Settings::that_say(&showing(&shown, &client, &old.certificate()));
    let told = [
        format!("certificate {} of localhost: {EXPIRED}", shown.certificate().display()),
        format!("certificate {} of localhost: expires on ", client.certificate().display()),
        format!("authorities {}: the last of them, localhost, {EXPIRED}", old.certificate().display()),
    ];
    let (code, said) = settings.balancer().word("validate").fail();
    assert_eq!((code, ends(&said).len()), (Some(0), told.len()), "{said}");
    assert!(told.iter().all(|told| said.contains(told)) && said.contains(": all is well: "), "{said}");
    let balancer = settings.balancer().start();
    balancer.said("admin API on");
    told.iter().for_each(|told| assert_eq!(balancer.times_said(told), 1, "{told}"));
    let asked = Balancer::bare().flag("--admin", &balancer.admin().address.to_string());
    let (code, said) = asked.word("plan").word(settings.path()).fail();
    assert_eq!((code, ends(&said).len()), (Some(0), told.len()), "{said}");
    assert!(said.starts_with("nothing would change\n"), "{said}");
    balancer.signal("HUP");
    balancer.said("reload: nothing has changed");
    told.iter().for_each(|told| assert_eq!(balancer.times_said(told), 2, "{told}"));
}

#[test]
fn a_certificate_that_expires_while_it_is_shown_is_told_of_when_it_does() {
    let pair = Authority::new().signs_with(&["localhost"], Kind::Ecdsa, |params| {
        params.not_after = (SystemTime::now() + Duration::from_secs(5)).into();
    });
    let balancer = Balancer::before(&[]).flag("--backend", "127.0.0.1:1").secured(&[&pair]).start();
    balancer.said(EXPIRED);
}

#[test]
fn of_several_authorities_the_one_that_holds_longest_counts() {
    let authority = Authority::new();
    let (good, old) = (authority.signs(&["localhost"]), authority.signs_until(-9));
    let folder = Folder::new();
    let both = [&old, &good].map(|pair| fs::read_to_string(pair.certificate()).unwrap()).concat();
    let settings = Settings::that_say(&showing(&good, &good, &folder.write("both.pem", both)));
    let (code, said) = settings.balancer().word("validate").fail();
    assert_eq!((code, ends(&said)), (Some(0), Vec::new()), "{said}");
}

#[test]
fn of_many_names_the_first_are_told_and_of_none_whom_a_certificate_speaks_of() {
    let authority = Authority::new();
    for (names, told) in [(&["a", "b", "c", "d", "e"][..], "of a, b, c, 2 more: "), (&[], "of CN=a test: ")] {
        let pair = authority.signs_with(names, Kind::Ecdsa, |params| {
            params.not_after = (SystemTime::now() - Duration::from_secs(5)).into();
        });
        let settings = Settings::that_say(&showing(&pair, &pair, &authority.file()));
        let (_, said) = settings.balancer().word("validate").fail();
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn of_a_chain_the_certificate_that_ends_first_counts_and_is_named() {
    let authority = Authority::new();
    let between = authority.signs_with(&["between.test"], Kind::Ecdsa, |params| {
        params.not_after = (SystemTime::now() + 3 * DAY).into();
    });
    // To clients as to backends.
    let leaves = [authority.signs_until(90), authority.signs_until(90)];
    for leaf in &leaves {
        let chain = [leaf, &between].map(|pair| fs::read_to_string(pair.certificate()).unwrap()).concat();
        replace(&leaf.certificate(), chain.as_bytes());
    }
    let settings = Settings::that_say(&showing(&leaves[0], &leaves[1], &authority.file()));
    let (code, said) = settings.balancer().word("validate").fail();
    assert_eq!((code, ends(&said).len()), (Some(0), 2), "{said}");
    for leaf in &leaves {
        let file = leaf.certificate();
        let told = format!(
            "certificate {} of localhost: in its chain that of between.test expires on ",
            file.display()
        );
        assert!(said.contains(&told), "{said}");
    }
    let balancer = settings.balancer().start();
    balancer.said(", when that of between.test in its chain ends");
}
