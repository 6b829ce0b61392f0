//! Drives the real binary with a real PostgreSQL, real TLS and the stand-in of the national system.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops at once")]

mod faults;
mod journeys;
mod support;
