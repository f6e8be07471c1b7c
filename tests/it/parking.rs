//! A connection that is idle is parked, and loses no byte.
