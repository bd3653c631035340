//! Firms as the log has them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use access::LogDirectory;
use kernel::{ApiKeyId, SecretHash, TenantId, UserId};
use std::time::Duration;
use testing::TestDatabase;
use uuid::Uuid;
use web::{Credential, Directory, Standing};

/// Attack D-05: somebody makes firms up, of which each would be read from the log.
#[tokio::test]
async fn a_firm_that_somebody_made_up_costs_no_question() {
    let database = TestDatabase::create().await;
    let pool = database.query().await;
    let directory = LogDirectory::start(pool.clone());
    let made_up = || TenantId(Uuid::now_v7());
    let user = Credential::User(UserId(Uuid::now_v7()));
    let followed = async {
        while directory.recall(made_up(), &user).is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), followed).await.expect("the log is followed");
    let mut held = vec![];
    // Nothing is left to ask with.
    while let Ok(Ok(connection)) = tokio::time::timeout(Duration::from_millis(200), pool.acquire()).await {
        held.push(connection);
    }
    let key = Credential::ApiKey { id: ApiKeyId(Uuid::now_v7()), secret_hash: SecretHash::of("made up too") };
    for _ in 0..5 {
        assert_eq!(directory.look_up(made_up(), &key).await.unwrap(), Standing::Unregistered);
    }
    assert!(held.len() > 1);
}
