//! The plot of `docs/performance.md`: the cost that each variant adds to Envoy alone, by body size, with logarithmic
//! axes.

use std::fmt::Write as _;

use crate::cases::{Case, NamedBy, SIZES};
use crate::row::Row;
use crate::summary::Summary;
use crate::variant::Variant;

/// The width and height of the picture, and the left, top, right and bottom of the plot area. Labels are to its right.
const SIZE: (f64, f64) = (1200.0, 700.0);
const LINES: (f64, f64, f64, f64) = (85.0, 45.0, 780.0, 640.0);

/// The least distance between two labels.
const LABEL_HEIGHT: f64 = 20.0;

/// The line of one variant. A point is a pair of bytes and microseconds.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    label: &'static str,
    color: &'static str,
    width: u32,
    points: Vec<(f64, f64)>,
}

/// The range of values on each axis.
struct Axes {
    x: (f64, f64),
    y: (f64, f64),
}

/// The picture as SVG; `None` if there are fewer than two sizes.
pub(crate) fn svg(rows: &[Row]) -> Option<String> {
    let lines = lines(rows);
    let all = || lines.iter().flat_map(|line| &line.points);
    let largest = all().map(|point| point.0).reduce(f64::max)?;
    let (low, high) = (all().map(|point| point.1).reduce(f64::min)?, all().map(|point| point.1).reduce(f64::max)?);
    let axes = Axes { x: (200.0, largest * 1.2), y: (low * 0.8, high * 1.3) };
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = frame(&mut out, &axes).and_then(|()| draw(&mut out, &axes, &lines));
    Some(out)
}

/// The lines of the plain cases. A logarithmic axis has no place for a variant that costs no more than Envoy alone.
fn lines(rows: &[Row]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut taken = [0; 3];
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
            lines.push(Line { label: variant.title, color: color(variant, &mut taken), width, points });
        }
    }
    lines
}

/// The next tone of a variant's group: blue for Cellgate, grey for no-op variants, warm colours for alternatives.
fn color(variant: &Variant, taken: &mut [usize; 3]) -> &'static str {
    const TONES: [[&str; 5]; 3] = [
        ["#003cc8", "#0096dc", "#503cc8", "#007882", "#78a0f0"],
        ["#3c3c3c", "#696969", "#878787", "#505050", "#919191"],
        ["#d2281e", "#f08c00", "#a0146e", "#966400", "#f06478"],
    ];
    let group = match variant.named_by {
        _ if variant.ours => 0,
        NamedBy::Client => 1,
        NamedBy::Body | NamedBy::Header => 2,
    };
    let (Some(tones), Some(taken)) = (TONES.get(group), taken.get_mut(group)) else { return "#000000" };
    *taken += 1;
    tones.iter().cycle().nth(*taken - 1).copied().unwrap_or("#000000")
}

impl Axes {
    /// The position of a point in the picture.
    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let share = |value: f64, (low, high): (f64, f64)| (value / low).ln() / (high / low).ln();
        let (left, top, right, bottom) = LINES;
        (left + share(x, self.x) * (right - left), bottom - share(y, self.y) * (bottom - top))
    }
}

/// Draws the titles, and a grid with the sizes and the powers of ten.
fn frame(out: &mut String, axes: &Axes) -> std::fmt::Result {
    let ((width, height), (left, top, right, bottom)) = (SIZE, LINES);
    let (middle, centre) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
    writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif">
<rect width="{width}" height="{height}" fill="#fff"/>
<text x="{middle}" y="28" text-anchor="middle" font-size="18">CPU time added to Envoy alone: objects, key last, HTTP/1.1</text>
<text x="{middle}" y="{}" text-anchor="middle" font-size="13">body</text>
<text transform="translate(24 {centre}) rotate(-90)" text-anchor="middle" font-size="13">µs per request, Envoy and service together</text>
<g stroke="#ccc" font-size="13">"##,
        height - 14.0
    )?;
    for size in SIZES.iter().filter(|size| (size.bytes as f64) < axes.x.1) {
        let (x, _) = axes.place((size.bytes as f64, axes.y.0));
        writeln!(out, r#"<path d="M{x:.1} {top}V{bottom}"/>"#)?;
        writeln!(
            out,
            r#"<text x="{x:.1}" y="{}" text-anchor="middle" stroke="none">{}</text>"#,
            bottom + 20.0,
            size.label
        )?;
    }
    let powers = (0..9).map(|power| 10_f64.powi(power)).filter(|power| (axes.y.0..axes.y.1).contains(power));
    for power in powers {
        let (_, y) = axes.place((axes.x.0, power));
        writeln!(out, r#"<path d="M{left} {y:.1}H{right}"/>"#)?;
        writeln!(out, r#"<text x="{}" y="{:.1}" text-anchor="end" stroke="none">{power}</text>"#, left - 8.0, y + 4.0)?;
    }
    writeln!(out, "</g>")
}

/// Draws the lines, each with a dot at every size and a label as near to its end as the other labels allow.
fn draw(out: &mut String, axes: &Axes, lines: &[Line]) -> std::fmt::Result {
    let placed: Vec<Vec<_>> =
        lines.iter().map(|line| line.points.iter().map(|point| axes.place(*point)).collect()).collect();
    let ends: Vec<_> = placed.iter().filter_map(|points| points.last().copied()).collect();
    let column = LINES.2 + 25.0;
    let heights = spread_out(&ends.iter().map(|end| end.1).collect::<Vec<_>>(), LINES.1, LINES.3);
    for (((line, points), (x, y)), height) in lines.iter().zip(&placed).zip(&ends).zip(heights) {
        let Line { label, color, width, .. } = line;
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        writeln!(out, r#"<g fill="{color}" stroke="{color}">"#)?;
        writeln!(out, r#"<path d="M{}" fill="none" stroke-width="{width}"/>"#, path.join("L"))?;
        for (x, y) in points {
            writeln!(out, r#"<circle cx="{x:.1}" cy="{y:.1}" r="4"/>"#)?;
        }
        writeln!(out, r#"<path d="M{x:.1} {y:.1}L{} {height:.1}" opacity=".35"/>"#, column - 4.0)?;
        // No title has a character that XML requires to be escaped.
        let below = height + 4.0;
        writeln!(out, r#"<text x="{column}" y="{below:.1}" font-size="13" stroke="none">{label}</text>"#)?;
        writeln!(out, "</g>")?;
    }
    writeln!(out, "</svg>")
}

/// Moves heights apart, in order, so that neighbours have at least the distance [`LABEL_HEIGHT`]. None is above `top`,
/// and none is below `bottom` unless there is too little room.
fn spread_out(heights: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = heights.iter().copied().enumerate().collect();
    order.sort_by(|one, other| one.1.total_cmp(&other.1));
    let mut floor = bottom;
    for (_, height) in order.iter_mut().rev() {
        *height = height.min(floor);
        floor = *height - LABEL_HEIGHT;
    }
    let mut ceiling = top;
    for (_, height) in &mut order {
        *height = height.max(ceiling);
        ceiling = *height + LABEL_HEIGHT;
    }
    order.sort_by_key(|(index, _)| *index);
    order.into_iter().map(|(_, height)| height).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::row::{Batch, Outcome};

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
    fn every_line_is_in_the_picture_with_its_label() {
        let svg = svg(&rows()).unwrap();
        assert_eq!(svg.matches("<g").count(), svg.matches("</g>").count());
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
        for line in lines(&rows()) {
            assert!(svg.contains(&format!(">{}</text>", line.label)), "{}", line.label);
        }
        assert!(crate::variants::all().all(|variant| !variant.title.contains(['<', '>', '&'])));
    }

    #[test]
    fn axes_are_logarithmic() {
        let axes = Axes { x: (100.0, 10_000.0), y: (1.0, 100.0) };
        let (left, top, right, bottom) = LINES;
        assert_eq!(axes.place((100.0, 1.0)), (left, bottom));
        assert_eq!(axes.place((10_000.0, 100.0)), (right, top));
        let (x, y) = axes.place((1000.0, 10.0));
        assert!((x - f64::midpoint(left, right)).abs() < 1e-6 && (y - f64::midpoint(top, bottom)).abs() < 1e-6);
    }

    #[test]
    fn the_baseline_adds_nothing_and_has_no_line() {
        assert!(lines(&rows()).iter().all(|line| line.label != Variant::PLAIN.title));
        assert!(lines(&rows()).iter().any(|line| line.label == "Cellgate's filter" && line.points.len() == 4));
        assert_eq!(svg(&[]), None);
    }

    #[test]
    fn labels_do_not_cover_each_other() {
        assert_eq!(spread_out(&[100.0, 50.0, 105.0, 300.0], 0.0, 1000.0), [85.0, 50.0, 105.0, 300.0]);
        assert_eq!(spread_out(&[290.0, 295.0, 300.0], 0.0, 300.0), [260.0, 280.0, 300.0]);
        assert_eq!(spread_out(&[5.0, 6.0, 30.0], 10.0, 300.0), [10.0, 30.0, 50.0]);
        assert_eq!(spread_out(&[], 0.0, 300.0), [0.0; 0]);
    }
}
