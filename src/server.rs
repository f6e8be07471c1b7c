//! Many requests: workers, their listeners and their clients' connections.

mod admission;
mod arrival;
mod connection;
mod farewell;
mod framing;
mod http2;
mod listener;
mod park;
pub mod proxy_protocol;
mod team;
mod tls;
mod transport;
mod worker;

pub use framing::{Framing, Refusal};
pub use listener::Bound;
pub use team::{Handed, Seat, Team};
pub use tls::{Tls, TlsError};
pub use worker::{News, Worker, Workers};
