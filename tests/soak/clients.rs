//! Sends one visit and checks the response.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use cellgate_tests::client::{Http1, Http2, Response};
use serde_json::Value;

use crate::mix::{Protocol, Visit, Wanted};
use crate::tenants::Tenant;
use crate::timeline::Timeline;

/// The number of HTTP/2 connections, which all HTTP/2 requests share.
const SHARED: usize = 4;

/// Connections to one Envoy.
#[derive(Debug)]
pub(crate) struct Clients {
    address: SocketAddr,
    /// Idle HTTP/1.1 connections.
    idle: Mutex<Vec<Http1>>,
    shared: [tokio::sync::Mutex<Option<Arc<Http2>>>; SHARED],
    turn: AtomicU64,
}

impl Clients {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, idle: Mutex::default(), shared: Default::default(), turn: AtomicU64::new(0) }
    }

    /// Sends a visit, and checks the response against the configurations that may have decided it. Returns whether a
    /// cell has received it.
    ///
    /// # Errors
    /// When the response is wrong or missing.
    pub(crate) async fn visit(&self, visit: &Visit, timeline: &Timeline) -> Result<bool> {
        let start = Instant::now();
        if let Wanted::Abandoned(part) = &visit.wanted {
            self.abandon(visit, part).await.context("leaving")?;
            return Ok(false);
        }
        let answer = match visit.protocol {
            Protocol::Http1 => self.over_http1(visit).await,
            Protocol::Http2 => self.over_http2(visit).await,
        };
        let answer = answer.context("lost")?;
        match &visit.wanted {
            Wanted::Cell(tenant, hash) => {
                let homes: Vec<_> = timeline
                    .between(start, Instant::now())
                    .into_iter()
                    .map(|epoch| (epoch, tenant.home(epoch)))
                    .collect();
                reached(&answer, tenant, hash, visit.bytes, &homes).map(|()| true)
            }
            Wanted::Refusal(status, code) => refused(&answer, *status, code).map(|()| false),
            Wanted::Abandoned(_) => bail!("an aborted request got a response"),
        }
    }

    async fn over_http1(&self, visit: &Visit) -> Result<Response> {
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Http1::connect(self.address).await?,
        };
        let answer = connection.send(&visit.request).await?;
        // A refusal may arrive before the request is written completely.
        if answer.status.is_success() && answer.header("connection") != Some("close") {
            self.idle().push(connection);
        }
        Ok(answer)
    }

    async fn over_http2(&self, visit: &Visit) -> Result<Response> {
        let (slot, connection) = self.connection().await?;
        let answer = connection.send(&visit.request).await;
        if answer.is_err() {
            slot.lock().await.take_if(|current| Arc::ptr_eq(current, &connection));
        }
        answer
    }

    async fn abandon(&self, visit: &Visit, part: &Bytes) -> Result<()> {
        match visit.protocol {
            Protocol::Http1 => {
                let mut connection = Http1::connect(self.address).await?;
                connection.write(visit.request.http1_head()).await?;
                connection.write(part).await?;
                if self.turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
                    connection.reset()?;
                }
            }
            Protocol::Http2 => {
                let (_, connection) = self.connection().await?;
                let mut stream = connection.open(&visit.request).await?;
                stream.data(part.clone()).await?;
                stream.reset();
            }
        }
        Ok(())
    }

    /// The next HTTP/2 connection in turn, with its slot.
    async fn connection(&self) -> Result<(&tokio::sync::Mutex<Option<Arc<Http2>>>, Arc<Http2>)> {
        let turn = usize::try_from(self.turn.fetch_add(1, Ordering::Relaxed) % SHARED as u64)?;
        let slot = self.shared.get(turn).context("no connection")?;
        let mut kept = slot.lock().await;
        if let Some(connection) = kept.as_ref() {
            return Ok((slot, Arc::clone(connection)));
        }
        let connection = Arc::new(Http2::connect(self.address).await?);
        *kept = Some(Arc::clone(&connection));
        Ok((slot, connection))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Http1>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks that the request reached a cell of `homes` with only Cellgate's routing header and with every byte.
fn reached(answer: &Response, tenant: &Tenant, hash: &str, bytes: usize, homes: &[(u64, &str)]) -> Result<()> {
    let text = || format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body));
    ensure!(answer.status == 200, "{} was refused: {}", tenant.name, text());
    let cell = answer.served_by().with_context(text)?;
    ensure!(homes.iter().any(|(_, home)| *home == cell), "{} reached {cell}, but its cells are {homes:?}", tenant.name);
    let seen: Value = serde_json::from_slice(&answer.body).with_context(text)?;
    let field = |name: &str| seen.get(name).unwrap_or(&Value::Null);
    ensure!(*field("body_bytes") == bytes, "{} of {bytes} bytes arrived", field("body_bytes"));
    ensure!(*field("sha256") == hash, "the cell received a changed body");
    let headers = field("headers").as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |pair: &Value| pair.get(0).and_then(Value::as_str).unwrap_or_default().to_owned();
    let cells: Vec<_> = headers.iter().filter(|pair| name(pair) == "x-cell").filter_map(|pair| pair.get(1)).collect();
    ensure!(cells == [&Value::from(cell)], "{cell} received x-cell {cells:?}");
    let internal = headers.iter().map(name).find(|name| name.starts_with("x-cellgate-"));
    ensure!(internal.is_none(), "{cell} received {internal:?}");
    Ok(())
}

/// Checks the status and the code of a refusal, and that no cell responded.
fn refused(answer: &Response, status: u16, code: &str) -> Result<()> {
    let text = || format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body));
    ensure!(
        answer.served_by().is_none(),
        "{:?} received a request that should be rejected: {}",
        answer.served_by(),
        text()
    );
    ensure!(answer.status == status, "expected {status} {code}: {}", text());
    let problem: Value = serde_json::from_slice(&answer.body).with_context(text)?;
    ensure!(problem.get("code").is_some_and(|found| found == code), "expected {code}: {}", text());
    Ok(())
}
