//! The balancer as its operator and its clients meet it: real programs, real sockets, faults by name.
#![allow(unreachable_pub, reason = "nothing outside a test binary can name its items")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as a test does")]

mod support;

mod access_log;
mod admin;
mod admission;
mod backend_h2;
mod backend_proxy_protocol;
mod backend_tls;
mod backend_unix;
mod balancing;
mod checks;
mod configuration;
mod confirm;
mod demo;
mod discovery;
mod failover;
mod forwarding;
mod framing;
mod http2;
mod http2_abuse;
mod limits;
mod manager;
mod misbehaving;
mod parking;
mod proxy_protocol;
mod reload;
mod remote;
mod request_id;
mod routes;
mod silence;
mod smuggling;
mod standstill;
mod starting;
mod stopping;
mod streaming;
mod succession;
mod threadless;
mod timeouts;
mod tls;
mod together;
mod trust;
mod unheard;
mod unread;
mod upgrade;
