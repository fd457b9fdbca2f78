//! Linear regression with a confidence interval for the slope.

/// A line fitted by least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// The slope: units of y per unit of x.
    pub slope: f64,
    /// The slope's 95 % confidence interval is `slope ± margin`, if the deviations of the points are independent.
    /// Infinite for two points.
    pub margin: f64,
    /// The line at x = 0.
    pub intercept: f64,
    /// The mean of y.
    pub mean: f64,
    /// The coefficient of determination (R²), from 0 to 1.
    pub explained: f64,
}

impl Line {
    /// The line through `(x, y)` pairs. `None` with fewer than two different x.
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let count = points.len() as f64;
        let mean_of = |coordinate: fn(&(f64, f64)) -> f64| points.iter().map(coordinate).sum::<f64>() / count;
        let (mean_x, mean) = (mean_of(|point| point.0), mean_of(|point| point.1));
        let sum = |term: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| term(x - mean_x, y - mean)).sum::<f64>();
        let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
        if points.len() < 2 || xx <= 0.0 {
            return None;
        }
        let slope = xy / xx;
        let residual = (yy - slope * xy).max(0.0);
        let freedom = count - 2.0;
        let margin = if freedom > 0.0 { student(freedom) * (residual / freedom / xx).sqrt() } else { f64::INFINITY };
        let explained = if yy > 0.0 { 1.0 - residual / yy } else { 1.0 };
        Some(Self { slope, margin, intercept: mean - slope * mean_x, mean, explained })
    }

    /// The power law y = c·x^slope through positive pairs: the line through their logarithms.
    pub fn power_law(points: &[(f64, f64)]) -> Option<Self> {
        let positive = points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0);
        let logarithms: Vec<_> = positive.map(|(x, y)| (x.ln(), y.ln())).collect();
        Self::through(&logarithms)
    }
}

/// The means of at most `count` blocks of neighbouring samples. Successive samples are correlated, so using all of them
/// would make the slope's margin too small.
pub fn blocks(points: &[(f64, f64)], count: usize) -> Vec<(f64, f64)> {
    let length = points.len().div_ceil(count.max(1)).max(1);
    let mean = |block: &[(f64, f64)]| {
        let sum = block.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / block.len() as f64, sum.1 / block.len() as f64)
    };
    points.chunks(length).map(mean).collect()
}

/// The 97.5 % quantile of Student's t, to within 1 % from 4 degrees of freedom on (the first terms of its expansion
/// around the normal distribution; Abramowitz and Stegun, 26.7.5).
fn student(freedom: f64) -> f64 {
    let z: f64 = 1.959_964;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-2 * expected.abs().max(1e-6), "{found} is not {expected}");
    }

    #[test]
    fn a_line_is_recovered_from_its_points() {
        let line = Line::through(&[(0.0, 5.0), (1.0, 7.0), (2.0, 9.0), (3.0, 11.0)]).unwrap();
        close(line.slope, 2.0);
        close(line.intercept, 5.0);
        close(line.mean, 8.0);
        assert!(line.margin < 1e-9 && line.explained > 0.999_999);
    }

    #[test]
    fn noise_without_a_slope_has_a_margin_around_zero() {
        let points: Vec<_> = (0..40).map(|x| (f64::from(x), f64::from([3, -1, -3, 1][x as usize % 4]))).collect();
        let line = Line::through(&points).unwrap();
        assert!(line.slope.abs() < line.margin, "{line:?}");
    }

    #[test]
    fn a_power_law_is_recovered_from_its_points() {
        let points: Vec<_> = [1.0, 10.0, 100.0, 1000.0].map(|x: f64| (x, 3.0 * x.powf(1.5))).to_vec();
        let law = Line::power_law(&points).unwrap();
        close(law.slope, 1.5);
        close(law.intercept.exp(), 3.0);
    }

    #[test]
    fn points_with_the_same_x_have_no_slope() {
        assert_eq!(Line::through(&[]), None);
        assert_eq!(Line::through(&[(1.0, 2.0), (1.0, 3.0)]), None);
        assert_eq!(Line::through(&[(1.0, 2.0), (2.0, 3.0)]).unwrap().margin, f64::INFINITY);
    }

    #[test]
    fn students_t_matches_the_tables() {
        for (freedom, quantile) in [(4.0, 2.776), (8.0, 2.306), (13.0, 2.160), (28.0, 2.048), (1000.0, 1.962)] {
            close(student(freedom), quantile);
        }
    }

    #[test]
    fn blocks_are_means_of_neighbouring_samples() {
        let points = [(0.0, 1.0), (1.0, 3.0), (2.0, 5.0), (3.0, 7.0), (4.0, 9.0)];
        assert_eq!(blocks(&points, 3), [(0.5, 2.0), (2.5, 6.0), (4.0, 9.0)]);
        assert_eq!(blocks(&points, 100), points);
    }
}
