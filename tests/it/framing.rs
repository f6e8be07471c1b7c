//! Where a message ends, and what must not pass.
