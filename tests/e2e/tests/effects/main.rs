//! Hundreds of effects at providers, while answers get lost, messages come twice, late, in another order, forged or not at all, and
//! whoever works for us is killed: nothing is done twice, and nothing is lost.
//!
//! `UBOS_EFFECTS` says how many (`cargo xtask effects` asks for 1,000), `UBOS_EFFECTS_SEED` which.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod judge;
mod office;
mod people;
mod storm;

use anyhow::{Context, Result, ensure};
use e2e::World;
use futures::future::try_join_all;
use office::{Firm, Office};
use people::Effect;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use storm::Noted;

/// How many, if nobody says it.
const USUAL: usize = 200;
/// Of one firm; each has a budget of 55 calls a minute at Xero.
const OF_A_FIRM: usize = 25;
/// For how long something goes wrong at least, and at most.
const STORM: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(300));
/// How long everything may take to come to rest.
const REST: Duration = Duration::from_secs(600);
/// It is looked every 30 s whose sweep is due.
const SWEPT_AFTER: Duration = Duration::from_secs(32);

/// Until nothing is to be done any more.
async fn rest(office: &Office, since: Instant) -> Result<()> {
    while judge::open(office).await? > 0 {
        ensure!(since.elapsed() < REST, "no rest:\n{}", judge::why(office).await?);
        // It comes again in a second.
        drop(office.hasten().await);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

fn told<T: std::str::FromStr>(name: &str, usual: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[actix_web::test]
async fn nothing_is_done_twice_and_nothing_is_lost() -> Result<()> {
    let (count, seed) = (told("UBOS_EFFECTS", USUAL), told("UBOS_EFFECTS_SEED", 1_u64));
    runtime::install_crypto();
    let mut world = World::start_connected().await?;
    let office = Rc::new(Office::open(&world).await?);
    let mut firms = vec![];
    for number in 0..count.div_ceil(OF_A_FIRM) {
        firms.push(Rc::new(office.found(&world, number).await.with_context(|| format!("firm {number}"))?));
    }
    let firms = Rc::new(firms);
    println!("seed {seed}: {count} effects of {} firms", firms.len());

    let begun = Instant::now();
    let (noted, over) = (Noted::default(), Rc::new(Cell::new(false)));
    let mut rng = StdRng::seed_from_u64(seed);
    let mut plans: Vec<(Rc<Firm>, Vec<Effect>)> = vec![];
    for (number, firm) in firms.iter().enumerate() {
        let mine = OF_A_FIRM.min(count - number * OF_A_FIRM);
        plans.push((firm.clone(), people::plan(mine, &mut rng)));
    }
    let storm = firms
        .iter()
        .map(|firm| actix_web::rt::spawn(storm::providers(firm.clone(), noted.clone(), rng.random(), over.clone())));
    let mut storm: Vec<_> = storm.collect();
    let (seed_of_forger, seed_of_killer): (u64, u64) = (rng.random(), rng.random());
    storm.push(actix_web::rt::spawn(storm::forger(
        office.clone(),
        firms.clone(),
        noted.clone(),
        seed_of_forger,
        over.clone(),
    )));
    // Those outside go on paying and signing until everything is at rest.
    let rested = Rc::new(Cell::new(false));
    let outside: Vec<_> = firms
        .iter()
        .map(|firm| actix_web::rt::spawn(people::outside(firm.clone(), rng.random(), rested.clone())))
        .collect();

    let working = async {
        let making = plans.iter().map(|(firm, plan)| {
            let (office, mut rng) = (office.clone(), StdRng::seed_from_u64(seed ^ firm.tenant.as_u64_pair().1));
            async move {
                for effect in plan {
                    let pause = Duration::from_millis(rng.random_range(0..4_000));
                    people::make(&office, firm, *effect, pause).await?;
                }
                anyhow::Ok(())
            }
        });
        let made = try_join_all(making).await;
        println!("{:6.1} everything is asked for", begun.elapsed().as_secs_f64());
        while made.is_ok() && begun.elapsed() < STORM.1 {
            let open = judge::open(&office).await.unwrap_or(i64::MAX);
            if open < 20 && begun.elapsed() > STORM.0 {
                break;
            }
            drop(office.hasten().await);
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        over.set(true);
        made.map(drop)
    };
    let (made, killed) = tokio::join!(working, storm::killer(&mut world, noted.clone(), seed_of_killer, over.clone()));
    made?;
    killed?;
    for task in storm {
        task.await?;
    }
    println!("{:6.1} nothing goes wrong any more", begun.elapsed().as_secs_f64());

    let faults: Vec<lab::Fault> = firms.iter().flat_map(|firm| firm.lab.faults()).collect();
    firms.iter().for_each(|firm| {
        firm.lab.mend();
        firm.lab.mood(lab::Mood::Once);
    });
    let quiet = Instant::now();
    // One sweep for what no message said, and one for what was paid and signed since.
    for _ in 0..2 {
        rest(&office, quiet).await?;
        office.sweep().await?;
        tokio::time::sleep(SWEPT_AFTER).await;
    }
    rest(&office, quiet).await?;
    rested.set(true);
    for task in outside {
        task.await?;
    }
    println!("{:6.1} at rest", begun.elapsed().as_secs_f64());
    let verified = world.expect(&["verify", "--wait-seconds", "60"])?;
    println!("{}", verified.trim());
    judge::judge(&office, &plans, &faults, &noted.take()).await
}
