//! Starts and stops a process: settings, telemetry, connections, health.
