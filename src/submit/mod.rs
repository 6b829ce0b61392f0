//! Makes one attempt at a destination and says what its answer means.
