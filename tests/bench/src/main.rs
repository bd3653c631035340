//! The benchmark: ours beside its peers and limits, in turns in one run, on real servers with durability on.
//!
//! `cargo xtask bench` builds it in release, starts PostgreSQL and NATS with every commit on the disk, and passes their
//! addresses. Absolute numbers are this machine's; the ratios are what to look at. [`rows::FAMILIES`] lists what is
//! measured; the terminal's table, the page in the documentation and its plots all come from there.

mod clients;
mod family;
mod goal;
mod limits;
mod load;
mod peers;
mod plan;
mod plots;
mod processor;
mod product;
mod record;
mod report;
mod rows;
mod seed;
mod wire;

use anyhow::{Result, ensure};
use clap::Parser;
use plan::{Arguments, Plan};
use record::Records;
use report::Report;
use std::time::Instant;

/// The product's own, for ours and for the peers that run in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<()> {
    runtime::install_crypto();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == limits::reads::VERB) {
        return limits::reads::serve(&words[1..]).await;
    }
    let arguments = Arguments::parse();
    let plan = Plan::of(&arguments);
    let started = Instant::now();
    let (mut records, mut families, mut failed) = (Records::default(), vec![], vec![]);
    for family in rows::FAMILIES {
        let chosen = match &arguments.only {
            Some(words) => words.split(',').any(|word| family.word.contains(word)),
            None => family.quick || !plan.quick,
        };
        if !chosen {
            families.push((family, None));
            continue;
        }
        eprintln!("{} ({:.0} s)", family.title, started.elapsed().as_secs_f64());
        let already = records.len();
        if let Err(error) = (family.measure)(&plan, &mut records).await {
            // What the others came to in an hour is not thrown away; the report shows what was measured before.
            eprintln!("{} failed: {error:?}", family.title);
            failed.push(family.word);
        }
        families.push((family, Some(records.since(already))));
    }
    let report = Report {
        families,
        failed: failed.clone(),
        records: &records,
        command: format!("cargo xtask bench {}", words.join(" ")).trim().to_owned(),
        circumstances: report::circumstances(started.elapsed()).await?,
        stamp: report::stamp(plan.seconds, plan.passes),
    };
    println!("{}", report.page(None, "")?);
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_vec_pretty(&records.all())?)?;
    }
    if let Some(folder) = &arguments.write {
        report.write(folder)?;
        eprintln!("written to {}", folder.join("benchmarks.md").display());
    }
    ensure!(failed.is_empty(), "not measured to the end: {}", failed.join(", "));
    Ok(())
}
