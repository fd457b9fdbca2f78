//! Rate limits in the demonstration: a noisy tenant beside others, and the answer that it receives.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cellgate_tests::client::{Request, Response};
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

/// Requests with this prefix are limited: the other requests of the demonstration are not.
const PREFIX: &str = "/limited/";

/// Units in a minute, and at once.
const RATE: u32 = 5;

/// The fields of the refusal that the demonstration shows.
const SHOWN: [&str; 4] = ["retry-after", "ratelimit", "ratelimit-policy", "content-type"];

/// The limits of the demonstration's configuration.
pub(crate) fn rate_limits() -> Value {
    json!([{
        "name": "per-tenant",
        "key": ["routing_key"],
        "limit": format!("{RATE}/min"),
        "applies_to": {"paths": [PREFIX]},
    }])
}

/// What the clients of a tenant received.
struct Client {
    tenant: &'static str,
    cell: String,
    sent: usize,
    admitted: usize,
    refused: usize,
    slowest: Duration,
    refusal: Option<Response>,
}

/// The result.
pub(crate) struct Limits {
    clients: Vec<Client>,
    refusal: Response,
    as_expected: bool,
}

impl Limits {
    /// Sends the requests of three tenants at the same time.
    ///
    /// # Errors
    /// When a request has no answer, or none was refused.
    pub(crate) async fn run(stack: &Stack) -> Result<Self> {
        let start = Instant::now();
        let (noisy, hooli, other) =
            tokio::join!(client(stack, "acme", 50), client(stack, "hooli", 5), client(stack, "eu-77", 5));
        let took = start.elapsed();
        let clients = vec![noisy?, hooli?, other?];
        // A unit comes back in a twelfth of a minute.
        let most = f64::from(RATE) * (1.0 + took.as_secs_f64() / 60.0);
        let is_right = |client: &Client| {
            let admitted = u32::try_from(client.admitted).unwrap_or(u32::MAX);
            admitted >= RATE && f64::from(admitted) <= most && client.admitted + client.refused == client.sent
        };
        let others_are_whole = clients.iter().skip(1).all(|client| client.refused == 0);
        let refusal = clients.iter().find_map(|client| client.refusal.clone()).context("no request was refused")?;
        let has_fields = SHOWN.iter().all(|field| refusal.header(field).is_some());
        let as_expected = clients.iter().all(is_right) && others_are_whole && has_fields;
        Ok(Self { clients, refusal, as_expected })
    }

    /// Whether only the noisy tenant was refused, and only what is over its limit.
    pub(crate) fn as_expected(&self) -> bool {
        self.as_expected
    }
}

/// Sends requests one after the other.
async fn client(stack: &Stack, tenant: &'static str, count: usize) -> Result<Client> {
    let mut connection = stack.connect().await;
    let mut client = Client {
        tenant,
        cell: "-".to_owned(),
        sent: count,
        admitted: 0,
        refused: 0,
        slowest: Duration::ZERO,
        refusal: None,
    };
    for _ in 0..count {
        let request = Request::post(PREFIX).json(format!(r#"{{"tenant":{{"id":"{tenant}"}}}}"#));
        let start = Instant::now();
        let answer = connection.send(&request).await?;
        client.slowest = client.slowest.max(start.elapsed());
        match answer.served_by() {
            Some(cell) if answer.status == 200 => {
                cell.clone_into(&mut client.cell);
                client.admitted += 1;
            }
            _ if answer.status == 429 => {
                client.refused += 1;
                client.refusal.get_or_insert(answer);
            }
            _ => {}
        }
    }
    Ok(client)
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Rate limit: {RATE} requests a minute for each tenant. Three tenants send at the same time.\n")?;
        writeln!(f, "tenant  cell    sent  admitted  refused  slowest")?;
        writeln!(f, "------  ------  ----  --------  -------  -------")?;
        for Client { tenant, cell, sent, admitted, refused, slowest, .. } in &self.clients {
            let slowest = super::milliseconds(*slowest);
            writeln!(f, "{tenant:6}  {cell:6}  {sent:>4}  {admitted:>8}  {refused:>7}  {slowest:>7}")?;
        }
        writeln!(f, "\nThe answer to a request over the limit:\n\n  HTTP/1.1 {}", self.refusal.status)?;
        for field in SHOWN {
            writeln!(f, "  {field}: {}", self.refusal.header(field).unwrap_or("-"))?;
        }
        let body = self.refusal.text();
        write!(f, "\n{}", body.trim_end().lines().map(|line| format!("  {line}\n")).collect::<String>())
    }
}
