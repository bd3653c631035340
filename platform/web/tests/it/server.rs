//! The server on real sockets, against clients who are slow, rude or up to something.

use ::web::{BodyLimits, Front, Problem, ServerSettings, Stopper, listen, read_json};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use local_servers::free_port;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How long a test waits for what must happen: far longer than any limit below.
const PATIENCE: Duration = Duration::from_secs(60);
/// The server's clock is up to half a second late, so not much shorter.
const SHORT: Duration = Duration::from_millis(1_500);

async fn echo(request: HttpRequest, payload: Payload) -> Result<HttpResponse, Problem> {
    let limits = BodyLimits { bytes_max: 1_000, time_max: SHORT };
    let body = read_json(&request, payload, limits).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(body.0))
}

fn routes(config: &mut ServiceConfig) {
    config.route("/echo", web::post().to(echo));
    config.route("/ok", web::get().to(|| async { HttpResponse::Ok().body("fine") }));
    config.route("/refuses", web::put().to(refuse));
    config.route("/ticks", web::get().to(ticks));
    config.route("/long", web::get().to(|| async { HttpResponse::Ok().body("x".repeat(64 << 20)) }));
}

async fn refuse() -> Result<HttpResponse, Problem> {
    Err(Problem::new(&::web::code::UNAUTHENTICATED, "nobody comes in here"))
}

/// A word now and then, for ever.
async fn ticks() -> HttpResponse {
    let ticks = futures::stream::unfold((), |()| async {
        tokio::time::sleep(SHORT / 10).await;
        Some((Ok::<_, std::io::Error>(web::Bytes::from_static(b"tick")), ()))
    });
    HttpResponse::Ok().streaming(ticks)
}

fn settings() -> ServerSettings {
    ServerSettings { workers: 1, header_timeout: SHORT, keep_alive: SHORT, ..ServerSettings::default() }
}

struct Running {
    port: u16,
    stopper: Stopper,
}

impl Running {
    fn start(settings: &ServerSettings) -> Self {
        Self::with(settings, Front::default())
    }

    fn with(settings: &ServerSettings, front: Front) -> Self {
        let port = free_port().unwrap();
        let (server, stopper) = listen(([127, 0, 0, 1], port).into(), settings, Data::new(front), routes).unwrap();
        actix_web::rt::spawn(server);
        Self { port, stopper }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// What comes back until the connection ends, which it must.
    async fn say(&self, text: &str) -> String {
        let mut connection = self.connect().await;
        connection.write_all(text.as_bytes()).await.unwrap();
        rest(&mut connection).await
    }
}

async fn rest(connection: &mut TcpStream) -> String {
    let mut answer = vec![];
    // A connection that was reset has said what it had to say.
    let read = timeout(PATIENCE, connection.read_to_end(&mut answer)).await.expect("the connection ends");
    drop(read);
    String::from_utf8(answer).unwrap()
}

/// One answer with its body, on a connection that goes on.
async fn one_answer(connection: &mut TcpStream, end: &str) -> String {
    let mut answer = String::new();
    while !answer.ends_with(end) {
        let mut bytes = [0; 4_096];
        let count = timeout(PATIENCE, connection.read(&mut bytes)).await.expect("an answer").unwrap();
        assert_ne!(count, 0, "it ended after {answer:?}");
        answer.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    answer
}

fn problem(answer: &str, status: u16, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
    for header in
        ["content-type: application/problem+json", "x-content-type-options: nosniff", "cache-control: no-store"]
    {
        assert!(answer.contains(header), "{header} is not in {answer}");
    }
    assert!(answer.contains("content-security-policy: default-src 'none'"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

const OK: &str = "GET /ok HTTP/1.1\r\nhost: x\r\n\r\n";

/// Attack D-01: headers that trickle in.
#[actix_web::test]
async fn d_01_slow_headers_are_given_up() {
    let running = Running::start(&settings());
    let mut slow = running.connect().await;
    slow.write_all(b"GET /ok HTTP/1.1\r\nhost: x\r\nx-a: ").await.unwrap();
    let (mut reader, mut writer) = slow.into_split();
    // A byte now and then does not buy more time.
    let trickle = actix_web::rt::spawn(async move {
        while writer.write_all(b"b").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut answer = String::new();
    drop(timeout(PATIENCE, reader.read_to_string(&mut answer)).await.expect("the connection ends"));
    trickle.abort();
    problem(&answer, 408, "request-timeout");
    let silent = rest(&mut running.connect().await).await;
    assert!(silent.is_empty() || silent.starts_with("HTTP/1.1 408"), "{silent}");
}

/// Attack D-01 again, by somebody who was answered once.
#[actix_web::test]
async fn d_01_slow_headers_of_a_further_request_are_given_up() {
    let running = Running::start(&settings());
    let mut connection = running.connect().await;
    connection.write_all(OK.as_bytes()).await.unwrap();
    one_answer(&mut connection, "fine").await;
    let (mut reader, mut writer) = connection.into_split();
    let trickle = actix_web::rt::spawn(async move {
        drop(writer.write_all(b"GET /ok HTTP/1.1\r\nhost: x\r\nx-a: ").await);
        while writer.write_all(b"b").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut answer = vec![];
    drop(timeout(PATIENCE, reader.read_to_end(&mut answer)).await.expect("the connection ends"));
    trickle.abort();
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"), "it was no request");
}

/// Attack D-01: bodies that trickle in, are announced too long or go on without end.
#[actix_web::test]
async fn d_01_slow_and_endless_bodies_are_given_up() {
    let running = Running::start(&settings());
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let slow = running.say(&format!("{head}content-length: 20\r\n\r\n{{\"na")).await;
    problem(&slow, 408, "request-timeout");
    assert!(slow.contains("connection: close"), "{slow}");
    let announced = running.say(&format!("{head}content-length: 10000000000\r\n\r\n{{")).await;
    problem(&announced, 413, "body-too-large");
    let endless =
        format!("{head}transfer-encoding: chunked\r\n\r\n{}", "64\r\n".to_owned() + &"x".repeat(100) + "\r\n");
    let endless = running.say(&(endless + &("64\r\n".to_owned() + &"x".repeat(100) + "\r\n").repeat(20))).await;
    problem(&endless, 413, "body-too-large");
    let ok = running.say(&format!("{head}connection: close\r\ncontent-length: 2\r\n\r\n{{}}")).await;
    assert!(ok.ends_with("{}"), "{ok}");
}

/// Attack D-02: a body that is small until it is unpacked.
#[actix_web::test]
async fn d_02_compressed_bodies_are_not_unpacked() {
    let running = Running::start(&settings());
    // "{}" with gzip, as `printf {} | gzip -n` makes it.
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00";
    let head = format!(
        "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        gzip.len()
    );
    let mut connection = running.connect().await;
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(gzip).await.unwrap();
    problem(&rest(&mut connection).await, 415, "unsupported-media-type");
}

/// Attack D-03: connections that ask for nothing.
#[actix_web::test]
async fn d_03_idle_connections_make_room_for_others() {
    let running = Running::start(&ServerSettings { connections_max: 8, ..settings() });
    let mut idle = vec![];
    for _ in 0..40 {
        idle.push(running.connect().await);
    }
    assert!(running.say("GET /ok HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.ends_with("fine"));
}

/// Attack D-03: all of them from one address.
#[actix_web::test]
async fn d_03_one_address_has_some_connections_and_others_have_theirs() {
    let running = Running::start(&ServerSettings { connections_per_address_max: 4, ..settings() });
    let mut idle = vec![];
    for _ in 0..40 {
        idle.push(running.connect().await);
    }
    // The newest are ended without a word, long before an idle one is.
    let mut newest = idle.pop().unwrap();
    let ended = timeout(SHORT / 2, newest.read(&mut [0])).await.expect("at once");
    assert!(!ended.is_ok_and(|count| count > 0));
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
    let mut other = socket.connect(([127, 0, 0, 1], running.port).into()).await.unwrap();
    other.write_all(b"GET /ok HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, other.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    assert!(answer.ends_with("fine"), "{answer}");
}

/// A client that reads nothing holds its answer in our memory.
#[actix_web::test]
async fn d_01_whoever_takes_no_answer_is_given_up() {
    let running = Running::start(&ServerSettings { answer_timeout: SHORT, ..settings() });
    let mut connection = running.connect().await;
    connection.write_all(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(4 * SHORT).await;
    let mut answer = vec![];
    drop(timeout(PATIENCE, connection.read_to_end(&mut answer)).await.expect("the connection ends"));
    assert!(answer.len() < 64 << 20, "{} bytes came although nobody took them in time", answer.len());
}

#[actix_web::test]
async fn an_answer_that_goes_on_is_not_cut_off_for_want_of_a_request() {
    let running = Running::start(&settings());
    let mut connection = running.connect().await;
    connection.write_all(b"GET /ticks HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    // Longer than a connection without a request lasts.
    while answer.matches("tick").count() < 30 {
        let mut bytes = [0; 4_096];
        let count = timeout(PATIENCE, connection.read(&mut bytes)).await.expect("it goes on").unwrap();
        assert_ne!(count, 0, "it ended after {answer:?}");
        answer.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
}

/// Attack H-01: requests that two servers could read as two different ones.
#[actix_web::test]
async fn h_01_ambiguous_framing_is_refused_and_ends_the_connection() {
    let running = Running::start(&settings());
    let body = "0\r\n\r\nGET /ok HTTP/1.1\r\nhost: x\r\n\r\n";
    let post = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    for head in [
        // CL.TE and TE.CL
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        // TE.TE
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5\r\ncontent-length: 5\r\n",
        "content-length: +5\r\n",
        "content-length: -1\r\n",
        "content-length: 5, 6\r\n",
        "content-length: 0x5\r\n",
        "content-length: 99999999999999999999\r\n",
        // obs-fold, space before the colon, a name with a space, a bare CR
        "x-a: b\r\n c\r\n",
        "content-length : 5\r\n",
        "transfer encoding: chunked\r\n",
        "x-a: b\rc\r\n",
        // a bare LF, which a proxy in front may take for a part of the value
        "x-a: b\nx-c: d\r\n",
        "x-a: b\n",
        "x-a: b\0c\r\n",
    ] {
        let answer = running.say(&format!("{post}{head}\r\n{body}")).await;
        problem(&answer, 400, "invalid-request");
        assert!(answer.contains("connection: close") && !answer.contains("fine"), "{head:?}: {answer}");
    }
    for chunk in [
        "5\nhello\r\n0\r\n\r\n",
        "5;\0\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n",
        "5x\r\nhello\r\n",
        "ffffffffffffffffff\r\nhello\r\n",
    ] {
        let answer = running.say(&format!("{post}transfer-encoding: chunked\r\n\r\n{chunk}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunk:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{chunk:?}: {answer}");
    }
}

/// Attack H-03: more than the server itself reads.
#[actix_web::test]
async fn h_03_what_is_far_too_large_is_refused_as_a_problem_too() {
    let running = Running::start(&settings());
    let huge = running.say(&format!("GET /ok HTTP/1.1\r\nhost: x\r\nx-a: {}\r\n\r\n", "b".repeat(1 << 20))).await;
    problem(&huge, 431, "headers-too-large");
    let many = (0..10_000).map(|n| format!("x-{n}: b\r\n")).collect::<String>();
    problem(&running.say(&format!("GET /ok HTTP/1.1\r\nhost: x\r\n{many}\r\n")).await, 431, "headers-too-large");
    let some = (0..70).map(|n| format!("x-{n}: b\r\n")).collect::<String>();
    let request = format!("GET /ok HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{some}\r\n");
    problem(&running.say(&request).await, 431, "headers-too-large");
    let endless = format!("GET /{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "a".repeat(60_000));
    problem(&running.say(&endless).await, 414, "uri-too-long");
}

/// Attack H-04: methods and targets that mean something to a proxy, hosts that contradict each other.
#[actix_web::test]
async fn h_04_odd_methods_targets_and_hosts_are_refused() {
    let running = Running::start(&settings());
    for (request, status) in [
        ("TRACE /ok HTTP/1.1\r\nhost: x\r\n", 404),
        ("BREW /ok HTTP/1.1\r\nhost: x\r\n", 404),
        ("CONNECT x:443 HTTP/1.1\r\nhost: x\r\n", 404),
        ("GET /ok HTTP/1.1\r\n", 400),
        ("GET /ok HTTP/1.1\r\nhost: x\r\nhost: y\r\n", 400),
        ("GET /ok HTTP/1.1\r\nhost: x\r\nhost: x\r\n", 400),
        ("GET /ok HTTP/1.1\r\nhost:\r\n", 400),
        ("GET /ok HTTP/1.1\r\nhost: a/b\r\n", 400),
        ("GET /ok HTTP/1.1\r\nhost: [::1\r\n", 400),
        ("GET /ok HTTP/1.1\r\nhost: [::1]x\r\n", 400),
        ("GET /ok HTTP/1.1\r\nhost: a,b\r\n", 400),
        ("GET /ok HTTP/1.1\r\nhost: a b\r\n", 400),
        ("GET /ok HTTP/1.1\r\nhost: u@x\r\n", 400),
        ("GET /ok HTTP/1.1\r\nhost: x:80:80\r\n", 400),
        ("GET /ok HTTP/1.1\r\nhost: x:http\r\n", 400),
        ("GET /ok HTTP/1.1\r\nhost: :80\r\n", 400),
        ("GET /ok HTTP/3.0\r\nhost: x\r\n", 400),
        ("GET  /ok HTTP/1.1\r\nhost: x\r\n", 400),
        ("nonsense\r\n", 400),
        ("\x16\x03\x01\x02\r\n", 400),
    ] {
        let answer = running.say(&format!("{request}connection: close\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
        assert!(answer.contains("application/problem+json") && !answer.contains("fine"), "{request:?}: {answer}");
    }
}

#[actix_web::test]
async fn hosts_as_they_are_spelt_and_head_wherever_get_is() {
    let running = Running::start(&settings());
    for host in ["x", "api.example.com:8443", "127.0.0.1:80", "[::1]:8080", "a_b", "x."] {
        let answer = running.say(&format!("GET /ok HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.ends_with("fine"), "{host}: {answer}");
    }
    let head = running.say("HEAD /ok HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("content-length: 4\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "no body: {head}");
}

/// Attack H-05: a promise of a body that never comes, and protocols that we do not speak.
#[actix_web::test]
async fn h_05_expectations_and_upgrades_hold_nothing_open() {
    let running = Running::start(&settings());
    let expect = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
                  content-length: 20\r\n\r\n";
    let answer = running.say(expect).await;
    let answer = answer.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").expect("it reads the body");
    problem(answer, 408, "request-timeout");
    let unwanted = expect.replace("/echo", "/refuses").replace("POST", "PUT");
    let answer = running.say(&unwanted).await;
    problem(&answer, 401, "unauthenticated");
    assert!(answer.contains("connection: close"), "what follows may be a body that nobody wants: {answer}");
    let mut connection = running.connect().await;
    connection.write_all(expect.replace("content-length: 20", "content-length: 2").as_bytes()).await.unwrap();
    assert_eq!(one_answer(&mut connection, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    connection.write_all(b"{}").await.unwrap();
    assert!(one_answer(&mut connection, "{}").await.starts_with("HTTP/1.1 200 "));
    for upgrade in ["websocket", "h2c", "TLS/1.0"] {
        let request = format!("GET /ok HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: {upgrade}\r\n\r\n");
        let answer = running.say(&request).await;
        assert!(!answer.contains(" 101 "), "{upgrade}: {answer}");
    }
}

/// Attack S-11: pages of origins that are not listed, or look like one that is.
#[actix_web::test]
async fn s_11_only_listed_origins_are_answered_to_their_pages() {
    let front = Front { origins: vec!["https://app.example.com".to_owned()], ..Front::default() };
    let running = Running::with(&settings(), front);
    let ask = async |method: &str, origin: &str| {
        let preflight = "access-control-request-method: POST\r\naccess-control-request-headers: x-csrf-token\r\n";
        let preflight = if method == "OPTIONS" { preflight } else { "" };
        let origin = format!("origin: {origin}\r\n");
        running.say(&format!("{method} /ok HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{origin}{preflight}\r\n")).await
    };
    for origin in [
        "https://evil.example",
        "null",
        "*",
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "https://evilapp.example.com",
        "https://app.example.com:444",
        "https://app.example.com/",
        "https://APP.example.com",
        "https://app.example.com, https://evil.example",
    ] {
        for method in ["GET", "OPTIONS"] {
            let answer = ask(method, origin).await.to_lowercase();
            assert!(!answer.contains("access-control-allow-"), "{method} {origin}: {answer}");
            assert!(!answer.contains("access-control-expose-"), "{method} {origin}: {answer}");
            assert!(
                method == "OPTIONS" || answer.contains("vary: origin"),
                "no cache may keep it for others: {answer}"
            );
        }
    }
    let answer = ask("GET", "https://app.example.com").await.to_lowercase();
    assert!(answer.contains("access-control-allow-origin: https://app.example.com\r\n"), "{answer}");
    assert!(answer.contains("access-control-allow-credentials: true"), "{answer}");
    let exposed = answer.lines().find(|line| line.starts_with("access-control-expose-headers")).unwrap();
    for name in ["etag", "location", "ratelimit", "ratelimit-policy", "retry-after", "request-id"] {
        assert!(exposed.split([' ', ',']).any(|shown| shown == name), "{name} is not in {exposed}");
    }
    let preflight = ask("OPTIONS", "https://app.example.com").await.to_lowercase();
    assert!(preflight.starts_with("http/1.1 200"), "{preflight}");
    assert!(preflight.contains("access-control-max-age: 600") && preflight.contains("x-csrf-token"), "{preflight}");
}

#[actix_web::test]
async fn a_server_that_is_stopped_waits_for_no_idle_connection() {
    let running = Running::start(&ServerSettings { keep_alive: Duration::from_secs(600), ..settings() });
    let mut idle = running.connect().await;
    idle.write_all(OK.as_bytes()).await.unwrap();
    one_answer(&mut idle, "fine").await;
    timeout(PATIENCE, running.stopper.stop()).await.expect("it ends");
    assert_eq!(rest(&mut idle).await, "");
}
