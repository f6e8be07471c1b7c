//! Connections to backends: dialling, speaking HTTP/1.1 over them, keeping idle ones.

mod connection;
mod dial;
mod files;
mod idle;
mod interim;
mod relay;
mod sent;
mod stream;
mod transport;

pub use connection::{Connection, SendError};
pub use dial::{HeadLimits, dial};
pub use files::{is_our_want, ran_out_of_files, shortages};
pub use idle::Idle;
pub use stream::{Peeked, Socket, Stream};
pub use transport::{Flow, Transport};
