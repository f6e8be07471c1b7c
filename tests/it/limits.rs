//! What a client may not ask of us, and what it is told.
