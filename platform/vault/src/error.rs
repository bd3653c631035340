//! Why the vault does not open or seal.

/// Why something is not sealed or not opened. None of them says more, because an attacker would listen.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The sealed text, its place or its key is not what it was when it was sealed.
    #[error("what is sealed cannot be opened")]
    Broken,
    /// The key-encryption key of a data key is not among those that were given.
    #[error(
        "a data key is wrapped by the key {0}, which this process was not given: look at the settings of the vault"
    )]
    WrongKey(String),
    /// A key that was given is not 256 bits.
    #[error("{0}")]
    BadKey(String),
    /// The database does not answer.
    #[error("the keys cannot be read")]
    Database(#[from] sqlx::Error),
    /// The service that keeps the key-encryption key does not answer.
    #[error("the key service does not answer: {0}")]
    Service(String),
}
