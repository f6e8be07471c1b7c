//! Routes and requests of a mixture like that of many services behind one balancer.

use std::hint::black_box;
use std::net::IpAddr;

use hyper::Method;
use hyper::header::HeaderMap;

use loadbalancer::config::{HostMatch, Match, PathMatch, Pattern, Route, Segment};
use loadbalancer::route::{Asked, Routes};

/// Routes of one host: exact paths, prefixes, templates, and one for the rest.
const OF_A_HOST: usize = 10;

/// Finds the routes of so many requests.
pub(crate) fn find(count: usize, times: usize) {
    let routes = Routes::compile(&routes(count)).expect("no conflicts");
    let (method, headers, client) = (Method::GET, HeaderMap::new(), IpAddr::from([192, 0, 2, 1]));
    let requests = requests(count);
    for (host, path) in requests.iter().cycle().take(times) {
        let asked =
            Asked { host, path, query: None, method: &method, headers: &headers, client, listener: None };
        let found = black_box(&routes).find(black_box(&asked));
        assert!(found.is_ok(), "{host}{path}");
        let _ = black_box(found);
    }
}

fn routes(count: usize) -> Vec<Route> {
    let named = |number: usize, when| Route { when, ..Route::to_first_pool(&format!("r{number}")) };
    match count {
        1 => vec![named(0, Match::default())],
        count => {
            (0..count).map(|number| named(number, when(number / OF_A_HOST, number % OF_A_HOST))).collect()
        }
    }
}

/// Each tenth host is all under a name, and the routes for the rest of each tenth go by an expression, too.
fn when(host: usize, kind: usize) -> Match {
    let name = match host % 10 {
        0 => HostMatch::Under(format!(".service-{host}.example.com").into()),
        _ => HostMatch::Exact(format!("service-{host}.example.com").into()),
    };
    let literal = |text: &str| Segment::Literal(text.into());
    let capture = |name: &str| Segment::Capture(name.into());
    let paths = match kind {
        0..4 => vec![PathMatch::Exact(format!("/page-{kind}/index.html").into())],
        4..7 => vec![PathMatch::Prefix(format!("/api/v{kind}").into())],
        7 => vec![PathMatch::Template([literal("users"), capture("id")].into())],
        8 => vec![PathMatch::Template(
            [literal("users"), capture("id"), literal("posts"), capture("post")].into(),
        )],
        _ if host % 10 == 1 => vec![PathMatch::Regex(Pattern::new("/r[0-9]+/.*").expect("an expression"))],
        _ => Vec::new(),
    };
    Match { hosts: vec![name], paths, ..Match::default() }
}

/// One for each route, in an order that jumps between hosts.
fn requests(count: usize) -> Vec<(String, String)> {
    let request = |number: usize| {
        let number = number * 7919 % count;
        let (host, kind) = (number / OF_A_HOST, number % OF_A_HOST);
        let under = if host % 10 == 0 { "a." } else { "" };
        let path = match kind {
            0..4 => format!("/page-{kind}/index.html"),
            4..7 => format!("/api/v{kind}/things/{number}"),
            7 => format!("/users/{number}"),
            8 => format!("/users/{number}/posts/1"),
            _ => format!("/r{number}/some/other/page"),
        };
        (format!("{under}service-{host}.example.com"), path)
    };
    (0..count).map(request).collect()
}
