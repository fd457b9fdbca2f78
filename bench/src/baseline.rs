//! Compares this build of Cellgate with another one, such as the last release, in the same rounds.
//!
//! `BASELINE=DIRECTORY` names a directory with `cellgate.wasm` and `cellgate`. Each variant that has a goal then also
//! runs with that build, under its name plus `-baseline`. In every round, the batches of the two builds follow each
//! other.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use anyhow::{Result, bail};
use cellgate_tests::artifacts;

use crate::row::{Batch, Row};
use crate::stats::{Spread, interval};
use crate::variant::Variant;
use crate::variants;

/// The variants that also run with the other build.
const PAIRED: [&str; 5] = ["filter", "filter-peek", "service-buffered", "service-streamed", "service-headers"];

/// The module and the program of one build.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    /// The proxy-wasm module.
    pub(crate) module: PathBuf,
    /// The `cellgate` program.
    pub(crate) program: PathBuf,
}

impl Build {
    /// The build in a directory, which is relative to the root of the checkout.
    ///
    /// # Errors
    /// When the module or the program is missing.
    pub(crate) fn in_directory(directory: &str) -> Result<Self> {
        let directory = artifacts::checkout().join(directory);
        let build = Self { module: directory.join("cellgate.wasm"), program: directory.join("cellgate") };
        for file in [&build.module, &build.program] {
            if !file.is_file() {
                bail!(
                    "{} does not exist: BASELINE must name a directory with cellgate.wasm and cellgate",
                    file.display()
                );
            }
        }
        Ok(build)
    }
}

/// All variants, each followed by its counterpart with the other build, so that the two are neighbours in every round.
pub(crate) fn with_counterparts() -> Vec<&'static Variant> {
    let counterpart = |name| variants().find(move |other| other.base() == name);
    variants::all().flat_map(|variant| [variant].into_iter().chain(counterpart(variant.name))).collect()
}

/// The counterparts.
fn variants() -> impl Iterator<Item = &'static Variant> {
    static ALL: LazyLock<Vec<Variant>> = LazyLock::new(|| {
        let paired = variants::all().filter(|variant| PAIRED.contains(&variant.name));
        // The names live as long as the process, so they may leak.
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

/// The ratio of this build's cost to the other's, row by row; `None` if no other build was measured.
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
    let head = "\n## This build compared with BASELINE\n\nCPU time of this build divided by that of the build in BASELINE: the median of the rounds' ratios and \
                the interval that contains the true median with a probability of 90 %.\n\n| | proxy | service |\n|---|--:|--:|\n";
    (!table.is_empty()).then(|| format!("{head}{table}"))
}

/// The ratios of all rounds; `None` if the variant has no service, or nothing was measured.
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
    fn each_paired_variant_is_followed_by_its_counterpart() {
        let all = with_counterparts();
        assert_eq!(all.len(), variants::all().count() + PAIRED.len());
        for pair in all.windows(2).filter(|pair| PAIRED.contains(&pair[0].name)) {
            assert_eq!(pair[1].another_build_of, Some(pair[0].name));
        }
    }

    #[test]
    fn builds_are_compared_round_by_round() {
        // In the second round the machine was half as fast.
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
    fn a_directory_without_a_build_is_rejected() {
        let directory = tempfile::tempdir().unwrap();
        let error = Build::in_directory(directory.path().to_str().unwrap()).unwrap_err().to_string();
        assert!(error.contains("cellgate.wasm does not exist"), "{error}");
    }
}
