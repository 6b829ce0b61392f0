//! Verifies and stores what a destination returned.
