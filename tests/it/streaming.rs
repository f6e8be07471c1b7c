//! Bodies pass as they come, in both directions.
