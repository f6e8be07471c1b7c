//! Connections to backends: dialling, speaking HTTP/1.1 over them, keeping idle ones.

mod connection;
mod dial;
mod idle;
mod interim;
mod relay;
mod sent;
mod transport;

pub use connection::{Connection, SendError};
pub use dial::{HeadLimits, dial};
pub use idle::Idle;
pub use transport::{Flow, Transport, write_slices};
