//! Ages are told by the clock of the balancer that is asked, which may stand elsewhere.

use serde_json::{Value, json};

use crate::support::admin::Admin;
use crate::support::{Backend, Balancer, Settings};

use super::{pools, start};

/// What an admin API says, on a machine whose clock this line tells.
fn elsewhere(admin: Admin, date: &'static str) -> Backend {
    Backend::that(move |mut transport| {
        let path = transport.head.split(' ').nth(1).expect("a target").to_owned();
        let mut said = admin.get(&path);
        for backend in said.get_mut("backends").and_then(Value::as_array_mut).into_iter().flatten() {
            backend["since"] = json!("2001-01-01T00:00:00Z");
            backend["rests_until"] = json!("2001-01-01T00:03:10Z");
        }
        let said = said.to_string();
        let length = said.len();
        transport.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{date}Content-Length: {length}\r\n\
             Connection: close\r\n\r\n{said}"
        ));
    })
}

#[test]
fn ages_are_told_by_the_clock_of_who_is_asked() {
    let nobody = Backend::refuses();
    let settings = Settings::that_say(&pools("first", nobody, Backend::refuses()));
    let balancer = start(&settings);
    for (date, is_told) in [("Date: Mon, 01 Jan 2001 00:01:05 GMT\r\n", true), ("", false)] {
        let there = elsewhere(balancer.admin(), date);
        let (code, said) = Balancer::bare().flag("--admin", &there.address.to_string()).word("status").fail();
        assert_eq!(code, Some(0), "{said}");
        let row = said.lines().find(|line| line.contains(&nobody.to_string())).expect("a row");
        assert_eq!(row.contains(" 1m 5s ago "), is_told, "{said}");
        assert_eq!(row.ends_with("; it asked to be spared for 2m 5s more"), is_told, "{said}");
    }
}
