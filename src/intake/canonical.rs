//! Reads the NDJSON line `{record, signatures}`, strictly.
