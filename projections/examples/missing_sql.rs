//! Prints the SQL that a context's read tables lack, compared with what their row types declare. `cargo xtask migration <context>`
//! runs it with a PostgreSQL of its own, into which every migration has gone.

use anyhow::{Context, Result};
use projections::{group, groups, missing, unneeded};
use testing::TestDatabase;

#[tokio::main]
async fn main() -> Result<()> {
    let context = std::env::args().nth(1).context("expected a context, such as crm")?;
    let known = || groups().iter().map(|group| group.name).collect::<Vec<_>>().join(", ");
    let group = group(&context).with_context(|| format!("{context} has no read tables; these have: {}", known()))?;
    let database = TestDatabase::create().await;
    let owner = database.owner().await;
    for statement in missing(&owner, group).await? {
        println!("{statement}");
    }
    for index in unneeded(&owner, group).await? {
        println!("-- No list needs the index {index}.");
    }
    Ok(())
}
