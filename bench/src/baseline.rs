//! Another build of Cellgate beside this one, such as the last release: what a change costs, measured in the same rounds.
//!
//! `BASELINE=DIRECTORY` names a directory with `cellgate.wasm` and `cellgate`. Each variant that a goal is about then runs
//! once more with them, under its name with `-baseline` behind it, one batch right after the other in every round.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use anyhow::{Result, bail};
use cellgate_tests::artifacts;

use crate::row::{Batch, Row};
use crate::stats::{Spread, interval};
use crate::variant::Variant;
use crate::variants;

/// The variants that have a counterpart.
const PAIRED: [&str; 5] = ["filter", "filter-peek", "service-buffered", "service-streamed", "service-headers"];

/// The two programs of a build.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    /// The proxy-wasm module.
    pub(crate) module: PathBuf,
    /// The `cellgate` program.
    pub(crate) program: PathBuf,
}

impl Build {
    /// Of a directory, seen from the root of the checkout.
    ///
    /// # Errors
    /// When one of the two is not there.
    pub(crate) fn in_directory(directory: &str) -> Result<Self> {
        let directory = artifacts::checkout().join(directory);
        let build = Self { module: directory.join("cellgate.wasm"), program: directory.join("cellgate") };
        for file in [&build.module, &build.program] {
            if !file.is_file() {
                bail!("{} is not there: BASELINE is a directory with cellgate.wasm and cellgate", file.display());
            }
        }
        Ok(build)
    }
}

/// All variants, each with its counterpart right behind it, so that the two follow each other in every round.
pub(crate) fn with_counterparts() -> Vec<&'static Variant> {
    let counterpart = |name| variants().find(move |other| other.base() == name);
    variants::all().flat_map(|variant| [variant].into_iter().chain(counterpart(variant.name))).collect()
}

/// The counterparts.
fn variants() -> impl Iterator<Item = &'static Variant> {
    static ALL: LazyLock<Vec<Variant>> = LazyLock::new(|| {
        let paired = variants::all().filter(|variant| PAIRED.contains(&variant.name));
        // Made once, and needed to the end.
        let counterpart = |variant: &Variant| Variant {
            name: format!("{}-baseline", variant.name).leak(),
            title: format!("{}, another build", variant.title).leak(),
            another_build_of: Some(variant.name),
            ..*variant
        };
        paired.map(counterpart).collect()
    });
    ALL.iter()
}

/// This build's cost over the other's, row by row; `None` where no other build was measured.
pub(crate) fn markdown(rows: &[Row]) -> Option<String> {
    let mut table = String::new();
    for another in rows.iter().filter(|row| row.variant.another_build_of.is_some() && !row.batches().is_empty()) {
        let this = rows.iter().find(|row| row.case == another.case && row.variant.name == another.variant.base())?;
        let figure = |figure: fn(&Batch) -> f64| ratio(this, another, figure).map_or_else(String::new, shown);
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| {}, {} | {} | {} |",
            this.variant.title,
            this.case.title(),
            figure(|batch| batch.proxy),
            figure(|batch| batch.service)
        );
    }
    let head = "\n## This build over another\n\nCPU time of this build over that of the one in BASELINE, the median of the rounds' ratios and \
                the interval that holds the true median with 90 % probability.\n\n| | proxy | service |\n|---|--:|--:|\n";
    (!table.is_empty()).then(|| format!("{head}{table}"))
}

/// Each round's ratio; `None` where there is no service, or nothing was measured.
fn ratio(this: &Row, another: &Row, figure: fn(&Batch) -> f64) -> Option<Spread> {
    let pairs = this.batches().iter().zip(another.batches());
    let ratios: Vec<f64> = pairs.map(|(own, other)| figure(own) / figure(other)).filter(|it| it.is_finite()).collect();
    interval(&ratios).or_else(|| Spread::of(ratios))
}

fn shown(ratio: Spread) -> String {
    format!("{:.3} ({:.3} to {:.3})", ratio.median, ratio.min, ratio.max)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cases::{Case, SIZES};
    use crate::row::Outcome;

    fn row(variant: &'static Variant, batches: &[(f64, f64)]) -> Row {
        let mut row = Row::new(Case::plain(SIZES[0]), variant, Arc::default());
        let batches = batches.iter().map(|(proxy, service)| Batch { proxy: *proxy, service: *service });
        row.outcome = Outcome::Measured(batches.collect());
        row
    }

    fn named(name: &str) -> &'static Variant {
        variants::all().chain(variants()).find(|variant| variant.name == name).unwrap()
    }

    #[test]
    fn every_pair_is_there() {
        let all = with_counterparts();
        assert_eq!(all.len(), variants::all().count() + PAIRED.len());
        for pair in all.windows(2).filter(|pair| PAIRED.contains(&pair[0].name)) {
            assert_eq!(pair[1].another_build_of, Some(pair[0].name));
        }
    }

    #[test]
    fn builds_are_compared_round_by_round() {
        // The machine was half as fast in the second round.
        let rows = [
            row(named("filter"), &[(110.0, 0.0), (220.0, 0.0)]),
            row(named("filter-baseline"), &[(100.0, 0.0), (200.0, 0.0)]),
            row(named("service-buffered"), &[(150.0, 30.0), (300.0, 60.0)]),
            row(named("service-buffered-baseline"), &[(150.0, 40.0), (300.0, 80.0)]),
        ];
        let text = markdown(&rows).unwrap();
        for wanted in [
            "| Cellgate's filter, 256 B, objects, key last, HTTP/1.1 | 1.100 (1.100 to 1.100) |  |",
            "| 1.000 (1.000 to 1.000) | 0.750 (0.750 to 0.750) |",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
        assert_eq!(markdown(&rows[..1]), None);
    }

    #[test]
    fn a_directory_without_a_build_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let error = Build::in_directory(directory.path().to_str().unwrap()).unwrap_err().to_string();
        assert!(error.contains("cellgate.wasm is not there"), "{error}");
    }
}
