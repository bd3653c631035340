//! The lab as a program, for `cargo xtask up`.

use anyhow::Result;
use clap::Parser;
use lab::{Descriptions, Lab};
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Stands in for the providers.
#[derive(Parser)]
struct Arguments {
    /// Where it answers.
    #[arg(long, default_value = "127.0.0.1:21455")]
    listen: SocketAddr,
    /// Where it keeps what it knows when it is asked to end, and finds it again; it forgets everything unless given.
    #[arg(long)]
    memory: Option<PathBuf>,
}

#[actix_web::main]
async fn main() -> Result<()> {
    let Arguments { listen, memory } = Arguments::parse();
    runtime::install_crypto();
    let (descriptions, said) = Descriptions::find();
    println!("{said}");
    let (lab, server) = Lab::serve(listen, descriptions)?;
    if let Some(memory) = &memory {
        lab.remember(memory)?;
    }
    println!("the lab answers at {}", lab.url());
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        ended = server => ended?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    match memory {
        Some(memory) => lab.keep(&memory),
        None => Ok(()),
    }
}
