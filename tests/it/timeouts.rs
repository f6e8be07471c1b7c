//! Each wait has an end, and the client is told which it was.
