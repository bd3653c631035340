//! The vault on a real database.

use secrecy::SecretString;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use testing::TestDatabase;
use uuid::Uuid;
use vault::{LocalKeys, NewSubjectKey, Subject, Vault, VaultError, WrappedSubjectKey, reapply};

const TENANT: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
const SUBJECT: Uuid = Uuid::from_u128(7);
const OLD: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const NEW: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn keys(current: &str, earlier: &[&str]) -> Arc<LocalKeys> {
    let secret = |text: &str| SecretString::from(text.to_owned());
    let earlier: Vec<SecretString> = earlier.iter().map(|text| secret(text)).collect();
    Arc::new(LocalKeys::new(&secret(current), &earlier).unwrap())
}

async fn vault(database: &TestDatabase, current: &str, earlier: &[&str]) -> Vault {
    Vault::start(database.worker().await, keys(current, earlier))
}

/// What a first event about the subject writes with it.
async fn write_key(database: &TestDatabase, vault: &Vault, generation: u32) -> vault::SubjectKey {
    let NewSubjectKey { key, wrapped } =
        vault.sealing(TENANT).await.unwrap().new_subject_key(SUBJECT, generation).unwrap();
    sqlx::query("insert into vault.subject_keys values ($1, $2, $3, $4)")
        .bind(TENANT)
        .bind(SUBJECT)
        .bind(i32::try_from(generation).unwrap())
        .bind(wrapped)
        .execute(&database.owner().await)
        .await
        .unwrap();
    key
}

async fn opened(vault: &Vault, sealed: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
    let wanted = HashMap::from([((TENANT, SUBJECT), vault::generation(sealed).unwrap())]);
    let found: Arc<Subject> = vault.subjects(&wanted).await?.remove(&(TENANT, SUBJECT)).unwrap();
    found.open(&[b"here"], sealed)
}

#[tokio::test]
async fn what_one_process_seals_another_opens_and_another_tenant_does_not() {
    let database = TestDatabase::create().await;
    let (one, another) = (vault(&database, OLD, &[]).await, vault(&database, OLD, &[]).await);
    let sealed = one.sealing(TENANT).await.unwrap().seal("connection", "token", b"secret").unwrap();
    assert_eq!(another.tenant(TENANT).await.unwrap().open("connection", "token", &sealed).unwrap(), b"secret");
    another.sealing(OTHER).await.unwrap();
    let other = another.tenant(OTHER).await.unwrap().open("connection", "token", &sealed);
    assert!(matches!(other, Err(VaultError::Broken)));
    let dump: String = sqlx::query_scalar("select string_agg(k::text, ' ') from vault.data_keys k")
        .fetch_one(&database.superuser().await)
        .await
        .unwrap();
    assert!(!dump.contains("secret") && !dump.contains(&hex_of(b"secret")), "{dump}");
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_tenant_whose_keys_take_long_lets_others_seal() {
    let database = TestDatabase::create().await;
    vault(&database, OLD, &[]).await.sealing(TENANT).await.unwrap();
    let mut holder = database.owner().await.acquire().await.unwrap();
    let hold = format!("begin; select from vault.data_keys where tenant_id = '{TENANT}' for update");
    sqlx::raw_sql(&hold).execute(&mut *holder).await.unwrap();
    let slow = vault(&database, OLD, &[]).await;
    let waiting = tokio::spawn({
        let slow = slow.clone();
        async move { slow.sealing(TENANT).await.map(drop) }
    });
    let superuser = database.superuser().await;
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let is_held_up = async {
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&superuser).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), is_held_up).await.expect("the first tenant waits for the row");
    tokio::time::timeout(Duration::from_secs(10), slow.sealing(OTHER)).await.unwrap().unwrap();
    assert!(!waiting.is_finished());
    sqlx::raw_sql("rollback").execute(&mut *holder).await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn rows_that_change_places_do_not_open() {
    let database = TestDatabase::create().await;
    let writer = vault(&database, OLD, &[]).await;
    writer.sealing(TENANT).await.unwrap();
    writer.sealing(OTHER).await.unwrap();
    let owner = database.owner().await;
    let swap =
        "update vault.data_keys k set wrapped = o.wrapped from vault.data_keys o where o.tenant_id <> k.tenant_id";
    sqlx::query(swap).execute(&owner).await.unwrap();
    let reader = vault(&database, OLD, &[]).await;
    assert!(matches!(reader.tenant(TENANT).await, Err(VaultError::Broken)));
    assert!(reader.check().await.is_err());
}

#[tokio::test]
async fn the_wrong_key_is_named_and_opens_nothing() {
    let database = TestDatabase::create().await;
    vault(&database, OLD, &[]).await.sealing(TENANT).await.unwrap();
    let wrong = vault(&database, NEW, &[]).await;
    assert!(matches!(wrong.check().await, Err(VaultError::WrongKey(_))));
    let superuser = database.superuser().await;
    let reserved = || sqlx::query_scalar::<_, i64>("select seals_reserved from vault.data_keys").fetch_one(&superuser);
    let before = reserved().await.unwrap();
    assert!(matches!(*wrong.sealing(TENANT).await.unwrap_err(), VaultError::WrongKey(_)));
    assert_eq!(reserved().await.unwrap(), before, "nothing is reserved that nobody can seal with");
    assert!(wrong.check().await.unwrap_err().to_string().contains("settings of the vault"));
}

#[tokio::test]
async fn everything_stays_readable_while_both_kinds_of_keys_are_rotated_at_once() {
    let database = TestDatabase::create().await;
    let before = vault(&database, OLD, &[]).await;
    for tenant in 1..=20 {
        before.sealing(Uuid::from_u128(tenant)).await.unwrap();
    }
    let sealed = before.tenant(TENANT).await.unwrap().seal("r", "f", b"secret").unwrap();
    let subject = write_key(&database, &before, 1).await.seal(&[b"here"], b"Ada");
    let (one, two) = (vault(&database, NEW, &[OLD]).await, vault(&database, NEW, &[OLD]).await);
    let rotations = futures::join!(
        vault::rotate_kek(&one),
        vault::rotate_kek(&two),
        vault::rotate_data_keys(&one, None),
        vault::rotate_data_keys(&two, Some(TENANT)),
    );
    rotations.0.and(rotations.1).and(rotations.2).and(rotations.3).unwrap();
    vault::rotate_kek(&one).await.unwrap();
    // The old key may be thrown away now.
    let after = vault(&database, NEW, &[]).await;
    after.check().await.unwrap();
    assert_eq!(vault::rotate_kek(&after).await.unwrap().done, 0);
    let keys = after.sealing(TENANT).await.unwrap();
    assert_eq!(keys.open("r", "f", &sealed).unwrap(), b"secret");
    assert_eq!(opened(&after, &subject).await.unwrap().unwrap(), b"Ada");
    let fresh = keys.seal("r", "f", b"fresh").unwrap();
    assert!(fresh[1..5] > sealed[1..5], "a newer generation seals");
    for tenant in 1..=20 {
        after.tenant(Uuid::from_u128(tenant)).await.unwrap();
    }
}

#[tokio::test]
async fn a_generation_that_has_sealed_enough_is_followed_by_another() {
    let database = TestDatabase::create().await;
    let writer = vault(&database, OLD, &[]).await;
    let first = writer.sealing(TENANT).await.unwrap().seal("r", "f", b"x").unwrap();
    let spent = "update vault.data_keys set seals_reserved = 4294967";
    sqlx::query(spent).execute(&database.owner().await).await.unwrap();
    let next = vault(&database, OLD, &[]).await.sealing(TENANT).await.unwrap();
    let second = next.seal("r", "f", b"x").unwrap();
    assert_eq!((first[4], second[4]), (1, 2));
    assert_eq!(next.open("r", "f", &first).unwrap(), b"x");
}

#[tokio::test]
async fn nothing_that_was_reserved_is_given_back_and_no_generation_is_skipped() {
    let database = TestDatabase::create().await;
    vault(&database, OLD, &[]).await.sealing(TENANT).await.unwrap();
    let superuser = database.superuser().await;
    let state = || {
        let sql = "select generation, seals_reserved from vault.data_keys order by generation";
        sqlx::query_as::<_, (i32, i64)>(sql).fetch_all(&superuser)
    };
    let before = state().await.unwrap();
    for pool in [database.command().await, database.worker().await] {
        let reserve = |block: Option<i64>, at_most: i64| {
            let sql = "select vault.reserve(array[$1]::uuid[], $2, $3)";
            sqlx::query(sql).bind(TENANT).bind(block).bind(at_most).fetch_all(&pool)
        };
        for block in [Some(-1), Some(0), Some(i64::MIN), Some(65_537), Some(i64::MAX), None] {
            assert!(reserve(block, i64::MAX).await.is_err(), "{block:?}");
        }
        let skip = "select vault.add_data_keys(array[$1]::uuid[], array[2147483647, 3, 0, -1], array['', '', '', '']::bytea[], '{a,a,a,a}')";
        sqlx::query(skip).bind(TENANT).execute(&pool).await.unwrap();
        let lower = "update vault.data_keys set seals_reserved = 0";
        assert!(sqlx::query(lower).execute(&pool).await.is_err());
    }
    assert_eq!(state().await.unwrap(), before);
    let nearly = "update vault.data_keys set seals_reserved = 4294900";
    sqlx::query(nearly).execute(&superuser).await.unwrap();
    let reserve = "select vault.reserve(array[$1]::uuid[], 65536, 9223372036854775807)";
    let got = sqlx::query(reserve).bind(TENANT).fetch_all(&database.command().await).await.unwrap();
    assert!(got.is_empty(), "the limit is not the caller's");
}

#[tokio::test]
async fn a_destroyed_key_is_forgotten_everywhere_and_its_generation_never_comes_again() {
    let database = TestDatabase::create().await;
    let (one, another) = (vault(&database, OLD, &[]).await, vault(&database, OLD, &[]).await);
    let sealed = write_key(&database, &one, 1).await.seal(&[b"here"], b"Ada");
    assert_eq!(opened(&another, &sealed).await.unwrap().unwrap(), b"Ada");
    // Long enough that the other one follows.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let mut told = another.destroyed();
    assert_eq!(one.destroy(TENANT, SUBJECT).await.unwrap(), 1);
    assert_eq!(one.destroy(TENANT, SUBJECT).await.unwrap(), 0, "again is harmless");
    tokio::time::timeout(Duration::from_secs(10), told.changed()).await.unwrap().unwrap();
    assert_eq!(opened(&another, &sealed).await.unwrap(), None);
    let kept = vec![WrappedSubjectKey { generation: 1, wrapped: None }];
    assert_eq!(one.admit(TENANT, SUBJECT, kept).await.unwrap().next_generation(), 2);
    let later = write_key(&database, &one, 2).await.seal(&[b"here"], b"Ada again");
    assert_eq!(opened(&another, &later).await.unwrap().unwrap(), b"Ada again");
    assert_eq!(opened(&another, &sealed).await.unwrap(), None);
    let refused = sqlx::query("delete from vault.destroyed_keys").execute(&database.owner().await).await;
    assert!(refused.unwrap_err().to_string().contains("append-only"));
}

#[tokio::test]
async fn a_restored_key_is_destroyed_again_from_the_list() {
    let database = TestDatabase::create().await;
    let writer = vault(&database, OLD, &[]).await;
    let sealed = write_key(&database, &writer, 1).await.seal(&[b"here"], b"Ada");
    let owner = database.owner().await;
    let backup: Vec<u8> = sqlx::query_scalar("select wrapped from vault.subject_keys").fetch_one(&owner).await.unwrap();
    writer.destroy(TENANT, SUBJECT).await.unwrap();
    let list = vault::destroyed(writer.pool()).await.unwrap();
    let written: Vec<vault::Destroyed> = list.iter().map(|key| key.to_string().parse().unwrap()).collect();
    assert_eq!(written, list);
    sqlx::query("update vault.subject_keys set wrapped = $1").bind(backup).execute(&owner).await.unwrap();
    let restored = vault(&database, OLD, &[]).await;
    assert_eq!(opened(&restored, &sealed).await.unwrap().unwrap(), b"Ada");
    assert_eq!(reapply(&restored, &list).await.unwrap().destroyed, list);
    assert_eq!(reapply(&restored, &list).await.unwrap().gone, 1);
    let after = vault(&database, OLD, &[]).await;
    assert_eq!(opened(&after, &sealed).await.unwrap(), None);
}
