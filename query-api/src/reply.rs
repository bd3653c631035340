//! What is answered beside rows: where the next page is, and why there are none.

use ::web::{Problem, code};
use sqlx::postgres::{PgDatabaseError, PgSeverity};
use vault::VaultError;

/// Percent-encodes what is not unreserved (RFC 3986 §2.3).
pub(crate) fn encoded(pairs: &[(String, String)]) -> String {
    let encode = |text: &str| {
        let mut out = String::new();
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
                other => out.push_str(&format!("%{other:02X}")),
            }
        }
        out
    };
    pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

pub(crate) fn fault(error: &sqlx::Error) -> Problem {
    if is_passing(error) {
        tracing::error!(error = %error, "the read models cannot be reached");
        return Problem::new(&code::UNAVAILABLE, "the read models cannot be reached; repeat in a moment");
    }
    tracing::error!(error = %error, "a read failed on our side");
    Problem::new(&code::FAULT, "the read failed on our side; the request id finds it in the logs")
}

/// Is PostgreSQL not there, rather than the question wrong? Where it ends the session, whatever it says is about itself: a
/// new one that finds the disk full ends with an internal error (XX000).
fn is_passing(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return true };
    let severity = error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
    matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic))
        || error.code().is_some_and(|code| is_passing_code(&code))
}

/// A server that is shut down or crashes tells its sessions so (57P…), one that starts refuses them, and one that is out
/// of something says what (53…, 58…).
fn is_passing_code(code: &str) -> bool {
    ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class))
}

/// What is sealed cannot be opened: keys are away, or not ours.
pub(crate) fn sealed(error: &VaultError) -> Problem {
    tracing::error!(%error, "a sealed event cannot be opened");
    Problem::new(&code::UNAVAILABLE, "the event cannot be opened now; repeat in a moment")
}

pub(crate) fn unreadable(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "a row is of another shape than its type: replay its group");
    Problem::new(&code::FAULT, "the read failed on our side; the request id finds it in the logs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::PgPool;

    #[test]
    fn a_server_that_goes_down_is_no_fault_of_the_question() {
        for passing in ["57P01", "57P02", "57P03", "53100", "53300", "58030", "08006"] {
            assert!(is_passing_code(passing), "{passing}");
        }
        for lasting in ["42703", "22P02", "57014", ""] {
            assert!(!is_passing_code(lasting), "{lasting}");
        }
    }

    #[actix_web::test]
    async fn a_session_that_the_server_ends_is_no_fault_of_the_question() {
        let nowhere = format!("{}_that_is_not_there", testing::TestDatabase::create().await.superuser_url());
        let error = PgPool::connect(&nowhere).await.unwrap_err();
        assert!(is_passing(&error), "{error}");
    }
}
