//! Starts and stops a process: settings, telemetry, connections, health.

pub mod health;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod tls;

/// Picks the process-wide TLS implementation; first thing in `main`, because two are linked in and rustls will not choose.
pub fn install_crypto() {
    // Fails only when one is installed already, which is what we want.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}
