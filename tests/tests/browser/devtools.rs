//! A Chromium that a test drives by the Chrome DevTools Protocol: it types, presses keys and sees what a person sees.
//!
//! The protocol's messages go over two pipes (`--remote-debugging-pipe`), each message with a zero byte behind it.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::chromium::Browser;

/// One page in a Chromium of its own. Dropping it ends the Chromium.
pub(crate) struct Tab {
    _process: Child,
    _profile: TempDir,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: String,
    last_id: u64,
    events: VecDeque<Value>,
}

/// How a page is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) is_dark: bool,
    pub(crate) is_phone: bool,
}

impl Tab {
    /// Starts a Chromium with an empty page.
    pub(crate) async fn open(browser: &Browser) -> Result<Self> {
        let profile = tempfile::Builder::new().prefix("cellgate-chromium-").tempdir()?;
        // The pipes are the descriptors 3 and 4 of Chromium, and its own output goes to the test's.
        let mut process = Command::new("/bin/sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>&2", "sh"])
            .arg(browser.path())
            .args(["--remote-debugging-pipe", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .args(["--no-first-run", "--no-proxy-server", "--disable-background-networking", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start Chromium")?;
        let (input, output) = (process.stdin.take().context("stdin")?, process.stdout.take().context("stdout")?);
        let (session, events) = (String::new(), VecDeque::new());
        let output = BufReader::new(output);
        let mut tab = Self { _process: process, _profile: profile, input, output, session, last_id: 0, events };
        let target = tab.call("Target.createTarget", json!({"url": "about:blank"})).await?;
        let target = target["targetId"].as_str().context("no target")?.to_owned();
        let attached = tab.call("Target.attachToTarget", json!({"targetId": target, "flatten": true})).await?;
        tab.session = attached["sessionId"].as_str().context("no session")?.to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            tab.call(&format!("{domain}.enable"), json!({})).await?;
        }
        Ok(tab)
    }

    /// Sends a command and returns its result.
    pub(crate) async fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).await.context("Chromium has ended")?;
        loop {
            let message = self.read().await?;
            if message["id"] == json!(id) {
                ensure!(message.get("error").is_none(), "{method}: {}", message["error"]);
                return Ok(message["result"].clone());
            }
            self.events.push_back(message);
        }
    }

    /// Shows a page and waits until it is loaded.
    pub(crate) async fn go(&mut self, address: &str, screen: Screen) -> Result<()> {
        let Screen { width, height, is_dark, is_phone } = screen;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone});
        self.call("Emulation.setDeviceMetricsOverride", metrics).await?;
        let scheme = if is_dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", media).await?;
        let went = self.call("Page.navigate", json!({"url": address})).await?;
        ensure!(went.get("errorText").is_none(), "{address}: {went}");
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'").await
    }

    /// The value of an expression. A promise is awaited.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let result = self.call("Runtime.evaluate", parameters).await?;
        if let Some(exception) = result.get("exceptionDetails") {
            bail!("{expression:.200}: {exception}");
        }
        Ok(result["result"]["value"].clone())
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&mut self, condition: &str) -> Result<()> {
        let poll = format!(
            "new Promise((done) => {{ const poll = () => ({condition}) ? done(true) : setTimeout(poll, 20); poll(); }})"
        );
        self.evaluate(&poll).await.map(|_| ())
    }

    /// Types or pastes a text where the focus is.
    pub(crate) async fn insert(&mut self, text: &str) -> Result<()> {
        self.call("Input.insertText", json!({"text": text})).await.map(|_| ())
    }

    /// Presses a key. `modifiers` is 2 for Ctrl and 8 for Shift.
    pub(crate) async fn press(&mut self, key: &str, code: u32, modifiers: u32) -> Result<()> {
        let text = if key == "Enter" {
            "\r"
        } else if key == " " {
            " "
        } else {
            ""
        };
        let down = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        let event = |kind: &str, text: &str| json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers, "text": text});
        self.call("Input.dispatchKeyEvent", event(down, text)).await?;
        self.call("Input.dispatchKeyEvent", event("keyUp", "")).await.map(|_| ())
    }

    /// Writes a screenshot of the whole page.
    pub(crate) async fn screenshot(&mut self, file: &Path) -> Result<()> {
        let parameters = json!({"format": "png", "captureBeyondViewport": true});
        let shot = self.call("Page.captureScreenshot", parameters).await?;
        std::fs::create_dir_all(file.parent().context("a screenshot has a directory")?)?;
        Ok(std::fs::write(file, from_base64(shot["data"].as_str().context("no picture")?)?)?)
    }

    /// The problems that Chromium has reported so far: exceptions, violations of the content security policy, failed requests.
    pub(crate) fn problems(&self) -> Vec<String> {
        let is_problem = |event: &&Value| {
            let level = event["params"]["entry"]["level"].as_str();
            match event["method"].as_str() {
                Some("Runtime.exceptionThrown" | "Network.loadingFailed") => true,
                Some("Log.entryAdded") => matches!(level, Some("error" | "warning")),
                _ => false,
            }
        };
        self.events.iter().filter(is_problem).map(Value::to_string).collect()
    }

    /// The addresses that the page has requested.
    pub(crate) fn requested(&self) -> Vec<String> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.filter_map(|event| event["params"]["request"]["url"].as_str()).map(str::to_owned).collect()
    }

    async fn read(&mut self) -> Result<Value> {
        let mut message = Vec::new();
        self.output.read_until(0, &mut message).await?;
        ensure!(message.pop() == Some(0), "Chromium has ended");
        Ok(serde_json::from_slice(&message)?)
    }
}

/// Decodes base64 (RFC 4648, 4).
fn from_base64(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for character in text.bytes().take_while(|byte| *byte != b'=') {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => bail!("not base64"),
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Ok(bytes)
}
