//! The explain page of the service, as an operator uses it: on a desk and on a phone, in the light and in the dark, by keyboard.
//!
//! axe-core (`scripts/axe.sh`) looks for faults of accessibility; without it that part is left out, and the test says so.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use cellgate_tests::artifacts;
use cellgate_tests::client::Request;
use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;
use serde_json::Value;

use crate::chromium::Browser;
use crate::devtools::{Screen, Tab};
use crate::page::Page;

const DESK: Screen = Screen { width: 1100, height: 900, is_dark: false, is_phone: false };
const DARK: Screen = Screen { is_dark: true, ..DESK };
const PHONE: Screen = Screen { width: 390, height: 844, is_dark: false, is_phone: true };

/// As a browser's "Copy as cURL (bash)" writes it.
const CURL: &str = r#"curl 'https://api.example.com/orders' \
  -H 'content-type: application/json' \
  -H 'x-cell: cell-c' \
  --data-raw $'{"note":"it\'s","tenant":{"id":"acme"}}' \
  --insecure"#;

const IS_LOADED: &str = "document.querySelector('#state dd') !== null";
const IS_ANSWERED: &str = "!document.getElementById('answer').hidden";

const TAB: u32 = 9;
const ENTER: u32 = 13;
const CTRL: u32 = 2;

/// A stack whose service has decided one request and refused one, and the address of the page.
async fn stack() -> Result<(Stack, String)> {
    let stack = Stack::try_start(Options::default().buffer_limit(32 * 1024)).await?;
    let padding = "p".repeat(100_000);
    for (path, member) in [("/decided", "tenant"), ("/refused", "nobody")] {
        let body = format!(r#"{{"x":"{padding}","{member}":{{"id":"acme"}}}}"#);
        stack.connect().await.send(&Request::post(path).json(body)).await?;
    }
    let address = format!("http://{}/", stack.ext_proc().addresses().admin);
    Ok((stack, address))
}

/// axe-core's script, if it is installed.
fn axe() -> Result<Option<String>> {
    let installed = artifacts::checkout().join(".tools/axe-core-4.14.1/axe.min.js");
    let file = std::env::var_os("AXE").filter(|file| !file.is_empty()).map_or(installed, PathBuf::from);
    if !file.exists() {
        println!("accessibility is not tested: no axe-core: run scripts/axe.sh");
        return Ok(None);
    }
    Ok(Some(std::fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?))
}

async fn text(tab: &mut Tab, selector: &str) -> Result<String> {
    let value = tab.evaluate(&format!("document.querySelector('{selector}').textContent")).await?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}

/// Presses Tab until an element has the focus.
async fn tab_to(tab: &mut Tab, id: &str) -> Result<()> {
    for _ in 0..20 {
        tab.press("Tab", TAB, 0).await?;
        if tab.evaluate("document.activeElement.id").await? == id {
            let outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle").await?;
            ensure!(outline == "solid", "{id} does not show that it has the focus");
            return Ok(());
        }
    }
    anyhow::bail!("Tab never reaches #{id}")
}

async fn check_accessibility(tab: &mut Tab, axe: Option<&str>, what: &str) -> Result<()> {
    let Some(axe) = axe else { return Ok(()) };
    tab.evaluate(&format!("{axe};0")).await?;
    let run = "axe.run(document).then((found) => JSON.stringify({passes: found.passes.length, faults: found.violations.map(\
               (fault) => ({id: fault.id, help: fault.help, nodes: fault.nodes.map((node) => node.html)}))}))";
    let found = tab.evaluate(run).await?;
    let found: Value = serde_json::from_str(found.as_str().context("axe says nothing")?)?;
    ensure!(found["passes"].as_u64() > Some(20), "axe has looked at nothing: {found}");
    ensure!(found["faults"].as_array().is_some_and(Vec::is_empty), "{what}: {:#}", found["faults"]);
    // No part is wider than the screen.
    let fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    ensure!(tab.evaluate(fits).await? == true, "{what}: the page scrolls sideways");
    Ok(())
}

pub(crate) async fn by_keyboard(browser: Browser) -> Result<()> {
    let (stack, address) = stack().await?;
    let axe = axe()?;
    let mut tab = Tab::open(&browser).await?;
    for (name, screen) in [("desk", DESK), ("phone", PHONE), ("dark", DARK)] {
        tab.go(&address, screen).await?;
        tab.until(IS_LOADED).await?;
        check_accessibility(&mut tab, axe.as_deref(), &format!("{name}, empty")).await?;
        tab_to(&mut tab, "request").await?;
        tab.insert(CURL).await?;
        tab_to(&mut tab, "explain").await?;
        tab.press("Enter", ENTER, 0).await?;
        tab.until(IS_ANSWERED).await?;
        ensure!(text(&mut tab, "#outcome").await? == "cell cell-b", "{name}");
        ensure!(text(&mut tab, "#tier").await? == "decided by the filter", "{name}");
        ensure!(text(&mut tab, "#reason").await? == "exact", "{name}");
        let steps = text(&mut tab, "#steps").await?;
        for step in [
            "POST /orders",
            "--insecure, which do not change",
            "x-cell",
            "json /tenant/id",
            "\"acme\"",
            "cell cell-b (exact)",
        ] {
            ensure!(steps.contains(step), "{name}: {step} is not in {steps}");
        }
        check_accessibility(&mut tab, axe.as_deref(), &format!("{name}, with an answer")).await?;
        let screenshot = artifacts::checkout().join(format!("target/browser/explain-{name}.png"));
        tab.screenshot(&screenshot).await?;
        let bytes = std::fs::metadata(&screenshot)?.len();
        ensure!((20_000..2_000_000).contains(&bytes), "{} has {bytes} bytes", screenshot.display());
    }
    // The state: what the service decided, and what is in force.
    ensure!(text(&mut tab, "#decisions").await?.contains("exactcell1"), "{}", text(&mut tab, "#decisions").await?);
    ensure!(text(&mut tab, "#cells").await? == "cell-b1", "{}", text(&mut tab, "#cells").await?);
    ensure!(text(&mut tab, "#refusals").await?.starts_with("key_missing120"));
    let state = text(&mut tab, "#state").await?;
    ensure!(state.contains("sha256:") && state.contains("sample, loaded 20"), "{state}");

    // A request that cannot be read is an alert, and hides the old answer.
    tab_to(&mut tab, "request").await?;
    tab.evaluate("document.getElementById('request').select()").await?;
    tab.insert("curl --data @/etc/passwd http://a/").await?;
    tab.press("Enter", ENTER, CTRL).await?;
    tab.until("!document.getElementById('request-problem').hidden").await?;
    let problem = text(&mut tab, "#request-problem").await?;
    ensure!(problem.contains("/etc/passwd: files are not read here"), "{problem}");
    ensure!(tab.evaluate("document.getElementById('answer').hidden").await? == true);

    // Chromium reports the answer 422 as a failed load; nothing else went wrong, and nothing came from elsewhere.
    let problems: Vec<_> = tab.problems().into_iter().filter(|problem| !problem.contains("status of 422")).collect();
    ensure!(problems.is_empty(), "{problems:#?}");
    let requested = tab.requested();
    ensure!(requested.iter().all(|url| url.starts_with(&address) || url == "about:blank"), "{requested:?}");
    drop(stack);
    Ok(())
}

pub(crate) async fn with_token(browser: Browser) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("token");
    std::fs::write(&file, "a-token-of-the-browser-test\n")?;
    let path = file.to_str().context("a path")?.to_owned();
    let options = Options::default().service_option("--admin-token-file", &path);
    let stack = Stack::try_start(options).await?;
    let address = format!("http://{}/", stack.ext_proc().addresses().admin);
    let mut tab = Tab::open(&browser).await?;
    tab.go(&address, DESK).await?;
    tab.until("!document.getElementById('access').hidden").await?;
    ensure!(text(&mut tab, "#state").await?.is_empty(), "no data without the token");
    check_accessibility(&mut tab, axe()?.as_deref(), "the question for the token").await?;
    tab.screenshot(&artifacts::checkout().join("target/browser/explain-token.png")).await?;
    tab_to(&mut tab, "token").await?;
    tab.insert("a-token-of-the-browser-test").await?;
    tab.press("Enter", ENTER, 0).await?;
    tab.until(IS_LOADED).await?;
    tab_to(&mut tab, "request").await?;
    tab.insert(CURL).await?;
    tab.press("Enter", ENTER, CTRL).await?;
    tab.until(IS_ANSWERED).await?;
    ensure!(text(&mut tab, "#outcome").await? == "cell cell-b");
    let stored = tab.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])").await?;
    ensure!(stored == "[{},{},\"\"]", "{stored}");
    Ok(())
}

/// A page of another site, and a name of another site that leads to this port, get nothing; and no site shows the page in a frame.
pub(crate) async fn from_other_sites(browser: Browser) -> Result<()> {
    let (stack, address) = stack().await?;
    let page = Page::listen().await?;
    page.serve(stack.address());
    let mut tab = Tab::open(&browser).await?;
    tab.go(&page.origin("127.0.0.1"), DESK).await?;
    let ask = |options: &str| {
        format!("fetch('{address}explain', {options}).then((r) => 'status ' + r.status, (e) => 'refused')")
    };
    for options in [
        "{method: 'POST', headers: {'content-type': 'application/json'}, body: '{\"request\": \"curl http://a/\"}'}",
        "{method: 'POST', headers: {'content-type': 'text/plain'}, body: '{\"request\": \"curl http://a/\"}'}",
    ] {
        ensure!(tab.evaluate(&ask(options)).await? == "refused", "{options}");
    }
    // `no-cors` hides the answer, so the service's own refusal is what counts.
    let state = format!("fetch('{address}explain/state').then((r) => 'status ' + r.status, (e) => 'refused')");
    ensure!(tab.evaluate(&state).await? == "refused");
    let frame = format!(
        "new Promise((done) => {{ const frame = document.createElement('iframe'); frame.src = '{address}'; \
         frame.onload = () => {{ try {{ done(frame.contentDocument === null ? 'foreign' : 'own'); }} catch {{ done('foreign'); }} }}; \
         document.body.append(frame); }})"
    );
    tab.evaluate(&frame).await?;
    let refused =
        tab.problems().iter().any(|problem| problem.contains("frame-ancestors") || problem.contains("X-Frame-Options"));
    ensure!(refused || tab.problems().iter().any(|problem| problem.contains("BLOCKED")), "{:#?}", tab.problems());
    // Another name of this host, as after a rebinding of DNS.
    let port = stack.ext_proc().addresses().admin.port();
    tab.go(&format!("http://rebound.localhost:{port}/"), DESK).await?;
    let shown = text(&mut tab, "body").await?;
    ensure!(shown.contains("the explain page has the name localhost"), "{shown}");
    Ok(())
}
