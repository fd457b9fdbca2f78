//! A real Chromium loads a page of another origin, which sends requests through the example's chain. `make test` runs
//! these tests if there is a Chromium or Debian's packages of it (`scripts/chromium.sh`); otherwise they are ignored. It also
//! uses the explain page of the service as an operator does.

mod chromium;
mod devtools;
mod explain;
mod page;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cellgate_tests::artifacts;
use cellgate_tests::options::{Options, sample_config};
use cellgate_tests::stack::Stack;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

use chromium::Browser;
use page::Page;

/// The timeout of one test. Chromium takes about a second, and several on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// The requests of the page, in order. Each has its own path and so needs its own preflight.
const REQUESTS: [&str; 4] = ["answer", "deferred", "malformed", "keyless"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let browser = match Browser::find() {
        Ok(browser) => browser,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    if browser.is_none() && !arguments.list {
        println!("skipped: no Chromium: set CHROMIUM");
    }
    let tests = vec![
        test("a_page_of_the_allowed_origin_can_read_every_response", &browser, |browser| run(allowed(browser))),
        test("a_page_of_another_origin_can_read_no_response", &browser, |browser| run(refused(browser))),
        test("the_explain_page_is_used_by_keyboard", &browser, |browser| run(explain::by_keyboard(browser))),
        test("the_explain_page_asks_for_the_token", &browser, |browser| run(explain::with_token(browser))),
        test("the_explain_page_is_shown_to_no_other_site", &browser, |browser| run(explain::from_other_sites(browser))),
    ];
    libtest_mimic::run(&arguments, tests).exit_code()
}

fn test(name: &str, browser: &Option<Browser>, body: fn(Browser) -> Result<()>) -> Trial {
    let (missing, browser) = (browser.is_none(), browser.clone());
    let trial = Trial::test(name, move || {
        let browser = browser.ok_or("no Chromium: set CHROMIUM")?;
        body(browser).map_err(|error| Failed::from(format!("{error:#}")))
    });
    trial.with_ignored_flag(missing)
}

fn run(body: impl Future<Output = Result<()>>) -> Result<()> {
    let limited = async { tokio::time::timeout(LIMIT, body).await.context("it took more than a minute")? };
    tokio::runtime::Runtime::new()?.block_on(limited)
}

/// A stack whose Envoy allows the page's origin with the host `127.0.0.1`, and no other.
async fn stack(page: &Page) -> Result<Stack> {
    let options = Options::default().config(sample_config()).example().buffer_limit(32 * 1024);
    Stack::try_start(options.origin(&page.origin("127.0.0.1"))).await
}

async fn allowed(browser: Browser) -> Result<()> {
    let page = Page::listen().await?;
    let stack = stack(&page).await?;
    page.serve(stack.address());
    let screenshot = artifacts::checkout().join("target/browser/cors.png");
    let document = browser.load(&page.origin("127.0.0.1"), &screenshot).await?;

    let problem = "application/problem+json";
    let expected = [
        json!({"status": 200, "type": "application/json", "cell": "cell-b"}),
        json!({"status": 200, "type": "application/json", "cell": "cell-c"}),
        json!({"status": 400, "type": problem, "code": "body_malformed"}),
        json!({"status": 400, "type": problem, "code": "key_missing"}),
    ];
    for (request, expected) in REQUESTS.into_iter().zip(expected) {
        let seen = page::seen(&document, request)?;
        for (field, value) in expected.as_object().context("an object")? {
            ensure!(seen[field] == *value, "{request}: {field} is not {value} in {seen}");
        }
        // A refusal is a problem document with a readable sentence.
        let has_detail = seen["detail"].as_str().is_some_and(|detail| !detail.is_empty());
        ensure!(has_detail == (expected["status"] != 200), "{request}: {seen}");
    }
    ensure!(preflights(&stack).await? == [200; 4]);
    ensure!(["cell-a", "cell-b", "cell-c"].map(|cell| stack.cell(cell).arrived()) == [0, 1, 1]);
    chromium::check_screenshot(&screenshot)
}

async fn refused(browser: Browser) -> Result<()> {
    let page = Page::listen().await?;
    let stack = stack(&page).await?;
    page.serve(stack.address());
    // The same page under another host name has another origin.
    let screenshot = artifacts::checkout().join("target/browser/cors-refused.png");
    let document = browser.load(&page.origin("localhost"), &screenshot).await?;
    for request in REQUESTS {
        let seen = page::seen(&document, request)?;
        ensure!(seen["unreadable"].is_string() && seen["status"] == Value::Null, "{request}: {seen}");
    }
    preflights(&stack).await?;
    ensure!(
        ["cell-a", "cell-b", "cell-c"].map(|cell| stack.cell(cell).arrived()) == [0, 0, 0],
        "no preflight, no request"
    );
    chromium::check_screenshot(&screenshot)
}

/// Waits until Envoy's log has all preflights, and returns their statuses.
async fn preflights(stack: &Stack) -> Result<Vec<u64>> {
    cellgate_tests::wait::until("the log lines of four preflights", || async {
        let lines = stack.envoy().access_log()?;
        let codes: Vec<u64> =
            lines.iter().filter(|line| line.text("method") == "OPTIONS").map(|line| line.code()).collect();
        Ok((codes.len() >= REQUESTS.len()).then_some(codes))
    })
    .await
}
