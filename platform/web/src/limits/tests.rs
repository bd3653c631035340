use super::*;
use kernel::{ServiceAccountId, UserId};
use local_servers::{Dirs, Redis, ensure_installed, free_port};
use std::net::Ipv6Addr;
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3_600);

fn quota(requests: u32) -> Option<Quota> {
    Some(Quota { requests, window: HOUR })
}

fn user(tenant: TenantId) -> Who {
    Who { tenant, principal: Principal::User { id: UserId(Uuid::now_v7()) }, api_key: None }
}

fn firm() -> TenantId {
    TenantId(Uuid::now_v7())
}

/// A network that no other test uses.
fn address() -> IpAddr {
    Ipv6Addr::from_bits((rand::random::<u128>() >> 4) | (0x2 << 124)).into()
}

/// Patient, because a busy machine is no Redis that is away.
fn copy(quotas: Quotas, url: &str) -> Limits {
    impatient_copy(quotas, url, Duration::from_secs(10))
}

fn impatient_copy(quotas: Quotas, url: &str, patience: Duration) -> Limits {
    Limits::shared(quotas, redis::Client::open(url).unwrap(), patience).unwrap()
}

/// How many of so many requests may come.
async fn allowed(limits: &Limits, who: &Who, requests: usize) -> usize {
    let mut allowed = 0;
    for _ in 0..requests {
        allowed += usize::from(limits.caller(who).await.is_ok());
    }
    allowed
}

#[tokio::test]
async fn each_kind_of_quota_ends_by_itself_and_says_when_to_come_again() {
    let quotas =
        Quotas { address: quota(2), caller: quota(3), key: quota(1), tenant: quota(5), failures: None, logins: None };
    let limits = Limits::local(quotas);
    let (ada, grace) = (user(firm()), address());
    let left = limits.caller(&ada).await.unwrap().unwrap();
    assert_eq!(left.header().unwrap(), "\"caller\";r=2;t=1200", "the nearest to its end");
    assert_eq!(allowed(&limits, &ada, 9).await, 2, "the caller's");
    let too_soon = limits.caller(&ada).await.unwrap_err();
    assert_eq!((too_soon.problem.code(), too_soon.problem.status().as_u16()), ("rate-limited", 429));
    let answer = actix_web::ResponseError::error_response(&too_soon.problem);
    assert_eq!(answer.headers().get("retry-after").unwrap(), "1200");
    assert_eq!(too_soon.left.header().unwrap(), "\"caller\";r=0;t=3600");
    assert_eq!(allowed(&limits, &user(ada.tenant), 9).await, 2, "what is left of the firm's");
    assert_eq!(allowed(&limits, &user(firm()), 9).await, 3, "another firm's");
    for (address, allowed) in [(grace, true), (grace, true), (grace, false), (address(), true)] {
        assert_eq!(limits.address(address).await.is_ok(), allowed);
    }
    assert_eq!(limits.policies(None).unwrap(), "\"address\";q=2;w=3600");
    let all = "\"address\";q=2;w=3600, \"caller\";q=3;w=3600, \"tenant\";q=5;w=3600";
    assert_eq!(limits.policies(Some(&ada)).unwrap(), all);
}

/// Attack D-06: many keys, users, addresses to get round a limit.
#[tokio::test]
async fn d_06_a_limit_is_not_passed_by_many_keys_users_or_addresses() {
    let quotas =
        Quotas { address: quota(2), caller: quota(4), key: quota(3), tenant: quota(9), failures: None, logins: None };
    let limits = Limits::local(quotas);
    let robot = |tenant, id| Who {
        tenant,
        principal: Principal::ServiceAccount { id },
        api_key: Some(ApiKeyId(Uuid::now_v7())),
    };
    let (tenant, account) = (firm(), ServiceAccountId(Uuid::now_v7()));
    assert_eq!(allowed(&limits, &robot(tenant, account), 9).await, 3, "one key has less than its owner");
    let mut more = 0;
    for _ in 0..9 {
        more += allowed(&limits, &robot(tenant, account), 1).await;
    }
    assert_eq!(more, 1, "the owner's quota is all that many keys have");
    let mut others = 0;
    for _ in 0..9 {
        others += allowed(&limits, &user(tenant), 1).await;
    }
    assert_eq!(others, 5, "the firm's quota is all that many users have");
    // A firm that is not registered calls its users what it likes.
    let twin = Who { tenant: firm(), ..robot(tenant, account) };
    assert_eq!(allowed(&limits, &twin, 1).await, 1);
    let IpAddr::V6(one) = address() else { unreachable!() };
    let hop = |n: u128| IpAddr::from(Ipv6Addr::from_bits(one.to_bits() ^ n));
    assert!(limits.address(hop(1)).await.is_ok() && limits.address(hop(2 << 60)).await.is_ok());
    assert!(limits.address(hop(3)).await.is_err(), "one network of 64 bits is one address");
    assert!(limits.address(hop(1 << 64)).await.is_ok(), "the next one is another");
    let mapped = |text: &str| network(text.parse().unwrap());
    assert_eq!(mapped("::ffff:192.0.2.1"), mapped("192.0.2.1"));
}

#[tokio::test]
async fn who_is_not_known_may_not_try_when_too_many_failed_from_there() {
    let limits = Limits::local(Quotas { failures: quota(2), ..Quotas::default() });
    let (here, elsewhere) = (address(), address());
    for _ in 0..2 {
        assert!(limits.may_try(here).is_ok());
        limits.failed(here).await;
    }
    assert_eq!(limits.may_try(here).unwrap_err().problem.code(), "rate-limited");
    assert!(limits.may_try(elsewhere).is_ok());
    assert!(limits.address(here).await.is_ok() && limits.caller(&user(firm())).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_copies_share_the_quotas_of_two_firms() {
    let quotas = Quotas { tenant: quota(40), ..Quotas::default() };
    let copies = [copy(quotas, &testing::redis_url()), copy(quotas, &testing::redis_url())];
    let (busy, quiet) = (user(firm()), user(firm()));
    let mut tasks = vec![];
    for n in 0..8 {
        let limits = copies[n % 2].clone();
        tasks.push(tokio::spawn(async move { allowed(&limits, &busy, 20).await }));
    }
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    assert_eq!(sum, 40, "together, however they are spread");
    assert!(copies.iter().all(Limits::is_shared));
    assert_eq!(allowed(&copies[0], &quiet, 30).await, 30, "nobody pays for the other firm");
    assert_eq!(allowed(&copies[1], &quiet, 30).await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_never_come_to_more_than_the_quota() {
    // Wins back 100,000 a second: blocks of 5,000.
    let quotas =
        Quotas { caller: Some(Quota { requests: 100_000, window: Duration::from_secs(1) }), ..Quotas::default() };
    let copies = [copy(quotas, &testing::redis_url()), copy(quotas, &testing::redis_url())];
    let (who, begun) = (user(firm()), Instant::now());
    let mut tasks = vec![];
    for n in 0..4 {
        let limits = copies[n % 2].clone();
        tasks.push(tokio::spawn(async move { allowed(&limits, &who, 60_000).await }));
    }
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    let won_back = begun.elapsed().as_secs_f64() * 100_000.0;
    assert!(copies.iter().all(Limits::is_shared));
    assert!(sum as f64 <= 100_000.0 + won_back, "{sum} with {won_back} won back");
    assert!(sum >= 90_000, "{sum}: no more than a block is lost to each copy");
}

/// A Redis of its own, which can be killed.
fn own_redis() -> Redis {
    let programs = ensure_installed(&mut |_| {}).unwrap();
    Redis::start(&programs, &Dirs::throwaway().unwrap(), free_port().unwrap()).unwrap()
}

async fn until(so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never so");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_copy_counts_alone_until_it_is_back() {
    let mut redis = own_redis();
    let quotas = Quotas { caller: quota(10), ..Quotas::default() };
    let copies = [copy(quotas, &redis.url), copy(quotas, &redis.url)];
    let who = user(firm());
    assert_eq!(allowed(&copies[0], &who, 4).await, 4);
    assert_eq!(allowed(&copies[1], &who, 4).await, 4);
    redis.kill().unwrap();
    // What was used here before counts on.
    assert_eq!(allowed(&copies[0], &who, 20).await, 6);
    assert_eq!(allowed(&copies[1], &who, 20).await, 6);
    assert!(copies.iter().all(|limits| !limits.is_shared()));
    redis.restart().unwrap();
    until(|| copies.iter().all(Limits::is_shared)).await;
    let another = user(firm());
    assert_eq!(allowed(&copies[0], &another, 6).await + allowed(&copies[1], &another, 20).await, 10, "together again");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_redis_that_is_frozen_or_was_never_there() {
    let mut redis = own_redis();
    let quotas = Quotas { caller: quota(10), ..Quotas::default() };
    let patience = Duration::from_millis(50);
    let frozen = impatient_copy(quotas, &redis.url, patience);
    assert_eq!(allowed(&frozen, &user(firm()), 1).await, 1);
    redis.signal("STOP").unwrap();
    assert_eq!(allowed(&frozen, &user(firm()), 20).await, 10);
    until(|| !frozen.is_shared()).await;
    redis.signal("CONT").unwrap();
    until(|| frozen.is_shared()).await;
    let nowhere = impatient_copy(quotas, &format!("redis://127.0.0.1:{}/0", free_port().unwrap()), patience);
    assert_eq!(allowed(&nowhere, &user(firm()), 20).await, 10);
    until(|| !nowhere.is_shared()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_holds_names_ids_and_networks_and_goes_by_itself() {
    let redis = own_redis();
    let quotas = Quotas {
        address: quota(1),
        failures: quota(1),
        logins: None,
        caller: quota(1),
        key: quota(1),
        tenant: quota(1),
    };
    let limits = copy(quotas, &redis.url);
    let who = Who { api_key: Some(ApiKeyId(Uuid::now_v7())), ..user(firm()) };
    limits.caller(&who).await.unwrap();
    limits.address("2001:db8:1:2:3:4:5:6".parse().unwrap()).await.unwrap();
    limits.failed("192.0.2.7".parse().unwrap()).await;
    let client = redis::Client::open(redis.url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    keys.sort();
    let Principal::User { id } = who.principal else { unreachable!() };
    let (tenant, key) = (who.tenant, who.api_key.unwrap());
    let expected = [
        "ubos:limit:address:2001:db8:1:2::".to_owned(),
        format!("ubos:limit:caller:{tenant}:user:{id}"),
        "ubos:limit:failures:192.0.2.7".to_owned(),
        format!("ubos:limit:key:{tenant}:{key}"),
        format!("ubos:limit:tenant:{tenant}"),
    ];
    assert_eq!(keys, expected);
    for key in keys {
        let lives: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.unwrap();
        assert!((1..=3_600_000).contains(&lives), "{key} lives {lives} ms");
    }
}

/// How often the script ran.
async fn calls(client: &redis::Client) -> u32 {
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_caller_costs_redis_a_call_for_each_block_and_a_flood_none() {
    let redis = own_redis();
    let client = redis::Client::open(redis.url.as_str()).unwrap();
    // Wins back 10 in 50 ms: blocks of 10.
    let quotas =
        Quotas { caller: Some(Quota { requests: 2_000, window: Duration::from_secs(10) }), ..Quotas::default() };
    let (limits, who) = (copy(quotas, &redis.url), user(firm()));
    assert_eq!(allowed(&limits, &who, 1_000).await, 1_000);
    let busy = calls(&client).await;
    assert!((100..=220).contains(&busy), "{busy} calls for 1,000 requests in blocks of 10");
    let quotas = Quotas { caller: quota(5), ..Quotas::default() };
    let limits = copy(quotas, &redis.url);
    assert_eq!(allowed(&limits, &user(firm()), 10_000).await, 5);
    let flood = calls(&client).await - busy;
    assert_eq!(flood, 5, "one for each request of so small a quota, and none when this copy has used it up itself");
}
