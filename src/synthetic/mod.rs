//! Makes made-up but realistic transcripts, schools and certificates.
