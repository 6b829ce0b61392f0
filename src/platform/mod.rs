//! Gives the clock, configuration, database, texts, problems and transport; knows no transcript.

pub mod clock;
pub mod config;
pub mod texts;
pub mod problem;
pub mod telemetry;
pub mod shutdown;
pub mod tls;
pub mod http;
pub mod listener;
pub mod database;
pub mod private_postgres;
