//! Event types, availability and appointments without double booking.
