//! Backends that break HTTP, and what the client gets.
