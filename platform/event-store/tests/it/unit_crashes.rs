//! A process that dies with a unit on its way leaves all of it or nothing, and whoever asks again learns which.

use crate::common::{Tally, TallyCommand as C, assert_sound, keyed, tenant};
use event_store::{Executed, Log, Store, StoreOptions, UnitCommand};
use sqlx::PgPool;
use std::process::{Command, Stdio};
use testing::TestDatabase;
use uuid::Uuid;

/// Where the process that is to die finds the database.
const DATABASE: &str = "UBOS_TEST_DYING_DATABASE";

const FIRST: Uuid = Uuid::from_u128(0x11);
const SECOND: Uuid = Uuid::from_u128(0x22);

fn unit() -> Vec<UnitCommand> {
    let to = |id, command| UnitCommand::new::<Tally>(Some(id), command);
    vec![
        to(FIRST, C::Open { label: Some("label".into()) }),
        to(SECOND, C::Open { label: None }),
        to(FIRST, C::Unlabel {}),
        to(SECOND, C::Label { label: "label".into() }),
    ]
}

/// What the process does that is to die; in any other it does nothing.
#[tokio::test]
async fn the_process_that_dies() {
    let Ok(url) = std::env::var(DATABASE) else { return };
    let store = Store::start(PgPool::connect(&url).await.unwrap(), StoreOptions::default());
    store.execute_unit(&unit(), &keyed("unit", 1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_whose_process_dies_is_there_as_a_whole_or_not_at_all() {
    for (point, left) in [("append.unit_sending", 0), ("append.unit_committed", 4)] {
        let database = TestDatabase::create().await;
        let died = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "unit_crashes::the_process_that_dies"])
            .env(DATABASE, database.url("ubos_command"))
            .env("UBOS_CRASH_AT", format!("{point}:1"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        // A test that fails ends with a code; this one must not have ended by itself.
        assert_eq!(died.code(), None, "{point}");
        let log = Log::new(database.worker().await);
        assert_eq!(log.read(0, 10).await.unwrap().len(), left, "{point}");
        let store = Store::start(database.command().await, StoreOptions::default());
        let again = store.execute_unit(&unit(), &keyed("unit", 1)).await.unwrap();
        let seen: Vec<_> =
            again.iter().map(|Executed { id, version, position, .. }| (*id, *version, *position)).collect();
        assert_eq!(seen, [(FIRST, 1, 1), (SECOND, 1, 2), (FIRST, 2, 3), (SECOND, 2, 4)], "{point}");
        assert_eq!(again[0].replayed, left > 0, "{point}");
        assert_eq!(log.read(0, 10).await.unwrap().len(), 4, "{point}");
        let holder = kernel::Claim::new("test.tally.label", "label");
        assert_eq!(store.holder(tenant(), &holder).await.unwrap(), Some(SECOND), "{point}");
        assert_sound(&database.owner().await).await;
    }
}
