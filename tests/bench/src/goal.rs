//! What a figure should come to, as a ratio of medians of one run.

use crate::record::{Figure, Records, Series, median, thousands};

/// When a goal is met.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// As much or more.
    AtLeast(f64),
    /// As much or less.
    AtMost(f64),
}

/// One goal.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// Which figure is compared.
    pub figure: Figure,
    /// Ours.
    pub of: Series,
    /// What it is divided by; none if the figure itself has a goal, in milliseconds.
    pub over: Option<Series>,
    /// When it is met.
    pub bound: Bound,
}

/// What a run says about a goal.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    /// The ratio of the medians, or the median.
    pub value: f64,
    /// Smallest and greatest of the passes' own ratios.
    pub spread: (f64, f64),
    /// Is the goal reached?
    pub met: bool,
}

impl Goal {
    /// Throughput of `of` is at least so many times that of `over`.
    pub const fn at_least(ratio: f64, of: Series, over: Series) -> Self {
        Self { figure: Figure::Value, of, over: Some(over), bound: Bound::AtLeast(ratio) }
    }

    /// A figure of `of` is at most so many times that of `over`.
    pub const fn at_most(ratio: f64, figure: Figure, of: Series, over: Series) -> Self {
        Self { figure, of, over: Some(over), bound: Bound::AtMost(ratio) }
    }

    /// A figure of `of` is at most so much.
    pub const fn limit(most: f64, figure: Figure, of: Series) -> Self {
        Self { figure, of, over: None, bound: Bound::AtMost(most) }
    }

    /// None if one side was not measured, or never succeeded.
    pub fn verdict(&self, records: &Records) -> Option<Verdict> {
        let ours = records.figures(self.of, self.figure);
        let theirs = self.over.map_or_else(|| vec![1.0; ours.len()], |over| records.figures(over, self.figure));
        let value = median(&ours)? / median(&theirs)?;
        if !value.is_finite() {
            return None;
        }
        let of_passes = || ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs);
        let spread = (of_passes().fold(f64::MAX, f64::min), of_passes().fold(f64::MIN, f64::max));
        let met = match self.bound {
            Bound::AtLeast(bound) => value >= bound,
            Bound::AtMost(bound) => value <= bound,
        };
        Some(Verdict { value, spread, met })
    }

    /// `p99 of commands in process, UBOS / postgres-es, 64 at once`.
    pub fn title(&self) -> String {
        let figure = match self.figure {
            Figure::Value => "",
            Figure::P50 => "p50 of ",
            Figure::P99 => "p99 of ",
        };
        let (of, Some(over)) = (self.of, self.over) else {
            let load = if self.of.load > 0 { format!(", {} at once", self.of.load) } else { String::new() };
            return format!("{figure}{}: {}{load}", self.of.what, self.of.who);
        };
        let compared = match (of.what == over.what, of.who == over.who) {
            (true, true) => format!("{}: {}", of.what, of.who),
            (true, false) => format!("{}: {} / {}", of.what, of.who, over.who),
            (false, true) => format!("{}: {} / {}", of.who, of.what, over.what),
            (false, false) => format!("{}, {} / {}, {}", of.what, of.who, over.what, over.who),
        };
        let load = match (of.load, over.load) {
            (0, 0) => String::new(),
            (ours, theirs) if ours == theirs => format!(", {ours} at once"),
            (ours, theirs) => format!(", {} / {}", thousands(ours as f64), thousands(theirs as f64)),
        };
        format!("{figure}{compared}{load}")
    }

    /// `≥ 3.5` or `≤ 15 ms`.
    pub fn wanted(&self) -> String {
        let unit = if self.over.is_none() && self.figure != Figure::Value { " ms" } else { "" };
        match self.bound {
            Bound::AtLeast(bound) => format!("≥ {bound}{unit}"),
            Bound::AtMost(bound) => format!("≤ {bound}{unit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Sample;

    #[test]
    fn a_goal_compares_medians_and_shows_the_spread() {
        let (ours, theirs) = (Series::of("things", "UBOS").at(64), Series::of("things", "peer").at(64));
        let goal = Goal::at_least(2.0, ours, theirs);
        let mut records = Records::default();
        assert!(goal.verdict(&records).is_none());
        let mut failed = Records::default();
        for side in [ours, theirs] {
            failed.add(side, Sample::value(0.0));
        }
        assert!(goal.verdict(&failed).is_none());
        for (a, b) in [(10.0, 5.0), (30.0, 10.0), (20.0, 8.0)] {
            records.add(ours, Sample::value(a));
            records.add(theirs, Sample::value(b));
        }
        let verdict = goal.verdict(&records).unwrap();
        assert_eq!((verdict.value, verdict.spread, verdict.met), (2.5, (2.0, 3.0), true));
        assert!(!Goal { bound: Bound::AtMost(2.0), ..goal }.verdict(&records).unwrap().met);
        assert_eq!(goal.title(), "things: UBOS / peer, 64 at once");
    }
}
