//! How a process gives way to one that runs another version of the program, without a client that notices.
//!
//! At SIGUSR2 a process starts the file of its program once more, with the words and the environment that it was started
//! with, and sends it the sockets where clients come. Both accept from the same queues until the new one says that it serves;
//! then the old one stops as it does at SIGTERM. A new one that cannot start changes nothing. They talk through a socket that
//! the new one has for its standard input, so nobody else can take a part in it.

mod packet;
mod predecessor;
mod successor;

pub(super) use predecessor::Predecessor;

pub(super) use successor::Succession;

/// Tells a process whose successor it is: of the one with this number, if that is its parent.
const PREDECESSOR: &str = "LOADBALANCER_PREDECESSOR";
/// What the one says when it has sent all that it had, and the other when it serves.
const THAT_IS_ALL: &str = "that is all";
const SERVING: &str = "serving";
