//! Verifies and makes XML and JSON signatures; knows no transcript.
