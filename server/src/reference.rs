//! `docs/reference/`: pages that are written from the code, and so are never out of date.

use catalogue::{MachineEntry, machines};
use projections::{Table, groups};

/// What the page of roles begins with.
const ROLES_HEAD: &str = "\
<!-- Written by `cargo xtask gen`. -->

# Roles

What the processes of UBOS do. Each is a subcommand of `ubos`; `ubos all` runs every one that is set up.
";

/// The page of all roles.
pub fn roles() -> String {
    crate::roles::page(ROLES_HEAD)
}

/// What the page begins with.
const HEAD: &str = "\
<!-- Written by `cargo xtask gen`. -->

# Statuses

Where every record stands, and which event leads from where to where. A status has one word, in rows, events, filters, on the
command line and here. A move that is not in a figure does not happen, and one that was published stays.

What can be *archived* or *retired* shows that beside its status, as `true` or `false`: what was archived still says how it ended.
";

/// The page of all status machines.
pub fn statuses() -> String {
    let mut page = HEAD.to_owned();
    for machine in machines() {
        page.push_str(&section(machine));
    }
    page
}

fn section(machine: &MachineEntry) -> String {
    let MachineEntry { of, column, statuses, .. } = machine;
    let mut section = format!("\n## `{of}`: {column}\n\n");
    if let Some(table) = tables().find(|table| of_table(*table) == *of) {
        section.push_str(&format!("`{column}` of `GET /v1/{}`.\n\n", table.resource().path));
    }
    let is_flag = *column != "status";
    section.push_str(if is_flag {
        "| value | state | meaning |\n| --- | --- | --- |\n"
    } else {
        "| status | meaning |\n| --- | --- |\n"
    });
    for (index, status) in statuses.iter().enumerate() {
        let value =
            if is_flag { format!("| `{}` | {} ", index == 1, status.name) } else { format!("| `{}` ", status.name) };
        section.push_str(&format!("{value}| {} |\n", status.summary));
    }
    section.push_str(&format!("\n```mermaid\n{}```\n", machine.figure()));
    section
}

fn tables() -> impl Iterator<Item = &'static dyn Table> {
    groups().iter().flat_map(|group| group.tables.iter().map(|table| table.as_ref()))
}

/// Whose rows a table has: `projects.task`.
fn of_table(table: &dyn Table) -> &'static str {
    let read = table.resource().read;
    read.rsplit_once('.').map_or(read, |(of, _)| of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{Aggregate, Event, Mounts};
    use projections::{Column, Kind};
    use std::collections::BTreeSet;

    /// Aggregates without a life to tell of, and why.
    const WITHOUT: &[(&str, &str)] = &[
        ("communications.notification_preferences", "what one wants to be told is set and changed, and never ends"),
        ("revenue.billing_profile", "how a client is billed is set and changed"),
        ("revenue.billing_settings", "how the firm bills is set and changed"),
        ("revenue.payables_settings", "how bills are paid is set and changed"),
        ("scheduling.availability", "hours are set and changed, and never end"),
    ];

    /// Rows that show where something stands that has a row of its own.
    const BESIDE: &[(&str, &str)] = &[("projects.budget", "projects.project")];

    /// What is wrong with a table's columns, as far as they say where a row stands.
    fn wrong(of: &str, columns: &[Column], machines: &[&MachineEntry]) -> Vec<String> {
        let mut wrong = vec![];
        let stands = columns.iter().filter(|column| {
            column.name == "status"
                || column.kind == Kind::Boolean && ["archived", "retired"].contains(&column.name.as_str())
        });
        for column in stands {
            let whose = BESIDE.iter().find(|(row, _)| *row == of).map_or(of, |(_, whose)| whose);
            let machine = machines.iter().find(|machine| machine.of == whose && machine.column == column.name);
            match machine {
                None => wrong.push(format!("{of} has a column `{}` and no machine for it", column.name)),
                Some(machine) if column.kind != Kind::Boolean => {
                    let names: Vec<&str> = machine.statuses.iter().map(|status| status.name).collect();
                    if column.values != names {
                        wrong.push(format!("{of} shows {:?} and its machine knows {names:?}", column.values));
                    }
                }
                Some(_) => {}
            }
        }
        wrong
    }

    #[test]
    fn every_row_that_says_where_it_stands_has_a_machine_that_knows_the_same_words() {
        let all: Vec<&MachineEntry> = machines().iter().collect();
        let found: Vec<String> = tables().flat_map(|table| wrong(of_table(table), table.columns(), &all)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }

    #[test]
    fn a_row_without_a_machine_or_with_another_word_is_found() {
        let projects = tables().find(|table| of_table(*table) == "projects.project").unwrap();
        let others: Vec<&MachineEntry> = machines().iter().filter(|machine| machine.of != "projects.project").collect();
        let told = wrong("projects.project", projects.columns(), &others);
        assert_eq!(
            told,
            [
                "projects.project has a column `status` and no machine for it",
                "projects.project has a column `archived` and no machine for it",
            ]
        );
        let mut columns = projects.columns().to_vec();
        columns
            .iter_mut()
            .flat_map(|column| &mut column.values)
            .for_each(|value| *value = value.replace("on_hold", "held"));
        let all: Vec<&MachineEntry> = machines().iter().collect();
        let told = wrong("projects.project", &columns, &all);
        assert!(told.len() == 1 && told[0].contains("held"), "{told:?}");
    }

    #[test]
    fn every_machine_is_shown_by_a_row() {
        for machine in machines() {
            let shown = tables().any(|table| {
                of_table(table) == machine.of && table.columns().iter().any(|column| column.name == machine.column)
            });
            assert!(shown, "no row has the column {} of {}", machine.column, machine.of);
        }
    }

    #[test]
    fn every_aggregate_has_a_machine_or_no_life_to_tell_of() {
        struct Streams(BTreeSet<&'static str>);
        impl Mounts for Streams {
            fn mount<A: Aggregate>(&mut self) {
                self.0.insert(A::Event::STREAM);
            }
        }
        let mut streams = Streams(BTreeSet::new());
        registry::mount_all(&mut streams);
        let known: BTreeSet<&str> = machines().iter().map(|machine| machine.stream).collect();
        let without = |stream: &&str| !known.contains(stream) && !WITHOUT.iter().any(|(of, _)| of == stream);
        let without: Vec<&str> = streams.0.iter().copied().filter(without).collect();
        assert!(without.is_empty(), "aggregates without a machine: {without:?}");
        assert!(WITHOUT.iter().all(|(of, _)| streams.0.contains(of) && !known.contains(of)), "an exception for nobody");
    }

    #[test]
    fn the_page_has_a_figure_for_each() {
        assert_eq!(statuses().matches("```mermaid").count(), machines().len());
    }
}
