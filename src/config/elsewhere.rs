//! What other balancers put a part of a request in the place of, in the middle of a text. Here it is text as any other, and whoever
//! writes it believes otherwise. Only what is surely meant so is known: a `$`, a `%` or a brace alone says nothing.

/// A word of another balancer that stands for a part of a request there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Elsewhere<'t> {
    /// As it is written.
    pub(super) word: &'t str,
    /// Who calls it so.
    pub(super) of: &'static str,
    /// What it stands for there.
    pub(super) means: Means,
    at: usize,
}

/// What a word of another balancer stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    Client,
    Host,
    Path,
    Query,
    Scheme,
    /// What the request is known by.
    Id,
    /// A group of a regular expression.
    Group,
    Other,
}

/// All of them in a text, in order.
pub(super) fn all(text: &str) -> impl Iterator<Item = Elsewhere<'_>> {
    // Where the last one ends.
    let mut end = 0;
    text.char_indices().filter_map(move |(at, sign)| {
        let (before, rest) = text.split_at(at);
        let since = text.get(end..at)?;
        let is_whole = |word: &str| before.is_empty() && word.len() == text.len();
        let (length, of, means) = match sign {
            // Twice it is the sign itself.
            _ if since.ends_with(sign) => None,
            '$' => nginx(rest),
            '%' => haproxy(rest, before).or_else(|| envoy(rest)),
            // Behind a `$` it is one of the environment.
            '{' if !since.ends_with('$') => caddy(rest, is_whole),
            _ => None,
        }?;
        end = at + length;
        Some(Elsewhere { word: &rest[..length], of, means, at })
    })
}

/// A redirect or a rewrite in our words, if we have some for all that is in it.
pub(super) fn in_our_words(text: &str) -> Option<String> {
    let mut ours = String::new();
    let mut rest = 0;
    for Elsewhere { word, means, at, .. } in of_templates(text) {
        ours += &text[rest..at];
        ours += match means {
            Means::Host => "{host}",
            Means::Path => "{path}",
            Means::Query => "{query}",
            _ => return None,
        };
        rest = at + word.len();
    }
    Some(ours + &text[rest..])
}

/// Those in a redirect or a rewrite, which have names in braces of their own.
pub(super) fn of_templates(text: &str) -> impl Iterator<Item = Elsewhere<'_>> {
    all(text).filter(|found| !found.word.starts_with('{'))
}

/// Those in a text that is sent as it is. A `$1` may be a price.
pub(super) fn of_texts(text: &str) -> impl Iterator<Item = Elsewhere<'_>> {
    all(text).filter(|found| found.means != Means::Group)
}

type Found = Option<(usize, &'static str, Means)>;

fn nginx(rest: &str) -> Found {
    let name = beginning(&rest[1..], |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let means = match name {
        "remote_addr"
        | "realip_remote_addr"
        | "proxy_protocol_addr"
        | "proxy_add_x_forwarded_for"
        | "http_x_forwarded_for"
        | "http_x_real_ip" => Means::Client,
        "host" | "http_host" | "server_name" => Means::Host,
        "uri" | "request_uri" | "document_uri" => Means::Path,
        "args" | "query_string" => Means::Query,
        "scheme" | "http_x_forwarded_proto" => Means::Scheme,
        "request_id" => Means::Id,
        "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" => Means::Group,
        "hostname"
        | "is_args"
        | "msec"
        | "proxy_host"
        | "proxy_port"
        | "remote_port"
        | "remote_user"
        | "request_method"
        | "request_time"
        | "server_addr"
        | "server_port"
        | "server_protocol"
        | "ssl_cipher"
        | "ssl_client_cert"
        | "ssl_client_escaped_cert"
        | "ssl_client_fingerprint"
        | "ssl_client_i_dn"
        | "ssl_client_s_dn"
        | "ssl_client_serial"
        | "ssl_client_verify"
        | "ssl_protocol"
        | "ssl_server_name"
        | "time_iso8601"
        | "upstream_addr"
        | "upstream_cache_status"
        | "upstream_response_time"
        | "upstream_status" => Means::Other,
        _ => has_more(name, &["arg_", "http_", "cookie_", "sent_http_", "upstream_http_"])
            .then_some(Means::Other)?,
    };
    Some((1 + name.len(), "nginx", means))
}

/// `%[…]` as a whole, and those of its log formats that others than logs are given.
fn haproxy(rest: &str, before: &str) -> Found {
    let of = "HAProxy";
    if let Some(inside) = rest.strip_prefix("%[") {
        let name = beginning(inside, |byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.".contains(&byte)
        });
        let (whole, _) = inside.split_once(']')?;
        let is_fetch = name.starts_with(|c: char| c.is_ascii_lowercase())
            && (whole == name || whole[name.len()..].starts_with(['(', ',']));
        let means = match whole {
            "src" => Means::Client,
            "hdr(host)" | "req.hdr(host)" | "hdr(Host)" | "req.hdr(Host)" => Means::Host,
            "path" | "pathq" | "url" | "capture.req.uri" => Means::Path,
            "query" => Means::Query,
            "ssl_fc" => Means::Scheme,
            "unique-id" => Means::Id,
            _ => Means::Other,
        };
        return (is_fetch || means == Means::Id).then_some((whole.len() + 3, of, means));
    }
    let name = beginning(&rest[1..], |byte| byte.is_ascii_alphanumeric());
    let means = match name {
        "ci" => Means::Client,
        "ID" => Means::Id,
        "cp" | "fi" | "fp" => Means::Other,
        _ => return None,
    };
    // Behind a number it is a part of a hundred.
    (!before.ends_with(|c: char| c.is_ascii_alphanumeric())).then_some((3, of, means))
}

/// `%NAME%`, `%NAME(…)%`, `%NAME(…):LENGTH%`.
fn envoy(rest: &str) -> Found {
    let (inside, _) = rest[1..].split_once('%')?;
    let name = beginning(inside, |byte| byte.is_ascii_uppercase() || byte == b'_');
    let behind = &inside[name.len()..];
    let argument = behind.strip_prefix('(').and_then(|behind| behind.split_once(')'));
    let means = match (name, argument) {
        ("REQ", Some((":AUTHORITY" | "HOST" | "Host", _))) => Means::Host,
        ("REQ", Some((":PATH", _))) => Means::Path,
        ("REQ", Some(("X-REQUEST-ID", _))) => Means::Id,
        ("REQ", Some((":SCHEME" | "X-FORWARDED-PROTO", _))) => Means::Scheme,
        (
            "REQ" | "REQ_WITHOUT_QUERY" | "RESP" | "TRAILER" | "DYNAMIC_METADATA" | "FILTER_STATE"
            | "ENVIRONMENT" | "QUERY_PARAM" | "START_TIME",
            Some(_),
        ) => Means::Other,
        ("PROTOCOL" | "START_TIME" | "REQUESTED_SERVER_NAME" | "ROUTE_NAME" | "RESPONSE_CODE", None) => {
            Means::Other
        }
        _ if name.starts_with("DOWNSTREAM_REMOTE_ADDRESS") => Means::Client,
        _ if name.starts_with("DOWNSTREAM_DIRECT_REMOTE_ADDRESS") => Means::Client,
        _ if has_more(name, &["DOWNSTREAM_", "UPSTREAM_"]) => Means::Other,
        _ => return None,
    };
    (argument.is_some() || behind.is_empty()).then_some((inside.len() + 2, "Envoy", means))
}

/// What could as well be a name in a template of URIs (RFC 6570) is only known where nothing stands beside it.
fn caddy(rest: &str, is_whole: impl Fn(&str) -> bool) -> Found {
    let (name, _) = rest[1..].split_once('}')?;
    let word = &rest[..name.len() + 2];
    let means = match name {
        "client_ip" | "remote_host" | "remote" => Means::Client,
        "host" | "hostport" => Means::Host,
        "scheme" => Means::Scheme,
        "uri" | "path" if is_whole(word) => Means::Path,
        "query" if is_whole(word) => Means::Query,
        "method" | "port" if is_whole(word) => Means::Other,
        "remote_port" | "tls_version" | "tls_cipher" => Means::Other,
        "http.request.remote" | "http.request.remote.host" => Means::Client,
        "http.request.host" | "http.request.hostport" => Means::Host,
        "http.request.scheme" => Means::Scheme,
        "http.request.uuid" => Means::Id,
        _ => {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            let known = [
                "http.request.",
                "http.reverse_proxy.",
                "http.vars.",
                "http.regexp.",
                "header.",
                "cookie.",
                "tls_client_",
            ];
            (name.bytes().all(fits) && has_more(name, &known)).then_some(Means::Other)?
        }
    };
    Some((word.len(), "Caddy", means))
}

/// As much of a text as fits.
fn beginning(text: &str, fits: impl Fn(u8) -> bool) -> &str {
    &text[..text.bytes().position(|byte| !fits(byte)).unwrap_or(text.len())]
}

fn has_more(name: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|start| name.len() > start.len() && name.starts_with(start))
}
