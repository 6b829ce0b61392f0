//! Makes made-up but realistic transcripts, schools and certificates.

pub mod pki;
