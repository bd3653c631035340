//! Every server is started for real, loses what it may lose and keeps what it must keep.
//!
//! The servers are of each test's own, so these tests need no `cargo xtask test` around them, only the installation.

use local_servers::{
    Dirs, Gone, Nats, NatsOptions, Postgres, PostgresMode, Process, Programs, Redis, S3, S3_PORTS, ensure_installed,
    free_port, free_ports, http_get, port_holder,
};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

#[test]
fn postgres_keeps_a_commit_through_the_death_of_postmaster_and_sessions() {
    let dirs = Dirs::throwaway().unwrap();
    let mut postgres = Postgres::start(&programs(), &dirs, free_port().unwrap(), PostgresMode::Durable).unwrap();
    sql(&postgres, "create table kept (n int); insert into kept values (7)");
    let mut session = psql(&postgres).args(["-c", "select pg_sleep(600)"]).spawn().unwrap();
    wait_for(|| sql(&postgres, "select count(*) from pg_stat_activity where query like '%pg_sleep(600)%'") == "2");

    let killed = postgres.pid();
    postgres.kill().unwrap();
    assert!(!postgres.is_running());
    assert!(!session.wait().unwrap().success(), "its session died with it");
    assert_eq!(port_holder(postgres.port), None);

    postgres.restart().unwrap();
    assert_ne!(postgres.pid(), killed);
    assert_eq!(sql(&postgres, "select n from kept"), "7");
    assert_eq!(sql(&postgres, "show idle_in_transaction_session_timeout"), "1min");
    assert_eq!(sql(&postgres, "show fsync"), "on");
    assert_eq!(postgres.stop().unwrap(), Gone::Politely);
}

#[test]
fn postgres_starts_as_soon_as_what_a_killed_one_left_has_ended() {
    let dirs = Dirs::throwaway().unwrap();
    let mut postgres = Postgres::start(&programs(), &dirs, free_port().unwrap(), PostgresMode::Durable).unwrap();
    let mut session = psql(&postgres).args(["-c", "select pg_sleep(600)"]).spawn().unwrap();
    let mut left = String::new();
    wait_for(|| {
        left = sql(&postgres, "select pid from pg_stat_activity where query = 'select pg_sleep(600)'");
        !left.is_empty()
    });
    let signal = |name: &str, pid: &str| assert!(Command::new("kill").args([name, pid]).status().unwrap().success());
    // Stopped, it cannot notice that its postmaster is gone.
    signal("-STOP", &left);
    signal("-KILL", &postgres.pid().to_string());
    let log = dirs.root().join("log/postgres.log");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for(|| std::fs::read_to_string(&log).is_ok_and(|log| log.contains("shared memory block")));
            signal("-CONT", &left);
        });
        postgres.restart().unwrap();
    });
    assert_eq!(sql(&postgres, "select 1"), "1");
    assert!(!session.wait().unwrap().success());
}

#[test]
fn postgres_lets_nobody_in_without_the_password() {
    let dirs = Dirs::throwaway().unwrap();
    let postgres = Postgres::start(&programs(), &dirs, free_port().unwrap(), PostgresMode::Throwaway).unwrap();
    assert_eq!(sql(&postgres, "show fsync"), "off");
    let url = format!("postgres://postgres:wrong@127.0.0.1:{}/postgres", postgres.port);
    let refused = Command::new(postgres.bin.join("psql")).arg(url).args(["-c", "select 1"]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("password authentication failed"));
}

#[test]
fn nats_keeps_streams_through_a_kill_and_loses_them_when_wiped() {
    let dirs = Dirs::throwaway().unwrap();
    let (port, monitor) = (free_port().unwrap(), free_port().unwrap());
    let options = NatsOptions { sync_always: true };
    let mut nats = Nats::start(&programs(), &dirs, port, monitor, options).unwrap();
    let create = r#"{"name":"EVENTS","subjects":["e.>"],"storage":"file","retention":"limits","max_msgs":-1,"max_bytes":-1,"max_age":0,"max_consumers":-1,"num_replicas":1,"discard":"old"}"#;
    nats_request(&nats, "$JS.API.STREAM.CREATE.EVENTS", create);
    nats_request(&nats, "e.one", "hello");
    assert_eq!(nats_streams_and_messages(&nats), (1, 1));

    nats.kill().unwrap();
    assert!(!nats.is_running());
    nats.restart().unwrap();
    assert_eq!(nats_streams_and_messages(&nats), (1, 1), "an acknowledged message was on the disk");

    nats.wipe().unwrap();
    assert_eq!(nats_streams_and_messages(&nats), (0, 0));
    assert_eq!(nats.stop().unwrap(), Gone::Politely);
}

#[test]
fn redis_keeps_what_it_appended_to_its_file() {
    let dirs = Dirs::throwaway().unwrap();
    let mut redis = Redis::start(&programs(), &dirs, free_port().unwrap()).unwrap();
    assert!(redis_say(&redis, "SET kept 7").contains("+OK"));
    assert_eq!(redis.stop().unwrap(), Gone::Politely);
    redis.restart().unwrap();
    assert!(redis_say(&redis, "GET kept").contains('7'));
    redis.kill().unwrap();
    redis.restart().unwrap();
    assert!(redis.is_running());
    let mut stranger = TcpStream::connect(("127.0.0.1", redis.port)).unwrap();
    stranger.write_all(b"GET kept\r\nQUIT\r\n").unwrap();
    let mut answer = String::new();
    stranger.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("NOAUTH"), "{answer}");
}

#[test]
fn s3_answers_again_after_stop_and_kill_and_lets_no_stranger_in() {
    let dirs = Dirs::throwaway().unwrap();
    let mut s3 = S3::start(&programs(), &dirs, free_ports::<S3_PORTS>().unwrap()).unwrap();
    assert_eq!(http_get(s3.port, "/attachments/secret").unwrap().0, 403);
    s3.kill().unwrap();
    assert!(http_get(s3.port, "/healthz").is_err());
    s3.restart().unwrap();
    assert_eq!(http_get(s3.port, "/healthz").unwrap().0, 200);
    assert_eq!(s3.stop().unwrap(), Gone::Politely);
}

#[test]
fn a_kept_server_is_taken_over_by_the_next_run_and_a_dead_one_replaced() {
    let throwaway = Dirs::throwaway().unwrap();
    let kept = Dirs::kept(&throwaway.root().join("kept")).unwrap();
    let port = free_port().unwrap();
    let first = Redis::start(&programs(), &kept, port).unwrap();
    let pid = first.pid();
    drop(first);

    let mut second = Redis::start(&programs(), &kept, port).unwrap();
    assert_eq!(second.pid(), pid, "it ran on and was found again");
    second.kill().unwrap();
    drop(second);

    let mut third = Redis::start(&programs(), &kept, port).unwrap();
    assert_ne!(third.pid(), pid);
    third.stop().unwrap();
}

#[test]
fn a_throw_away_server_ends_with_its_value_and_its_folder_with_it() {
    let dirs = Dirs::throwaway().unwrap();
    let root = dirs.root().to_owned();
    let redis = Redis::start(&programs(), &dirs, free_port().unwrap()).unwrap();
    let port = redis.port;
    drop(dirs);
    assert!(root.exists(), "still in use");
    drop(redis);
    assert_eq!(port_holder(port), None);
    assert!(!root.exists());
}

#[test]
fn a_process_number_that_somebody_else_uses_now_is_not_ours() {
    let dirs = Dirs::throwaway().unwrap();
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    let record = dirs.record("redis");
    // The number of a running process, but not its start time.
    std::fs::write(&record, format!(r#"{{"pid":{},"started":1,"fingerprint":""}}"#, stranger.id())).unwrap();
    assert!(Process::recorded("Redis", &record).is_none());
    assert!(stranger.try_wait().unwrap().is_none(), "it was left alone");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_taken_port_names_its_holder() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let holder = port_holder(port).unwrap();
    assert!(holder.contains(&std::process::id().to_string()), "{holder}");
}

#[test]
fn a_free_port_is_given_once() {
    let mut ports: Vec<u16> = (0..200).map(|_| free_port().unwrap()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 200);
}

fn programs() -> Programs {
    ensure_installed(&mut |step| eprintln!("{step}")).unwrap()
}

fn psql(postgres: &Postgres) -> Command {
    let mut psql = Command::new(postgres.bin.join("psql"));
    psql.args([&postgres.url, "-qtAX"]);
    psql
}

fn sql(postgres: &Postgres, statement: &str) -> String {
    let output = psql(postgres).args(["-c", statement]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// One request in NATS's own text protocol, so that this crate needs no client.
fn nats_request(nats: &Nats, subject: &str, payload: &str) -> String {
    let password = nats.url.split([':', '@']).nth(2).unwrap();
    let mut connection = TcpStream::connect(("127.0.0.1", nats.port)).unwrap();
    connection.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    let length = payload.len();
    write!(
        connection,
        "CONNECT {{\"verbose\":false,\"user\":\"ubos\",\"pass\":\"{password}\"}}\r\nSUB answer 1\r\n\
         PUB {subject} answer {length}\r\n{payload}\r\n"
    )
    .unwrap();
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    while !answer.contains("MSG answer") {
        let read = connection.read(&mut buffer).unwrap();
        assert!(read > 0, "{answer}");
        answer.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert!(!answer.contains("\"error\""), "{answer}");
    answer
}

fn nats_streams_and_messages(nats: &Nats) -> (u64, u64) {
    let page: serde_json::Value = serde_json::from_str(&http_get(nats.monitor_port, "/jsz").unwrap().1).unwrap();
    (page["streams"].as_u64().unwrap(), page["messages"].as_u64().unwrap())
}

fn redis_say(redis: &Redis, command: &str) -> String {
    let password = redis.url.split([':', '@']).nth(2).unwrap();
    let mut connection = TcpStream::connect(("127.0.0.1", redis.port)).unwrap();
    write!(connection, "AUTH {password}\r\n{command}\r\nQUIT\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

fn wait_for(mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "waited too long");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
