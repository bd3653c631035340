//! Stateful stand-ins of the providers, with faults on demand.
