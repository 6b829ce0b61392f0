//! Shows operators what is sent, stuck and why.
