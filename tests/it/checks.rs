//! Checks: a backend's health is noticed, said and acted upon.
