//! Many requests: workers, their listeners and their clients' connections.

mod connection;
mod framing;
mod listener;
mod park;
mod team;
mod transport;
mod worker;

pub use framing::{Framing, Refusal};
pub use listener::{bind, listen};
pub use team::{Handed, Seat, Team};
pub use worker::{News, Worker, Workers};
