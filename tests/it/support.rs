//! What tests are written with: programs that are started as a user starts them, clients that speak raw HTTP, and
//! backends that misbehave.
//!
//! Nothing here sleeps and hopes: what is waited for is named, and a wait that fails says what did come.

mod backend;
mod client;
mod program;

use std::time::Duration;

pub use backend::{Backend, Transport};
pub use client::{Answer, Client, get, request};
pub use program::{Balancer, Running, Sample};

/// How long anything may take before its test fails: far longer than it ever should.
pub const PATIENCE: Duration = Duration::from_secs(20);
