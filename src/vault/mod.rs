//! Keeps record bodies encrypted and pupils behind a keyed reference.
