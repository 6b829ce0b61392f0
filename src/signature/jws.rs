//! Makes and verifies JSON Web Signatures (RFC 7515), detached over canonical JSON (RFC 8785) and compact.
