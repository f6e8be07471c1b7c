//! An HTTP load balancer. The modules in reading order: each may name only those before it, and [`app`] joins them.
//!
//! - [`telemetry`], [`config`]: facts about the program
//! - [`connect`], [`backends`]: how to reach backends, with what a connection is to either side, and facts about them
//! - [`balance`], [`route`]: pure rules
//! - [`snapshot`]: what is compiled from facts and settings for requests to read
//! - [`proxy`]: one request
//! - [`server`]: many of them
//! - [`control`]: what changes meanwhile
//! - [`app`]: all of it together
//! - [`cli`]: what the program does when it does not balance
//!
//! [`demo`] is a sample backend that stands apart.

pub mod app;
pub mod backends;
pub mod balance;
pub mod cli;
pub mod config;
pub mod connect;
pub mod control;
pub mod demo;
pub mod proxy;
pub mod route;
pub mod server;
pub mod snapshot;
pub mod telemetry;
