//! Keeps accepted transcripts, their versions and the directory of codes.
