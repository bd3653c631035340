//! Black-box journeys, faults, architecture rules and the benchmark.
