//! Stands in for the national system, faults included.
