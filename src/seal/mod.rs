//! Makes the gateway's own signature and holds the only door to its keys.
