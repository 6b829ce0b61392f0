//! Keeps sealed records until each destination has them.
