//! From what the operator wrote to what it means.

mod access;
mod action;
mod admin;
mod backend;
mod known;
mod listen;
mod matching;
mod pool;
mod report;
mod route;
mod shared;
mod treatment;
mod useless;

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroUsize;
use std::path::absolute;
use std::thread;
use std::time::Duration;

use hyper::header::HeaderName;
use indexmap::IndexMap;

use crate::telemetry::LogLevel;
use crate::telemetry::access_log::Destination;

use super::draft::Draft;
use super::facts::{Config, Limits, Timeouts};
use super::fault::{Fault, PoolFault, RouteFault};
use super::file::{self, File, Size, Time};
use super::files;
use super::origin::{Origin, Read, Wrong};
use super::pool::{DEFAULT_ADDRESSES, DEFAULT_POOL, Pool};
use super::route::Route;

pub(super) use known::Known;
pub(super) use report::{Report, Spot};
pub(super) use useless::{counts, overflows};

/// hyper's read buffer starts at this size, so a smaller limit would not be one.
const LEAST_HEADER_SIZE: u64 = 8192;
/// The port of servers of names (RFC 1035 section 4.2).
const DNS: u16 = 53;

/// What others call no access log, or one that is no file.
const NO_LOGS: [&str; 4] = ["off", "none", "stdout", "stderr"];

/// Header lines whose meaning nobody takes from them.
const SPOKEN_FOR: [&str; 12] = [
    "authorization",
    "client-cert",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "set-cookie",
    "traceparent",
    "tracestate",
    "via",
    "x-real-ip",
];

/// What a file was found to mean.
pub(super) struct Resolved {
    /// All of it, if all makes sense.
    pub(super) config: Option<Config>,
    /// What is to be looked into.
    pub(super) draft: Draft,
    /// All that is wrong so far.
    pub(super) wrong: Vec<Wrong>,
    /// What is to be said though nothing is wrong with it.
    pub(super) remarks: Vec<String>,
}

/// What a file means. `open_files` is the process's limit on open files, and names lead where they are known to have led as long
/// as they may.
pub(super) fn resolve(
    file: &File,
    origin: &Origin,
    read: &Read,
    (open_files, known): (u64, &Known),
) -> Resolved {
    let report = Report::new(origin, read);
    let mut draft = Draft::default();
    let config = whole(file, &report.root(), (open_files, known), origin.tree.is_some(), &mut draft);
    let (wrong, files, remarks) = report.into_parts();
    Resolved { config: config.filter(|_| wrong.is_empty()), draft: Draft { files, ..draft }, wrong, remarks }
}

fn whole(
    file: &File,
    root: &Spot<'_>,
    (open_files, known): (u64, &Known),
    has_file: bool,
    draft: &mut Draft,
) -> Option<Config> {
    let mut pools = IndexMap::new();
    if file.pools.is_empty() {
        let backends = DEFAULT_ADDRESSES.map(file::Backend::at).into();
        pools.insert(DEFAULT_POOL.to_owned(), file::Pool { backends, ..file::Pool::default() });
    }
    let pools = if file.pools.is_empty() { &pools } else { &file.pools };
    if has_file {
        names(file, root);
    }
    useless::of_process(file, root);
    let listeners = listen::listeners(file, &root.key("listeners"));
    let resolved: Vec<_> = pools
        .iter()
        .map(|(name, pool)| pool::pool(name, pool, (&listeners, known), &root.key("pools").key(name)))
        .collect();
    let named = listen::Listeners { of_file: &file.listeners, sound: &listeners };
    let routes = routes(file, (pools, &named), root, draft);
    let sure = |(name, pool): (&String, &Option<(Pool, bool)>)| {
        let pool = pool.as_ref().filter(|_| !root.key("pools").key(name).is_unsure(&pool::ASIDE));
        pool.map(|(pool, _)| pool.clone())
    };
    draft.pools = pools.keys().zip(&resolved).map(sure).collect();
    let tls = listen::tls(file, root);
    let workers = workers(file, root);
    let reserved = files::reserved(workers.map_or(1, NonZeroUsize::get), listeners.len());
    let limits = limits(&file.limits, (open_files, reserved), &root.key("limits"));
    let access = access::access(file, root);
    let networks = &file.access.proxy_protocol_from;
    let introduced = access::introduced(networks, &root.key("access").key("proxy_protocol_from"));
    let access_log = access_log(file, &root.key("access_log"), known, draft);
    let request_id = file.request_id.as_ref();
    let request_id = request_id.and_then(|text| root.key("request_id").take(text, id_name(text)));
    let admin = admin::admin(&file.admin, &listeners, has_file, root);
    let dns_servers = dns_servers(file, root);
    let whole_pool =
        |pool: Option<(Pool, bool)>| pool.filter(|(_, is_whole)| *is_whole).map(|(pool, _)| pool);
    // All was looked at. What is missing from here on was found to be wrong.
    Some(Config {
        listeners,
        tls,
        introduced,
        routes: routes?,
        pools: resolved.into_iter().map(whole_pool).collect::<Option<_>>()?,
        dns_servers: dns_servers?,
        workers: workers?,
        timeouts: timeouts(&file.timeouts),
        limits: limits?,
        access,
        access_log,
        request_id,
        log_level: file.log_level.map_or(LogLevel::Info, |word| word.0),
        watch: file.watch.unwrap_or(false),
        admin,
    })
}

/// All routes, if all of them make sense. Those of which is known which requests they are for are in the draft.
fn routes(
    file: &File,
    (pools, listeners): (&shared::Pools, &listen::Listeners<'_>),
    root: &Spot<'_>,
    draft: &mut Draft,
) -> Option<Vec<Route>> {
    let drafts = route::routes(file, pools, listeners, root);
    if drafts.is_empty() {
        return Some(only_route());
    }
    let whole = drafts.iter().map(|route| route.as_ref().and_then(route::RouteDraft::whole)).collect();
    draft.routes = drafts.into_iter().flatten().filter_map(route::RouteDraft::matching).collect();
    whole
}

/// Names stand in logs, on pages and in paths.
fn names(file: &File, root: &Spot<'_>) {
    let named = [
        ("listeners", file.listeners.keys().collect::<Vec<_>>()),
        ("routes", file.routes.keys().collect()),
        ("pools", file.pools.keys().collect()),
    ];
    for (section, names) in named {
        for name in names.into_iter().filter(|name| name.is_empty() || name.chars().any(char::is_control)) {
            root.key(section).key(name).wrong_key(name, PoolFault::NoName);
        }
    }
}

fn access_log(file: &File, at: &Spot<'_>, known: &Known, draft: &mut Draft) -> Option<Destination> {
    match file.access_log.as_deref()? {
        "" => {
            at.fault(PoolFault::NoLog);
            None
        }
        word if NO_LOGS.iter().any(|known| word.eq_ignore_ascii_case(known)) => {
            at.wrong(word, PoolFault::LogByWord(word.to_owned()));
            None
        }
        "-" => Some(Destination::Stdout),
        name => {
            let path = at.file(name);
            // It is the same file, from wherever its path starts.
            let log = Destination::File(absolute(&path).unwrap_or(path));
            draft.access_log = Some(at.named_file(name)).filter(|_| !known.has_open(&log));
            Some(log)
        }
    }
}

/// The name of a header line that can say a request's id: one that says nothing else.
fn id_name(text: &str) -> Result<HeaderName, RouteFault> {
    let name = shared::header_name(text).map_err(|fault| match fault {
        RouteFault::Framing | RouteFault::HostLine => RouteFault::NoId,
        fault => fault,
    })?;
    let is_taken = SPOKEN_FOR.contains(&name.as_str()) || name.as_str().starts_with("x-forwarded-");
    if is_taken { Err(RouteFault::NoId) } else { Ok(name) }
}

fn dns_servers(file: &File, root: &Spot<'_>) -> Option<Vec<SocketAddr>> {
    let at = root.key("dns_servers");
    let server = |(index, text): (usize, &String)| at.index(index).take(text, dns_server(text));
    let servers: Vec<_> = file.dns_servers.iter().enumerate().map(server).collect();
    servers.into_iter().collect()
}

fn dns_server(text: &str) -> Result<SocketAddr, PoolFault> {
    // Where nobody wrote brackets around an address it goes on up to the end.
    if let Some(Ok(ip)) = text.strip_suffix(":53").map(str::parse::<Ipv6Addr>) {
        return Err(PoolFault::DnsPort(SocketAddrV6::new(ip, DNS, 0, 0)));
    }
    // What stands behind a % need be no number, and says nothing of any other address.
    let bare = text.split_once('%').map(|(bare, after)| {
        let port = after.find(']').map_or("", |end| &after[end..]);
        format!("{bare}{port}")
    });
    let address = bare.as_deref().unwrap_or(text);
    let address = address.parse().map(|ip: IpAddr| SocketAddr::new(ip, DNS)).or_else(|_| address.parse());
    match (address, bare) {
        (Ok(SocketAddr::V6(address)), _) if address.ip().is_unicast_link_local() => {
            Err(PoolFault::LinkLocalDns)
        }
        (Ok(_), Some(bare)) => Err(PoolFault::ScopedDns(bare)),
        (address, _) => address.map_err(|_| PoolFault::DnsServer),
    }
}

fn workers(file: &File, root: &Spot<'_>) -> Option<NonZeroUsize> {
    let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get) as u64;
    let workers = root.key("workers").between(file.workers.unwrap_or_else(cores), 1, 1024)?;
    NonZeroUsize::new(usize::try_from(workers).ok()?)
}

fn timeouts(given: &file::Timeouts) -> Timeouts {
    let or = |time: Option<Time>, seconds| time.map_or(Duration::from_secs(seconds), |time| time.0);
    Timeouts {
        header: or(given.header, 10),
        connect: or(given.connect, 2),
        response: or(given.response, 60),
        body: or(given.body, 60),
        client_idle: or(given.client_idle, 75),
        backend_idle: or(given.backend_idle, 55),
        tunnel_idle: or(given.tunnel_idle, 3600),
        notice: given.notice.map(|time| time.0),
        drain: or(given.drain, 30),
        succession: or(given.succession, 3600),
    }
}

/// What clients may ask. Of the open files that there can be, some are `reserved`.
fn limits(given: &file::Limits, (open_files, reserved): (u64, u64), at: &Spot<'_>) -> Option<Limits> {
    let header_size = given.header_size.map_or(65_536, |size| size.0);
    let header_size = at.key("header_size").size(header_size, LEAST_HEADER_SIZE, 1 << 20);
    let headers = at.key("headers").between(given.headers.unwrap_or(100), 1, 10_000);
    let affordable = files::affordable(open_files, reserved);
    let connections = given.connections.unwrap_or_else(|| files::connections(affordable));
    let needed = connections.saturating_mul(2).saturating_add(reserved);
    let needed = Some(needed).filter(|needed| *needed <= files::most_open());
    let fault = Fault::Files { most: affordable, open_files, needed };
    let at_connections = at.key("connections");
    let connections = match connections > affordable {
        true => at_connections.take(connections, Err(fault)),
        false => at_connections.between(connections, 1, affordable),
    }?;
    let body = match given.body_size {
        Some(Size(0)) => {
            at.key("body_size").wrong(Size(0), Fault::NoBytes);
            return None;
        }
        size => size.map(|size| size.0),
    };
    Some(Limits {
        header_size: usize::try_from(header_size?).ok()?,
        headers: usize::try_from(headers?).ok()?,
        body,
        connections: usize::try_from(connections).ok()?,
        refusals: usize::try_from(files::refusals(affordable, connections)).ok()?,
        is_chosen: given.connections.is_some(),
        open_files,
    })
}

/// The route that is there when none is named.
fn only_route() -> Vec<Route> {
    vec![Route::to_first_pool(DEFAULT_POOL)]
}

#[cfg(test)]
mod tests;
