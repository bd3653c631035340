//! What a server shows in TLS.

use std::path::PathBuf;

/// Files in PEM.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities that clients' certificates must be of, if they show one.
    pub authorities: PathBuf,
}
