//! How a process gives way to one that runs another version of the program, without a client that notices.
//!
//! At SIGUSR2 a process starts the file of its program once more, with the words and the environment that it was started
//! with, and sends it, when it asks for them, the sockets where clients come, what it knows of backends, and which ones sources told it
//! of. Both accept from the same queues until the new
//! one says that it serves; then the old one stops as it does at SIGTERM, but may take longer. A new one that cannot start
//! changes nothing. They talk through a socket that the new one has for its standard input, so nobody else can take a part in it.

mod packet;
mod predecessor;
mod successor;

use std::time::Duration;

pub(super) use predecessor::Predecessor;

pub(super) use successor::Succession;
pub use successor::program;

/// Tells a process whose successor it is: of the one with this number, if that is its parent.
const PREDECESSOR: &str = "LOADBALANCER_PREDECESSOR";
/// What the new one says when it wants the sockets, the old one when it has sent all, and the new one when it serves.
const HERE: &str = "here";
const THAT_IS_ALL: &str = "that is all";
/// Before what the old one knows of a backend, in JSON.
const BACKEND: &str = "backend ";
/// Before what a source told the old one, in JSON.
const TOLD: &str = "told ";
const SERVING: &str = "serving";
/// Between two looks at what the other one does.
const LOOK: Duration = Duration::from_millis(20);
