//! Routes: whatever hosts and paths strangers write, one route holds or none does, and what is encoded without need changes
//! nothing. The first line is the host, the second one the path.
#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use hyper::Method;
use hyper::header::HeaderMap;
use libfuzzer_sys::fuzz_target;
use loadbalancer::config::{Flags, Format, Sources};
use loadbalancer::route::{Asked, Missed, Routes};

static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let flags = Flags::read(["loadbalancer".into()]).expect("no flags are good flags");
    let loaded = Sources::new(flags, 1024).read(SETTINGS.as_bytes(), Format::Toml).expect("good settings");
    Routes::compile(&loaded.config.routes).expect("routes that are not in each other's way")
});

const SETTINGS: &str = r#"
[pools.all]
backends = ["127.0.0.1:1"]
[routes.exact]
host = "example.com"
path = "/login"
pool = "all"
[routes.under]
host = "*.example.com"
path = "/v1/*"
pool = "all"
[routes.template]
path = "/users/{id}/posts/{rest...}"
rewrite = "/{id}/{rest}"
pool = "all"
[routes.regex]
path = "~ /r[0-9]+/.*"
pool = "all"
[routes.admin]
path = "/admin/*"
answer = { status = 403, body = "no" }
[routes.rest]
pool = "all"
"#;

fn find(host: &str, path: &str) -> Result<usize, Missed> {
    let (method, headers) = (Method::GET, HeaderMap::new());
    let client = IpAddr::from([127, 0, 0, 1]);
    let asked = Asked { host, path, query: Some("a=b"), method: &method, headers: &headers, client };
    let found = ROUTES.find(&asked)?;
    let expanded = ROUTES.expand(&found, &asked)?;
    assert!(expanded.is_none_or(|target| target.starts_with('/') && !target.contains(['\r', '\n', '\0'])));
    Ok(found.route)
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some((host, path)) = text.split_once('\n') else { return };
    if !path.starts_with('/')
        || path.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'?' | b'#'))
    {
        return;
    }
    let found = find(host, path);
    // RFC 3986 section 6.2.2.2: letters need not be encoded, and mean the same if they are.
    if let Some(place) = path.find(|letter: char| letter.is_ascii_alphabetic())
        && !path[..place].contains('%')
    {
        let encoded = format!("{}%{:02X}{}", &path[..place], path.as_bytes()[place], &path[place + 1..]);
        assert_eq!(find(host, &encoded), found, "{path:?} {encoded:?}");
    }
    assert_eq!(find(&host.to_ascii_uppercase(), path), find(&host.to_ascii_lowercase(), path), "{host:?}");
});
