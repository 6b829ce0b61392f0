//! Breaks processes and the peer in mid-work and looks for lost or doubled records.

mod killed_worker;
