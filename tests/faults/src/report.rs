//! What the run comes to, for people.

use crate::inject::{Goal, Injector, Measured};
use crate::run::{Judged, Options};
use crate::schedule::Battlefield;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What is known besides what the injector has seen.
pub struct Facts<'a> {
    pub options: &'a Options,
    pub field: &'a Battlefield,
    pub seconds: f64,
    pub converged: Result<f64, String>,
    pub head: i64,
    pub verify: Option<i32>,
    pub verified: &'a str,
    pub judged: Option<&'a Judged>,
}

/// A line now and then, so that whoever watches sees that it goes on.
pub async fn progress(injector: Arc<Injector>) {
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let counts = &injector.wire.counts;
        let get = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let lag = crate::converge::lag(&injector.pool).await;
        let lag = lag.map_or("database away".to_owned(), |lag| {
            format!(
                "head {}, behind: relay {}, projections {}, runs {}",
                lag.head, lag.relay, lag.projections, lag.runs
            )
        });
        println!(
            "{:8.1} {} attempted, {} ok, {} refused, {} unknown, {} left out; {lag}; subscriber at {}",
            injector.evidence.now(),
            get(&counts.attempted),
            get(&counts.ok),
            get(&counts.refused),
            get(&counts.unknown),
            get(&counts.skipped),
            injector.received.newest.load(Ordering::Relaxed),
        );
    }
}

/// The report, and whether it holds no violation.
pub fn report(injector: &Injector, facts: &Facts<'_>) -> (String, bool) {
    let mut text = String::new();
    let fine = write(&mut text, injector, facts).unwrap_or(false);
    (text, fine)
}

fn write(text: &mut String, injector: &Injector, facts: &Facts<'_>) -> Result<bool, std::fmt::Error> {
    let Options { seed, minutes, rate, commit, nats, .. } = facts.options;
    writeln!(text, "# Faults: {minutes} minutes, seed {seed}\n")?;
    writeln!(
        text,
        "Commit {commit}; {rate} commands per second due; NATS: {nats:?}; the log ends at {}.\n",
        facts.head
    )?;
    let counts = &injector.wire.counts;
    let get = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    let rate_of = |count: u64| count as f64 / facts.seconds;
    writeln!(text, "| commands | number | per second |\n| --- | ---: | ---: |")?;
    let rows = [
        ("attempted", get(&counts.attempted)),
        ("answered with success", get(&counts.ok)),
        ("refused, as most of these should be (races, reused keys, taken addresses)", get(&counts.refused)),
        ("outcome never known to the client", get(&counts.unknown)),
        ("left out, because too many were under way", get(&counts.skipped)),
    ];
    for (name, number) in rows {
        writeln!(text, "| {name} | {number} | {:.1} |", rate_of(number))?;
    }
    writeln!(text, "\n{} requests in all.\n", get(&injector.wire.requests))?;

    let lines = injector.evidence.folder.join("faults.jsonl");
    let lines = std::fs::read_to_string(lines).unwrap_or_default();
    let lines: Vec<Value> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let word = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut kills: BTreeMap<String, usize> = BTreeMap::new();
    for line in &lines {
        *kinds.entry(word(line, "kind")).or_default() += 1;
        if line["kind"] == "kill" {
            *kills.entry(word(line, "target")).or_default() += 1;
        }
    }
    writeln!(text, "| fault | number |\n| --- | ---: |")?;
    for (kind, number) in &kinds {
        writeln!(text, "| {kind} | {number} |")?;
    }
    for (kind, why) in &facts.field.impossible {
        writeln!(text, "| {} | left out: {why} |", kind.name())?;
    }
    writeln!(text, "\n| killed | times |\n| --- | ---: |")?;
    for (target, number) in &kills {
        writeln!(text, "| {target} | {number} |")?;
    }
    writeln!(text, "| all | {} |\n", kills.values().sum::<usize>())?;

    let measured = injector.measured.lock();
    writeln!(
        text,
        "| recovery, seconds | times | median | maximum | goal | by |\n| --- | ---: | ---: | ---: | ---: | --- |"
    )?;
    for goal in [Goal::Ready, Goal::FirstOk, Goal::StandbyPublishes] {
        for (alone, words) in [(true, ""), (false, ", with other faults about")] {
            let of_goal = measured.iter().filter(|m| m.goal == goal && m.alone == alone);
            recovery(text, &format!("{}{words}", goal.name()), alone.then_some(goal.seconds()), of_goal.collect())?;
        }
    }
    writeln!(text)?;

    let mut fine = true;
    match &facts.converged {
        Ok(seconds) => writeln!(text, "Everything came to rest {seconds:.1} s after the last fault was healed.")?,
        Err(error) => {
            fine = false;
            writeln!(text, "**Not everything came to rest: {error}**")?;
        }
    }
    let failed = injector.failed.lock();
    if !failed.is_empty() {
        fine = false;
        writeln!(text, "\n**What did not end as it should:**\n")?;
        failed.iter().try_for_each(|line| writeln!(text, "- {line}"))?;
    }
    fine &= facts.verify == Some(0);
    writeln!(text, "\n`ubos verify` ended with {:?}:\n\n```\n{}\n```\n", facts.verify, facts.verified.trim())?;
    match facts.judged {
        Some(judged) => {
            fine &= judged.fine;
            writeln!(text, "The checker:\n\n```\n{}\n```", judged.text.trim())?;
        }
        None => writeln!(text, "No checker was there to judge the evidence.")?,
    }
    writeln!(text, "\n{}", if fine { "No violation." } else { "**Violated.**" })?;
    Ok(fine)
}

fn recovery(text: &mut String, name: &str, goal: Option<f64>, mut measured: Vec<&Measured>) -> std::fmt::Result {
    measured.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let (Some(worst), Some(median)) = (measured.last(), measured.get(measured.len() / 2)) else {
        return writeln!(text, "| {name} | 0 | – | – | – | – |");
    };
    let times = measured.len();
    let goal = goal.map_or("–".to_owned(), |goal| {
        let missed = measured.iter().filter(|m| m.seconds > goal).count();
        if missed == 0 { format!("≤ {goal}: met") } else { format!("≤ {goal}: missed {missed} times") }
    });
    let by = format!("{} at {:.0} s", worst.target, worst.at);
    writeln!(text, "| {name} | {times} | {:.2} | {:.2} | {goal} | {by} |", median.seconds, worst.seconds)
}
