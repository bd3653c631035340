//! Black-box journeys, faults and architecture rules.
