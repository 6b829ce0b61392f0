//! Decides which signers' certificates to believe.
