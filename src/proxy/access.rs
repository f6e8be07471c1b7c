//! Who asks, and whether they may: what the settings on trusted proxies, networks and rates mean for a request.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::header::HeaderMap;

use crate::config;

use super::forwarded::Origin;
use super::rates::Rates;
use super::{Error, forwarded};

/// What is asked of each request while any of these settings is on. All workers share it.
#[derive(Debug)]
pub struct Access {
    settings: config::Access,
    rates: Option<Rates>,
    /// Whether the networks, or those of trusted proxies, are others than when the process started, so that clients may be
    /// connected who were let in by those.
    others_were_let_in: bool,
}

impl Access {
    /// What the settings ask of requests, if anything, in place of what others asked `before`. What was counted then still
    /// counts for each rate that is the same.
    pub fn of(
        settings: &config::Access,
        before: Option<(&config::Access, Option<&Self>)>,
    ) -> Option<Arc<Self>> {
        let others_were_let_in = before.is_some_and(|(before, access)| {
            let is_same = before.lists == settings.lists && before.trusted == settings.trusted;
            !is_same || access.is_some_and(|access| access.others_were_let_in)
        });
        let rates = match before {
            Some((before, Some(access))) => access.rates.as_ref().map(|rates| (before, rates)),
            _ => None,
        };
        let rates = Rates::of(settings, rates);
        if settings.trusted.is_empty() && rates.is_none() && !others_were_let_in {
            return None;
        }
        Some(Arc::new(Self { settings: settings.clone(), rates, others_were_let_in }))
    }

    /// Who sent a request and how, as far as that can be believed.
    pub(super) fn origin(&self, headers: &HeaderMap, peer: IpAddr) -> Option<Origin> {
        forwarded::origin(headers, peer, &self.settings.trusted)
    }

    /// Whether who sent it may. Those who connect to us themselves had their networks looked at when they did. A trusted
    /// proxy that asks for itself, to see whether we are well, need not be allowed, for it is trusted; but it can be denied.
    pub(super) fn judge(&self, address: IpAddr, origin: Option<&Origin>) -> Result<(), Error> {
        let lists = &self.settings.lists;
        let may = match origin {
            None => !self.others_were_let_in || lists.admit(address),
            Some(origin) if origin.is_own => !lists.deny(address),
            Some(_) => lists.admit(address),
        };
        if !may {
            return Err(Error::Denied);
        }
        self.rates.as_ref().map_or(Ok(()), |rates| rates.check(address))
    }

    /// Gives back what is kept of clients that have not asked for a while.
    pub fn sweep(&self) {
        if let Some(rates) = &self.rates {
            rates.sweep();
        }
    }
}
