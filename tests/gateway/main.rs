//! Drives the real binary with a real PostgreSQL, real TLS and the stand-in of the national system.

mod faults;
mod journeys;
mod support;
