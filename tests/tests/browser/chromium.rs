//! Headless Chromium: loads one page per run and returns its document and a screenshot.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use cellgate_tests::artifacts;

/// The virtual time budget of a page, in milliseconds. Virtual time does not advance while a response is pending.
const BUDGET: u32 = 10_000;

const SIZE: (u32, u32) = (1000, 900);

/// An installed Chromium.
#[derive(Clone)]
pub(crate) struct Browser(PathBuf);

impl Browser {
    /// `$CHROMIUM`, or the Chromium of `scripts/chromium.sh`; `None` if neither exists.
    pub(crate) fn find() -> Result<Option<Self>> {
        if let Some(named) = std::env::var_os("CHROMIUM").filter(|value| !value.is_empty()) {
            let path = artifacts::checkout().join(named);
            ensure!(path.is_file(), "CHROMIUM is {}, which does not exist", path.display());
            return Ok(Some(Self(path)));
        }
        let installed = artifacts::checkout().join(".tools/chromium/chromium");
        Ok(installed.is_file().then_some(Self(installed)))
    }

    /// The program.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Opens a page, runs its scripts, writes a screenshot, and returns the resulting document.
    pub(crate) async fn load(&self, address: &str, screenshot: &Path) -> Result<String> {
        let directory = screenshot.parent().context("a screenshot has a directory")?;
        std::fs::create_dir_all(directory)?;
        // A screenshot of an earlier run would prove nothing.
        if screenshot.exists() {
            std::fs::remove_file(screenshot)?;
        }
        let profile = tempfile::Builder::new().prefix("cellgate-chromium-").tempdir()?;
        let (width, height) = SIZE;
        let output = tokio::process::Command::new(&self.0)
            // The sandbox does not work as root or in many containers. The page is our own.
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"])
            .args(["--no-proxy-server", "--disable-background-networking", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--window-size={width},{height}"))
            .arg(format!("--virtual-time-budget={BUDGET}"))
            .arg(format!("--screenshot={}", screenshot.display()))
            .args(["--dump-dom", address])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("cannot start {}", self.0.display()))?;
        let document = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() || !document.contains("data-done=\"yes\"") {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("Chromium ended with {}, and the page is not done:\n{document}\n{errors}", output.status);
        }
        Ok(document)
    }
}

/// Checks that a screenshot has the right size and is not blank.
pub(crate) fn check_screenshot(file: &Path) -> Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
    // The signature, the head of the first chunk, width and height (PNG, sections 5.2 and 11.2.1).
    let number = |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
    ensure!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "{} is no PNG", file.display());
    ensure!(number(16).zip(number(20)) == Some(SIZE), "{} is not {SIZE:?} pixels large", file.display());
    // A blank screenshot of this size has about 5 kB.
    ensure!((15_000..1_000_000).contains(&bytes.len()), "{} has {} bytes", file.display(), bytes.len());
    Ok(())
}
