//! Connections to backends: dialling, speaking HTTP/1.1 and HTTP/2 over them, keeping idle ones. And what connections of clients
//! need as well: streams and sockets, frames of HTTP/2, lengths and limits of heads, certificates.

mod answer_body;
mod aside;
mod bell;
mod broken;
mod chores;
mod connection;
mod connections;
mod counted;
mod dial;
mod driver;
mod files;
pub mod frames;
mod head_limits;
mod http1;
mod http2;
mod idle;
mod interim;
mod length;
mod line_ends;
mod outbox;
mod patience;
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
mod watched;
mod way;

pub use answer_body::AnswerBody;
pub use aside::{Undone, aside};
pub use bell::Doorbell;
pub use broken::{Broken, Garbage};
pub use chores::Chores;
pub use connection::{Advance, Connection};
pub use connections::{Connections, Need, OWN};
pub use dial::DialError;
pub use files::{
    Wants, are_files_scarce, is_kept, is_our_want, keep_files, most_files, raise_most_files,
    ran_out_of_files, shortages, spare_files, want_of_files,
};
pub use head_limits::HeadLimits;
pub use length::{TWO_LENGTHS, is_just_chunked, parse_length, unfit_length, united_length};
pub use outbox::Outbox;
pub use patience::Patience;
pub use pem::TlsFileError;
pub use provenance::{Provenance, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, address};
pub use proxy_header::Behalf;
pub use stream::{Peeked, Socket, Stream, set_keepalive};
pub use tls::{Distrust, SystemAuthorities, Term, TlsFault, check_files, names, remark_on_authorities};
pub use transport::{Flow, Transport, is_of_the_other_end};
pub use unshare::{Unshared, unshare};
pub use watched::{LOOK_EVERY, Look, Watched};
pub use way::{Way, Ways};
