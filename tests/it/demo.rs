//! `loadbalancer demo` and the sample backends, as a newcomer runs them.
