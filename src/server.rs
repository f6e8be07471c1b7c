//! Many requests: workers, their listeners and their clients' connections.

mod connection;
mod listener;
mod park;
mod team;
mod ticks;
mod transport;
mod worker;

pub use listener::bind;
pub use team::{Seat, Team};
pub use ticks::start_ticks;
pub use worker::{Worker, start};
