//! The plot: what each variant adds to Envoy alone, over the body's size, both axes logarithmic.
//!
//! The same drawing goes to an SVG and to a PNG. Its font is compiled in, so that it needs none of the system's.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::combinators::{BindKeyPoints, IntoLogRange};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use crate::cases::{Case, NamedBy, SIZES};
use crate::measure::Row;
use crate::summary::Summary;
use crate::variants::Variant;

/// Width and height without scaling.
const SIZE: (u32, u32) = (1200, 700);

/// How much larger the PNG is, for screens that show more.
const PNG_SCALE: u32 = 2;

/// Room for the labels beside the lines.
const LABELS: i32 = 420;

/// From one label to the next.
const LABEL_HEIGHT: i32 = 20;

const FONT: &str = "sans-serif";

/// One variant's line: its points are bytes and microseconds.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    label: &'static str,
    color: RGBColor,
    width: u32,
    points: Vec<(f64, f64)>,
}

/// Writes `plot.svg` and `plot.png`. Nothing when there are not two sizes to draw a line between.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write(rows: &[Row], directory: &Path) -> Result<()> {
    let lines = lines(rows);
    if lines.is_empty() {
        return Ok(());
    }
    register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT).map_err(|_| anyhow!("the font"))?;
    let svg = directory.join("plot.svg");
    draw(&SVGBackend::new(&svg, SIZE).into_drawing_area(), &lines, 1).context("plot.svg")?;
    let (width, height) = (SIZE.0 * PNG_SCALE, SIZE.1 * PNG_SCALE);
    let mut pixels = vec![0; (width * height * 3) as usize];
    let bitmap = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
    draw(&bitmap, &lines, PNG_SCALE).context("plot.png")?;
    drop(bitmap);
    let mut encoder = png::Encoder::new(std::fs::File::create(directory.join("plot.png"))?, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}

/// The plainest case's lines. A size at which a variant costs no more than Envoy alone has no place on the axis.
fn lines(rows: &[Row]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut colors = Colors::default();
    for variant in crate::variants::all() {
        let point = |size| {
            let case = Case::plain(size);
            let row = |name| rows.iter().find(|row| row.case == case && row.variant.name == name);
            let added = Summary::of(row(variant.name)?, row(Variant::PLAIN.name)?)?.added.median;
            (added > 0.0).then_some((size.bytes as f64, added))
        };
        let points: Vec<_> = SIZES.into_iter().filter_map(point).collect();
        if points.len() > 1 {
            let width = if variant.ours { 3 } else { 2 };
            lines.push(Line { label: variant.title, color: colors.next(variant), width, points });
        }
    }
    lines
}

/// Cellgate in blues, what does nothing in greys, what else decides in warm colours.
#[derive(Default)]
struct Colors {
    taken: [usize; 3],
}

impl Colors {
    fn next(&mut self, variant: &Variant) -> RGBColor {
        const TONES: [[RGBColor; 5]; 3] = [
            [
                RGBColor(0, 60, 200),
                RGBColor(0, 150, 220),
                RGBColor(80, 60, 200),
                RGBColor(0, 120, 130),
                RGBColor(120, 160, 240),
            ],
            [
                RGBColor(60, 60, 60),
                RGBColor(105, 105, 105),
                RGBColor(135, 135, 135),
                RGBColor(80, 80, 80),
                RGBColor(145, 145, 145),
            ],
            [
                RGBColor(210, 40, 30),
                RGBColor(240, 140, 0),
                RGBColor(160, 20, 110),
                RGBColor(150, 100, 0),
                RGBColor(240, 100, 120),
            ],
        ];
        let group = match variant.named_by {
            _ if variant.ours => 0,
            NamedBy::Client => 1,
            NamedBy::Body | NamedBy::Header => 2,
        };
        let (Some(tones), Some(taken)) = (TONES.get(group), self.taken.get_mut(group)) else { return BLACK };
        *taken += 1;
        tones.get((*taken - 1) % tones.len()).copied().unwrap_or(BLACK)
    }
}

fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, lines: &[Line], scale: u32) -> Result<()>
where
    B::ErrorType: 'static,
{
    let px = |length: i32| length * scale.cast_signed();
    let all = || lines.iter().flat_map(|line| &line.points);
    let largest = all().fold(0.0_f64, |largest, point| largest.max(point.0));
    let (low, high) = all().fold((f64::MAX, 0.0_f64), |(low, high), point| (low.min(point.1), high.max(point.1)));
    area.fill(&WHITE)?;
    let sizes: Vec<f64> = SIZES.iter().map(|size| size.bytes as f64).filter(|bytes| *bytes <= largest).collect();
    let powers = (0..9).map(|power| 10_f64.powi(power)).collect::<Vec<_>>();
    let mut chart = ChartBuilder::on(area)
        .caption("CPU time added to Envoy alone: objects, key last, HTTP/1.1", (FONT, px(22)))
        .margin(px(15))
        .margin_right(px(LABELS))
        .x_label_area_size(px(45))
        .y_label_area_size(px(70))
        .build_cartesian_2d(
            (200.0..largest * 1.2).log_scale().with_key_points(sizes),
            (low * 0.8..high * 1.3).log_scale().with_key_points(powers),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("body")
        .y_desc("µs per request, Envoy and service together")
        .x_label_formatter(&|bytes| size_label(*bytes))
        .y_label_formatter(&|micros| format!("{micros:.0}"))
        .label_style((FONT, px(15)))
        .draw()?;
    for line in lines {
        let style = line.color.stroke_width(line.width * scale);
        chart.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
        let dots = line.points.iter().map(|point| Circle::new(*point, px(4), line.color.filled()));
        chart.draw_series(dots)?;
    }
    let ends = lines.iter().filter_map(|line| Some(chart.backend_coord(line.points.last()?)));
    let ends: Vec<(i32, i32)> = ends.collect();
    label(area, lines, &ends, px)?;
    area.present()?;
    Ok(())
}

/// Writes each label as near to the end of its line as the others let it, and joins the two.
fn label<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    lines: &[Line],
    ends: &[(i32, i32)],
    px: impl Fn(i32) -> i32,
) -> Result<()>
where
    B::ErrorType: 'static,
{
    let column = px(SIZE.0.cast_signed() - LABELS + 25);
    let top = px(15);
    let bottom = px(SIZE.1.cast_signed() - 65);
    let heights = spread_out(&ends.iter().map(|end| end.1).collect::<Vec<_>>(), px(LABEL_HEIGHT), top, bottom);
    for ((line, end), height) in lines.iter().zip(ends).zip(heights) {
        let thin = line.color.mix(0.35).stroke_width(px(1).unsigned_abs());
        area.draw(&PathElement::new(vec![*end, (column - px(4), height)], thin))?;
        let style = TextStyle::from((FONT, px(16))).color(&line.color).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(line.label, (column, height), style))?;
    }
    Ok(())
}

/// Moves heights apart so that neighbours are at least `gap` from each other and none is above `top` or, while there is
/// room for them, below `bottom`, keeping their order.
fn spread_out(heights: &[i32], gap: i32, top: i32, bottom: i32) -> Vec<i32> {
    let mut order: Vec<(usize, i32)> = heights.iter().copied().enumerate().collect();
    order.sort_by_key(|(_, height)| *height);
    let mut floor = bottom;
    for (_, height) in order.iter_mut().rev() {
        *height = (*height).min(floor);
        floor = *height - gap;
    }
    let mut ceiling = top;
    for (_, height) in &mut order {
        *height = (*height).max(ceiling);
        ceiling = *height + gap;
    }
    order.sort_by_key(|(index, _)| *index);
    order.into_iter().map(|(_, height)| height).collect()
}

fn size_label(bytes: f64) -> String {
    let known = SIZES.iter().find(|size| (size.bytes as f64 - bytes).abs() < 0.5);
    known.map_or_else(String::new, |size| size.label.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::measure::{Batch, Outcome};

    fn rows() -> Vec<Row> {
        let mut rows = Vec::new();
        for (size, plain) in SIZES.into_iter().zip([60.0, 62.0, 80.0, 350.0, 3500.0]) {
            for (number, variant) in crate::variants::all().enumerate() {
                let mut row = Row::new(Case::plain(size), variant, Arc::default());
                let proxy = plain + number as f64 * (5.0 + size.bytes as f64 / 3000.0);
                if let Outcome::Measured(batches) = &mut row.outcome {
                    batches.push(Batch { proxy, service: 0.0 });
                }
                rows.push(row);
            }
        }
        rows
    }

    #[test]
    fn the_plot_is_written_in_both_forms() {
        let directory = tempfile::tempdir().unwrap();
        write(&rows(), directory.path()).unwrap();
        let svg = std::fs::read_to_string(directory.path().join("plot.svg")).unwrap();
        assert!(svg.contains("Cellgate&apos;s filter") || svg.contains("Cellgate's filter"), "{svg}");
        let file = std::fs::File::open(directory.path().join("plot.png")).unwrap();
        let mut png = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
        let mut pixels = vec![0; png.output_buffer_size().unwrap()];
        png.next_frame(&mut pixels).unwrap();
        // The labels, in the column that has no lines: text needs a font, and there is one.
        let row = (SIZE.0 * PNG_SCALE * 3) as usize;
        let dark = pixels.chunks(row).flat_map(|line| &line[row * 3 / 4..row * 9 / 10]).filter(|value| **value < 128);
        assert!(dark.count() > 1000);
    }

    #[test]
    fn the_baseline_adds_nothing_and_has_no_line() {
        assert!(lines(&rows()).iter().all(|line| line.label != Variant::PLAIN.title));
        assert!(lines(&rows()).iter().any(|line| line.label == "Cellgate's filter" && line.points.len() == 4));
    }

    #[test]
    fn labels_do_not_cover_each_other() {
        assert_eq!(spread_out(&[100, 50, 105, 300], 20, 0, 1000), [85, 50, 105, 300]);
        assert_eq!(spread_out(&[290, 295, 300], 20, 0, 300), [260, 280, 300]);
        assert_eq!(spread_out(&[5, 6, 30], 20, 10, 300), [10, 30, 50]);
        assert_eq!(spread_out(&[], 20, 0, 300), Vec::<i32>::new());
    }
}
