//! Connections to backends: dialling, speaking HTTP/1.1 and HTTP/2 over them, keeping idle ones.

mod bell;
mod connection;
mod connections;
mod counted;
mod driver;
mod files;
pub mod frames;
mod http1;
mod http2;
mod idle;
mod interim;
mod line_ends;
mod outbox;
pub mod pem;
mod provenance;
mod proxy_header;
mod relay;
mod sent;
mod shared;
mod stream;
mod tls;
mod transport;
mod unshare;
mod way;

pub use bell::Doorbell;
pub use connection::{AnswerBody, Broken, Connection};
pub use connections::{Connections, HeadLimits, Need};
pub use files::{Wants, are_files_scarce, is_our_want, ran_out_of_files, shortages, spare_files};
pub use outbox::Outbox;
pub use pem::TlsFileError;
pub use provenance::{Provenance, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, address};
pub use stream::{Peeked, Socket, Stream};
pub use tls::{TlsFault, check_files};
pub use transport::{Flow, Transport};
pub use unshare::{Unshared, unshare};
pub use way::{DialError, Origin, Way, Ways};
