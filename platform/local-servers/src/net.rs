//! Ports, and just enough HTTP to ask a server whether it is well.

use anyhow::{Context, Result, bail};
use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

/// Below the range that Linux takes ports of outgoing connections from: a server that is killed and started again by a
/// test must find its port free, although thousands of client connections come and go meanwhile.
const FREE_PORTS: std::ops::Range<u32> = 10_000..32_000;
/// Where `up` lives by default.
const PORTS_OF_UP: std::ops::Range<u32> = 21_400..21_500;

/// A port of 127.0.0.1 that nobody listens on and that this process has not been given before.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(u32::MAX);
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let size = FREE_PORTS.end - FREE_PORTS.start;
    if NEXT.load(Ordering::Relaxed) == u32::MAX {
        // Processes that start at the same moment must not try the same ports in the same order.
        let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.subsec_nanos();
        NEXT.store(
            nanos.wrapping_mul(2_654_435_761).wrapping_add(std::process::id() * 7_919) % size,
            Ordering::Relaxed,
        );
    }
    for _ in 0..size {
        let candidate = FREE_PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % size;
        let port = u16::try_from(candidate)?;
        let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let unused = !PORTS_OF_UP.contains(&candidate) && is_free(port);
        if unused && given.get_or_insert_default().insert(port) {
            return Ok(port);
        }
    }
    bail!("no port between {} and {} is free", FREE_PORTS.start, FREE_PORTS.end)
}

/// Several of them.
pub fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let mut ports = [0; COUNT];
    for port in &mut ports {
        *port = free_port()?;
    }
    Ok(ports)
}

/// Whether a server could listen on this port now.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Who listens on a port: none if it is free, otherwise words for a message ("process 17 (nginx)").
pub fn port_holder(port: u16) -> Option<String> {
    if is_free(port) {
        return None;
    }
    Some(listener(port).unwrap_or_else(|| "a process that we may not see".to_owned()))
}

fn listener(port: u16) -> Option<String> {
    let suffix = format!(":{port:04X}");
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let sockets: Vec<String> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        // Field 3 is the state (0A listens), field 9 the socket's inode.
        .filter(|fields| fields.len() > 9 && fields[1].ends_with(&suffix) && fields[3] == "0A")
        .map(|fields| format!("socket:[{}]", fields[9]))
        .collect();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        if process.file_name().to_string_lossy().parse::<u32>().is_err() {
            continue;
        }
        for descriptor in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(descriptor.path()).unwrap_or_default();
            if sockets.iter().any(|socket| target.as_os_str() == socket.as_str()) {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!("process {} ({})", process.file_name().to_string_lossy(), name.trim()));
            }
        }
    }
    None
}

/// `GET` on 127.0.0.1: status and body. Only for small answers of servers that we started.
pub fn http_get(port: u16, path: &str) -> Result<(u16, String)> {
    http(port, "GET", path, "")
}

pub(crate) fn http(port: u16, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut connection = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    // HTTP/1.0, so that the answer is neither chunked nor kept open.
    let length = body.len();
    write!(connection, "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).context("no HTTP status")?;
    Ok((status, body.to_owned()))
}
