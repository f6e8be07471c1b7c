//! Many requests: workers, their listeners and their clients' connections.

mod admission;
mod connection;
mod listener;
mod park;
mod team;
mod transport;
mod worker;

pub use listener::Bound;
pub use team::{Handed, Seat, Team};
pub use worker::{News, Worker, Workers};
