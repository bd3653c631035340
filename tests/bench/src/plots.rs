//! Pictures of the tables: throughput over concurrency, latency over percentiles.

use crate::family::Family;
use crate::record::{Figure, PERCENTILES, Records, Series, median};
use anyhow::{Result, anyhow};
use plotters::prelude::*;

const SIZE: (u32, u32) = (760, 420);
/// Distinguishable also for those who do not see red and green (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
];

/// One picture, not yet drawn.
pub struct Plot {
    /// Its caption.
    pub title: String,
    /// Its file.
    pub file: String,
    x: &'static str,
    y: String,
    ticks: Vec<String>,
    lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// The pictures of a family: rates if there are at least three loads, latencies at the load that most were measured at.
pub fn of(family: &Family, series: &[Series], records: &Records) -> Vec<Plot> {
    let mut plots = vec![];
    let mut loads: Vec<usize> = series.iter().map(|one| one.load).filter(|load| *load > 0).collect();
    loads.sort_unstable();
    loads.dedup();
    let place = |load: usize| loads.iter().position(|other| *other == load).map(|place| place as f64);
    let mut names: Vec<(&str, &str)> = vec![];
    for one in series {
        if !names.contains(&(one.what, one.who)) {
            names.push((one.what, one.who));
        }
    }
    let several = names.iter().any(|(what, _)| *what != names[0].0);
    let name = |what: &str, who: &str| if several { format!("{what}: {who}") } else { who.to_owned() };
    if loads.len() >= 3 {
        let line = |(what, who): &(&str, &str)| {
            let of = series.iter().filter(|one| one.what == *what && one.who == *who);
            let points = of.filter_map(|one| Some((place(one.load)?, records.median(*one, Figure::Value)?)));
            (name(what, who), points.collect::<Vec<_>>())
        };
        plots.push(Plot {
            title: format!("{}: throughput", family.title),
            file: format!("{}-throughput.svg", family.word),
            x: family.load,
            y: family.unit.to_owned(),
            ticks: loads.iter().map(usize::to_string).collect(),
            lines: names.iter().map(line).filter(|(_, points)| points.len() > 1).collect(),
        });
    }
    let timed = |one: &&Series| records.figures(**one, Figure::P50).len() == records.samples(**one).len();
    let timed: Vec<Series> = series.iter().filter(timed).copied().collect();
    let most = timed
        .iter()
        .map(|one| one.load)
        .max_by_key(|load| (timed.iter().filter(|one| one.load == *load).count(), usize::from(*load == 64)));
    if let Some(load) = most
        && timed.len() > 1
    {
        let chosen = timed.iter().filter(|one| one.load == load);
        let line = |one: &Series| {
            let at = |index: usize| {
                let samples = records.samples(*one).iter().filter_map(|sample| sample.latencies.get(index).copied());
                median(&samples.collect::<Vec<_>>()).unwrap_or(0.0)
            };
            (name(one.what, one.who), (0..PERCENTILES.len()).map(|index| (index as f64, at(index))).collect())
        };
        plots.push(Plot {
            title: if load > 0 {
                format!("{}: latency, {load} at once", family.title)
            } else {
                format!("{}: latency", family.title)
            },
            file: format!("{}-latency.svg", family.word),
            x: "percentile",
            y: "milliseconds".to_owned(),
            ticks: PERCENTILES.iter().map(|percentile| format!("{percentile}")).collect(),
            lines: chosen.map(line).collect(),
        });
    }
    plots
}

impl Plot {
    /// Draws it.
    pub fn svg(&self) -> Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg).map_err(|error| anyhow!("drawing {}: {error}", self.file))?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn std::error::Error + '_>> {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let top = self.lines.iter().flat_map(|(_, points)| points).map(|point| point.1).fold(0.0, f64::max) * 1.1;
        let last = self.ticks.len() as f64 - 1.0;
        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(72)
            .build_cartesian_2d(-0.2..last + 0.2, 0.0..top.max(0.001))?;
        let tick = |x: &f64| {
            let place = x.round();
            let exact = (x - place).abs() < 0.01 && place >= 0.0;
            if exact { self.ticks.get(place as usize).cloned().unwrap_or_default() } else { String::new() }
        };
        let number = |y: &f64| if top >= 10_000.0 { format!("{:.0} k", y / 1000.0) } else { format!("{y}") };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .x_labels(self.ticks.len() * 2)
            .x_label_formatter(&tick)
            .y_label_formatter(&number)
            .x_desc(self.x)
            .y_desc(&self.y)
            .label_style(("sans-serif", 13))
            .draw()?;
        for (index, (name, points)) in self.lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(TRANSPARENT)
            .label_font(("sans-serif", 13))
            .draw()?;
        area.present()?;
        Ok(())
    }
}
