//! Carries digital school transcripts from provinces to the national systems; modules stand in travelling order.

pub mod platform;
pub mod transcript;
pub mod codes;
pub mod signature;
pub mod vault;
pub mod audit;
pub mod access;
pub mod trust;

pub mod intake;
pub mod validate;
pub mod map;
pub mod seal;
pub mod register;
pub mod outbox;
pub mod submit;
pub mod receipts;

pub mod query;
pub mod dashboard;
pub mod sandbox;
pub mod synthetic;

pub mod pipeline;
pub mod app;
pub mod commands;
