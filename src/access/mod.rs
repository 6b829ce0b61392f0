//! Knows participants, persons, their certificates and what two persons must agree on.
