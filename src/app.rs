//! Builds each part once from configuration and runs a role.
