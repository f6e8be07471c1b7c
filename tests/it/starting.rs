//! Starting: what is said, and what stops it.
