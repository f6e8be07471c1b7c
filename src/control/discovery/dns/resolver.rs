//! Whom names are asked of, by which absolute names, and whose answer counts.
//!
//! The order of servers and of names is the operator's: a later one is asked only if the earlier one told nothing, and who says
//! that there is none has told.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use hickory_resolver::Hosts;
use hickory_resolver::config::ResolverOpts;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::rdata::{CNAME, SRV};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::timeout;
use tracing::warn;

use super::server::{Reason, Server, TIMEOUT, Told, server_at};
use super::system::{Doubt, System};

/// How often a question is put at least, be it to another server.
const ATTEMPTS: usize = 2;
/// How long the first addresses of one family wait for those of the other, for there are servers that never answer for one (RFC
/// 8305 section 3). Later ones wait for as long as a question may take, unless all servers were silent on it just before: what is
/// known still holds.
const GRACE: Duration = Duration::from_millis(500);
/// Names that stand one for the other before it is taken for a circle.
const MOST_ALIASES: usize = 8;
/// What the system's own list says is looked at as often as a file with backends.
const LIST_HOLDS: Duration = Duration::from_secs(1);

/// The addresses of one family that a name has, at least one, and for how long that holds.
pub(super) type Answer = Result<Told<IpAddr>, Reason>;

/// Asks servers of names. Addresses of the two families are asked for apart, so that it is known which of them there was
/// no answer for.
#[derive(Debug)]
pub(in crate::control::discovery) struct Resolver {
    /// In the order of preference, or why there are none.
    servers: Result<Vec<Server>, Reason>,
    /// Domains that a short name may be in, and how many dots make it a long one.
    domains: Vec<Name>,
    dots: usize,
    /// The system's own list.
    list: Hosts,
    /// What of the system's files is not gone by, until it was said.
    doubts: RefCell<Vec<Doubt>>,
}

impl Resolver {
    /// Asks these servers, or does as the system does.
    pub(in crate::control::discovery) fn asking(servers: &[SocketAddr]) -> Self {
        let System { servers, options, domains, list, doubts } = match servers {
            [] => System::read(),
            servers => System {
                servers: Ok(servers.iter().map(server_at).collect()),
                options: ResolverOpts::default(),
                domains: Vec::new(),
                list: Hosts::default(),
                doubts: Vec::new(),
            },
        };
        let server = |server| Server::at(server, options.clone());
        let servers = servers.and_then(|servers| servers.into_iter().map(server).collect());
        Self { servers, domains, dots: options.ndots, list, doubts: RefCell::new(doubts) }
    }

    /// What is said of the addresses of both families, IPv4 first; of a name of which nothing is known not for long.
    pub(super) async fn addresses(&self, name: &str, is_known: bool) -> (Answer, Answer) {
        if let Ok(ip) = name.parse() {
            return (Ok(Told { all: vec![ip], holds: Duration::MAX }), Err(Reason::NoRecords));
        }
        let names = match self.names(name) {
            Ok(names) => names,
            Err(reason) => return (Err(reason.clone()), Err(reason)),
        };
        if let Some(listed) = names.iter().find_map(|name| self.listed(name)) {
            return listed;
        }
        let mut told = (Err(Reason::NoName), Err(Reason::NoName));
        for name in &names {
            told = self.both(name, is_known).await;
            if !is_nowhere(&told) {
                break;
            }
        }
        told
    }

    /// The services that a name has.
    pub(super) async fn services(&self, name: &str) -> Result<Told<SRV>, Reason> {
        let mut told = Err(Reason::NoName);
        for name in self.names(name)? {
            told = self.services_at(name).await;
            if !is_none_there(&told) {
                break;
            }
        }
        told
    }

    /// The absolute names that it may be short for, in the order in which the system tries them.
    fn names(&self, name: &str) -> Result<Vec<Name>, Reason> {
        for doubt in self.doubts.take() {
            warn!("{doubt}");
        }
        // Names of hosts have no underscores (RFC 952), but some hosts have such names.
        let name = Name::from_str_relaxed(name).map_err(|error| Reason::Other(error.to_string()))?;
        if name.is_fqdn() {
            return Ok(vec![name]);
        }
        let mut own = name.clone();
        own.set_fqdn(true);
        let is_long = usize::from(name.num_labels()) > self.dots || name.is_localhost();
        let longer = self.domains.iter().filter_map(|domain| name.clone().append_domain(domain).ok());
        let mut names: Vec<_> = longer.filter(|name| *name != own).collect();
        names.insert(if is_long { 0 } else { names.len() }, own);
        Ok(names)
    }

    /// What the system's own list says of a name: who is in it is nowhere else, as for all programs of the system.
    fn listed(&self, name: &Name) -> Option<(Answer, Answer)> {
        let [ipv4, ipv6] = [RecordType::A, RecordType::AAAA].map(|kind| {
            let listed = self.list.lookup_static_host(&Query::query(name.clone(), kind));
            listed.map(|listed| Told { holds: LIST_HOLDS, ..Told::of(&listed, RData::ip_addr) })
        });
        let is_listed = ipv4.is_some() || ipv6.is_some();
        is_listed.then(|| (ipv4.ok_or(Reason::NoRecords), ipv6.ok_or(Reason::NoRecords)))
    }

    async fn both(&self, name: &Name, is_known: bool) -> (Answer, Answer) {
        let (ipv4, ipv6) =
            (pin!(self.of_family(name, RecordType::A)), pin!(self.of_family(name, RecordType::AAAA)));
        match select(ipv4, ipv6).await {
            Either::Left((ipv4, ipv6)) => {
                let ipv6 = beside(&ipv4, ipv6, self.grace(RecordType::AAAA, is_known)).await;
                (ipv4, ipv6)
            }
            Either::Right((ipv6, ipv4)) => {
                (beside(&ipv6, ipv4, self.grace(RecordType::A, is_known)).await, ipv6)
            }
        }
    }

    /// How long addresses of this family are waited for once there are some of the other.
    fn grace(&self, kind: RecordType, is_known: bool) -> Duration {
        match is_known && !self.servers.iter().flatten().all(|server| server.is_silent_on(kind)) {
            true => TIMEOUT * u32::try_from(self.attempts()).unwrap_or(u32::MAX),
            false => GRACE,
        }
    }

    async fn of_family(&self, name: &Name, kind: RecordType) -> Answer {
        let told = Told::of(&self.ask(name, kind).await?, RData::ip_addr);
        if told.all.is_empty() { Err(Reason::NoRecords) } else { Ok(told) }
    }

    /// The services of an absolute name, or of the one that it stands for: an answer that says both at once is taken for none by
    /// `hickory`, which looks for services of their targets.
    async fn services_at(&self, mut name: Name) -> Result<Told<SRV>, Reason> {
        let mut holds = Duration::MAX;
        for _ in 0..MOST_ALIASES {
            let none = match self.ask(&name, RecordType::SRV).await {
                Ok(found) => {
                    let services = Told::of(&found, |data| match data {
                        RData::SRV(service) => Some(service.clone()),
                        _ => None,
                    });
                    return Ok(Told { holds: holds.min(services.holds), ..services });
                }
                Err(reason) if reason.is_none_there() => reason,
                Err(reason) => return Err(reason),
            };
            let alias = match self.ask(&name, RecordType::CNAME).await {
                Ok(found) => Told::of(&found, |data| match data {
                    RData::CNAME(CNAME(other)) => Some(other.clone()),
                    _ => None,
                }),
                Err(reason) if reason.is_none_there() => return Err(none),
                Err(reason) => return Err(reason),
            };
            holds = holds.min(alias.holds);
            name = alias.all.into_iter().next().ok_or(none)?;
        }
        Err(Reason::Other("too many names stand one for the other".to_owned()))
    }

    /// What the first server says that tells anything of an absolute name.
    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Lookup, Reason> {
        let mut servers: Vec<_> = self.servers.as_ref().map_err(Clone::clone)?.iter().collect();
        servers.sort_by_key(|server| server.rests());
        let mut failed = None;
        for server in servers.into_iter().cycle().take(self.attempts()) {
            match server.ask(name, kind).await {
                Err(reason) if !reason.is_none_there() => {
                    failed.get_or_insert(reason);
                }
                told => return told,
            }
        }
        Err(failed.unwrap_or(Reason::Slow))
    }

    fn attempts(&self) -> usize {
        self.servers.iter().flatten().count().max(ATTEMPTS)
    }
}

fn is_none_there<T>(answer: &Result<T, Reason>) -> bool {
    answer.as_ref().is_err_and(Reason::is_none_there)
}

/// Whether a name has no addresses. That there is no such name holds for both families (RFC 8020), unless one has some.
fn is_nowhere((ipv4, ipv6): &(Answer, Answer)) -> bool {
    let is_no_name = |answer: &Answer| matches!(answer, Err(Reason::NoName));
    let is_said = is_no_name(ipv4) || is_no_name(ipv6) || is_none_there(ipv4) && is_none_there(ipv6);
    is_said && ipv4.is_err() && ipv6.is_err()
}

/// What is said of one family beside what was said of the other. When that says it all, it must be said soon.
async fn beside(first: &Answer, second: impl Future<Output = Answer>, grace: Duration) -> Answer {
    match first {
        Ok(_) | Err(Reason::NoName) => timeout(grace, second).await.unwrap_or(Err(Reason::Slow)),
        Err(_) => second.await,
    }
}
