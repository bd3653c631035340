//! The lab as a program, for `cargo xtask up --providers`.

use clap::Parser;
use lab::{Descriptions, Lab};

/// Stands in for the providers.
#[derive(Parser)]
struct Arguments {
    /// Where it answers.
    #[arg(long, default_value = "127.0.0.1:21455")]
    listen: std::net::SocketAddr,
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { listen } = Arguments::parse();
    runtime::install_crypto();
    let (descriptions, said) = Descriptions::find();
    println!("{said}");
    let (lab, server) = Lab::serve(listen, descriptions)?;
    println!("the lab answers at {}", lab.url());
    Ok(server.await?)
}
