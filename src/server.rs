//! Many requests: workers, their listeners and their clients' connections.

mod admission;
mod arrival;
mod claim;
mod connection;
mod farewell;
mod framing;
mod house;
mod http2;
mod kernel_tick;
mod listener;
mod opened;
pub mod proxy_protocol;
mod team;
mod tls;
mod transport;
mod unix;
mod worker;
mod workers;

pub use claim::Claims;
pub use framing::{Framing, Refusal};
pub use kernel_tick::keep_kernel_tick;
pub use listener::Bound;
pub use opened::Opened;
pub use team::{Handed, Seat, Team};
pub use tls::{Current as LoadedTls, Tls, TlsError, check_files};
pub use unix::SocketFile;
pub use worker::{News, Order, Worker};
pub use workers::{Threads, Workers};
