//! A TCP proxy that stands between one process and one server, and misbehaves on demand.

use anyhow::Result;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// What the proxy does to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Pass,
    /// Every piece arrives so much later, in order.
    Latency(Duration),
    /// Nothing passes in either direction, as when packets are dropped; what was sent arrives when this ends.
    Blackhole,
    /// Requests arrive, answers do not, and never will: connections are reset when this ends.
    AnswersLost,
    /// The server's side is closed, the client's side looks open: reset when this ends.
    HalfOpen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

impl Mode {
    fn holds(self, direction: Direction) -> bool {
        match self {
            Mode::Pass | Mode::Latency(_) => false,
            Mode::Blackhole | Mode::HalfOpen => true,
            Mode::AnswersLost => direction == Direction::ToClient,
        }
    }

    fn delay(self) -> Duration {
        if let Mode::Latency(delay) = self { delay } else { Duration::ZERO }
    }
}

/// One listening port in front of one server. Stops with its value.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    control: watch::Sender<Control>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Control {
    mode: Mode,
    /// Connections made before the last one of these are reset.
    resets: u64,
}

impl Proxy {
    /// Starts one in front of `server`, a port of 127.0.0.1.
    pub async fn start(port: u16, server: u16) -> Result<Self> {
        let listener = TcpListener::bind((LOCALHOST, port)).await?;
        let (control, seen) = watch::channel(Control { mode: Mode::Pass, resets: 0 });
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((client, _)) => drop(tokio::spawn(connection(client, server, seen.clone()))),
                    // Out of descriptors, for example; whoever waits is served later.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        Ok(Self { port, control, task })
    }

    /// Changes what happens to open and to new connections.
    pub fn set(&self, mode: Mode) {
        self.control.send_modify(|control| {
            if matches!(control.mode, Mode::AnswersLost | Mode::HalfOpen) {
                control.resets += 1;
            }
            control.mode = mode;
        });
    }

    /// Resets every open connection.
    pub fn reset(&self) {
        self.control.send_modify(|control| control.resets += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(client: TcpStream, server: u16, mut control: watch::Receiver<Control>) {
    let resets = control.borrow().resets;
    let is_reset = |control: &Control| control.resets != resets;
    // Whoever calls while nothing passes is accepted and hears nothing, as behind a firewall that drops.
    let passes = |c: &Control| !matches!(c.mode, Mode::HalfOpen | Mode::Blackhole);
    if control.wait_for(|c| passes(c) || is_reset(c)).await.is_err() {
        return;
    }
    let upstream = if is_reset(&control.borrow()) { None } else { TcpStream::connect((LOCALHOST, server)).await.ok() };
    let Some(server) = upstream else {
        // As a closed port would answer, as far as the client can tell.
        drop(client.set_zero_linger());
        return;
    };
    for stream in [&client, &server] {
        drop(stream.set_nodelay(true));
    }
    let (mut reset, mut half_open) = (control.clone(), control.clone());
    let broken = tokio::select! {
        () = pump(Direction::ToServer, &client, &server, control.clone()) => false,
        () = pump(Direction::ToClient, &server, &client, control) => false,
        _ = reset.wait_for(|c| is_reset(c)) => true,
        _ = half_open.wait_for(|c| c.mode == Mode::HalfOpen) => true,
    };
    if !broken {
        return;
    }
    drop(server.set_zero_linger());
    drop(server);
    // At once, unless this is the half-open time: then the client's socket stays open and silent until it is over.
    drop(reset.wait_for(|c| is_reset(c)).await);
    drop(client.set_zero_linger());
}

/// Copies one direction until its end. Pieces wait in a queue for their time, so that latency does not become a limit of
/// throughput.
async fn pump(direction: Direction, from: &TcpStream, to: &TcpStream, mut control: watch::Receiver<Control>) {
    let (sender, mut queue) = mpsc::channel::<(Instant, Vec<u8>)>(1_024);
    let mut watching = control.clone();
    let reading = async move {
        let mut buffer = vec![0; 1 << 16];
        while watching.wait_for(|c| !c.mode.holds(direction)).await.is_ok() {
            tokio::select! {
                ready = from.readable() => if ready.is_err() { return },
                _ = watching.changed() => continue,
            }
            match from.try_read(&mut buffer) {
                Ok(length @ 1..) => {
                    let due = Instant::now() + watching.borrow().mode.delay();
                    if sender.send((due, buffer[..length].to_vec())).await.is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
    };
    let writing = async move {
        while let Some((due, piece)) = queue.recv().await {
            sleep_until(due).await;
            if control.wait_for(|c| !c.mode.holds(direction)).await.is_err() || write_all(to, &piece).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}

async fn write_all(to: &TcpStream, mut piece: &[u8]) -> std::io::Result<()> {
    while !piece.is_empty() {
        to.writable().await?;
        match to.try_write(piece) {
            Ok(written) => piece = &piece[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Every proxy of one process.
#[derive(Debug)]
pub struct Proxies {
    /// To PostgreSQL.
    pub postgres: Proxy,
    /// To each node of NATS.
    pub nats: Vec<Proxy>,
}

impl Proxies {
    /// In front of these servers.
    pub async fn start(postgres: u16, nats: &[u16]) -> Result<Arc<Self>> {
        let mut nodes = vec![];
        for server in nats {
            nodes.push(Proxy::start(local_servers::free_port()?, *server).await?);
        }
        let postgres = Proxy::start(local_servers::free_port()?, postgres).await?;
        Ok(Arc::new(Self { postgres, nats: nodes }))
    }

    /// Lets everything pass.
    pub fn heal(&self) {
        self.postgres.set(Mode::Pass);
        self.nats.iter().for_each(|node| node.set(Mode::Pass));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// An echo server and a proxy in front of it.
    async fn echo() -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    drop(tokio::io::copy(&mut from, &mut to).await);
                });
            }
        });
        Proxy::start(local_servers::free_port().unwrap(), port).await.unwrap()
    }

    async fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).await.unwrap()
    }

    /// Sends a byte; how long it took to come back, none within 400 ms, an error for a broken connection.
    async fn ask(stream: &mut TcpStream) -> std::io::Result<Option<Duration>> {
        let begun = Instant::now();
        stream.write_all(b"x").await?;
        match tokio::time::timeout(Duration::from_millis(400), stream.read_exact(&mut [0])).await {
            Ok(read) => read.map(|_| Some(begun.elapsed())),
            Err(_) => Ok(None),
        }
    }

    #[tokio::test]
    async fn what_passes_passes_at_once_and_later_with_latency() {
        let proxy = echo().await;
        let mut stream = connect(&proxy).await;
        assert!(ask(&mut stream).await.unwrap().unwrap() < Duration::from_millis(90));
        proxy.set(Mode::Latency(Duration::from_millis(50)));
        assert!(ask(&mut stream).await.unwrap().unwrap() >= Duration::from_millis(95));
    }

    #[tokio::test]
    async fn a_blackhole_holds_and_then_delivers() {
        let proxy = echo().await;
        let mut stream = connect(&proxy).await;
        assert!(ask(&mut stream).await.unwrap().is_some());
        proxy.set(Mode::Blackhole);
        assert_eq!(ask(&mut stream).await.unwrap(), None);
        let mut newcomer = connect(&proxy).await;
        assert_eq!(ask(&mut newcomer).await.unwrap(), None);
        proxy.set(Mode::Pass);
        stream.read_exact(&mut [0]).await.unwrap();
        newcomer.read_exact(&mut [0]).await.unwrap();
    }

    #[tokio::test]
    async fn lost_answers_never_come() {
        let proxy = echo().await;
        let mut stream = connect(&proxy).await;
        assert!(ask(&mut stream).await.unwrap().is_some());
        for mode in [Mode::AnswersLost, Mode::HalfOpen] {
            let mut stream = connect(&proxy).await;
            assert!(ask(&mut stream).await.unwrap().is_some());
            proxy.set(mode);
            assert_eq!(ask(&mut stream).await.unwrap(), None, "{mode:?}");
            proxy.set(Mode::Pass);
            assert!(stream.read_exact(&mut [0]).await.is_err(), "{mode:?}");
        }
    }

    #[tokio::test]
    async fn a_reset_breaks_what_is_open_and_nothing_else() {
        let proxy = echo().await;
        let mut stream = connect(&proxy).await;
        assert!(ask(&mut stream).await.unwrap().is_some());
        proxy.reset();
        assert!(stream.read_exact(&mut [0]).await.is_err());
        assert!(ask(&mut connect(&proxy).await).await.unwrap().is_some());
    }
}
