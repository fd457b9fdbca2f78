//! A fake Envoy: it panics where Envoy would trap, and records every call.

mod exchange;

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::types::LogLevel;

pub(crate) use exchange::{CONFIG, Exchange};

use crate::host::{Fields, Host, Unreleased};
use crate::leases::LeaseSessions;
use crate::metrics::Metrics;
use crate::plugin::{ConfigurationRefused, Plugin};

/// Names and values.
pub(crate) type Pairs = Vec<(String, Vec<u8>)>;

/// The fake, shared by a request and its test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fake(Rc<RefCell<World>>);

/// The state of the fake.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// The current callback.
    pub(crate) callback: Callback,
    pub(crate) headers: Pairs,
    pub(crate) trailers: Pairs,
    /// Envoy's body buffer.
    pub(crate) body: Vec<u8>,
    pub(crate) released: bool,
    pub(crate) answer: Option<(u16, String)>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) shared: BTreeMap<String, Vec<u8>>,
    pub(crate) log: Vec<(LogLevel, String)>,
    pub(crate) configuration: Option<Vec<u8>>,
    /// The period of the root's timer.
    pub(crate) tick: Option<Duration>,
    /// The URI in the peer's certificate.
    pub(crate) peer_uri: Option<Vec<u8>>,
    pub(crate) client_address: Option<Vec<u8>>,
    /// The dynamic metadata, serialised.
    pub(crate) metadata: Vec<u8>,
    /// The number of hostcalls except `log`.
    pub(crate) calls: usize,
    /// Returns a byte less of the body than requested. Envoy never does; the filter must not decide by such a body.
    pub(crate) is_body_short: bool,
    /// Returns no headers and trailers. Envoy always does; the filter must not rely on it.
    pub(crate) hides_fields: bool,
    /// Changes no headers. Envoy always does; the filter must not rely on it.
    pub(crate) keeps_headers: bool,
    /// Expects requests to go on without a release.
    pub(crate) is_shadow: bool,
    /// Body bytes copied into the VM.
    pub(crate) copied: usize,
    /// Nanoseconds since 1970.
    pub(crate) now: u64,
    /// The latest number that was claimed.
    claimed: u32,
    /// The token of the latest call.
    pub(crate) token: u32,
    /// The calls to the service: the message `GrpcService`, and the message of the call.
    pub(crate) grpc_calls: Vec<(String, Vec<u8>)>,
    /// Refuses to make calls, as Envoy does without the cluster.
    pub(crate) has_no_cluster: bool,
    /// The message of the response, in the callback of its call.
    pub(crate) grpc_response: Vec<u8>,
    counters: Vec<(String, u64)>,
}

/// One of Envoy's callbacks for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Callback {
    #[default]
    None,
    Headers,
    Body,
    Trailers,
    End,
}

impl Fake {
    pub(crate) fn world(&self) -> RefMut<'_, World> {
        self.0.borrow_mut()
    }

    /// A plugin with its own counters.
    pub(crate) fn plugin(&self, config: &str) -> Result<Plugin<Self>, ConfigurationRefused> {
        Plugin::new(self.clone(), Rc::new(Metrics::new(self.clone())), &LeaseSessions::default(), config.as_bytes())
    }

    /// A counter's value, 0 if it is not defined.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.world().counters.iter().find(|(known, _)| known == name).map_or(0, |(_, value)| *value)
    }

    /// Every counter that is not zero.
    pub(crate) fn counters(&self) -> BTreeMap<String, u64> {
        self.world().counters.iter().cloned().collect()
    }

    fn hostcall(&self) -> RefMut<'_, World> {
        let mut world = self.world();
        world.calls += 1;
        world
    }

    /// A hostcall that changes the request's headers.
    fn header_change(&self) -> RefMut<'_, World> {
        let world = self.hostcall();
        assert!(!world.released, "trap: headers changed after the release");
        assert!(world.answer.is_none(), "headers changed after the local reply");
        assert!(
            matches!(world.callback, Callback::Headers | Callback::Body | Callback::Trailers),
            "in {:?}",
            world.callback
        );
        world
    }
}

impl Host for Fake {
    fn configuration(&self) -> Option<Vec<u8>> {
        self.hostcall().configuration.clone()
    }

    fn tick_every(&self, period: Duration) {
        self.hostcall().tick = Some(period);
    }

    fn request_headers(&self) -> Option<Fields> {
        let world = self.hostcall();
        assert_eq!(world.callback, Callback::Headers, "headers read outside their callback");
        (!world.hides_fields).then(|| Fields::new(world.headers.clone()))
    }

    fn peer_uri(&self) -> Option<Vec<u8>> {
        self.hostcall().peer_uri.clone()
    }

    fn client_address(&self) -> Option<Vec<u8>> {
        self.hostcall().client_address.clone()
    }

    fn metadata(&self) -> Vec<u8> {
        self.hostcall().metadata.clone()
    }

    fn remove_request_header(&self, _: &Unreleased, name: &str) {
        let mut world = self.header_change();
        if !world.keeps_headers {
            world.headers.retain(|(known, _)| known != name);
        }
    }

    fn release(&self, _: Unreleased, header: Option<(&str, &str)>) -> bool {
        let mut world = self.header_change();
        if world.keeps_headers && header.is_some() {
            return false;
        }
        if let Some((name, value)) = header {
            world.headers.retain(|(known, _)| known != name);
            world.headers.push((name.to_owned(), value.as_bytes().to_owned()));
        }
        world.released = true;
        true
    }

    fn request_trailers(&self) -> Option<Fields> {
        let world = self.hostcall();
        assert_eq!(world.callback, Callback::Trailers, "trap: there are no trailers yet");
        (!world.hides_fields).then(|| Fields::new(world.trailers.clone()))
    }

    fn remove_request_trailer(&self, name: &str) {
        let mut world = self.hostcall();
        assert_eq!(world.callback, Callback::Trailers, "trap: there are no trailers yet");
        world.trailers.retain(|(known, _)| known != name);
    }

    fn request_body(&self, start: usize, size: usize) -> Vec<u8> {
        let mut world = self.hostcall();
        assert_eq!(world.callback, Callback::Body, "body read outside its callback");
        assert!(size > 0, "an empty read wastes a hostcall");
        world.copied += size;
        let shown = if world.is_body_short { size - 1 } else { size };
        world.body.get(start..start + size).expect("trap: outside the buffer")[..shown].to_owned()
    }

    fn respond(&self, status: u16, content_type: &str, body: &str) {
        let mut world = self.hostcall();
        assert!(world.answer.is_none(), "trap: a second local reply");
        assert_eq!(content_type == "application/problem+json", body.starts_with('{'), "{content_type}: {body}");
        world.answer = Some((status, body.to_owned()));
    }

    fn set_property(&self, name: &str, value: &str) {
        let mut world = self.hostcall();
        assert_ne!(world.callback, Callback::None, "trap: no stream");
        world.properties.insert(name.to_owned(), value.to_owned());
    }

    fn define_counter(&self, name: &str) -> u32 {
        let mut world = self.hostcall();
        let known = world.counters.iter().position(|(known, _)| known == name);
        let index = known.unwrap_or_else(|| {
            world.counters.push((name.to_owned(), 0));
            world.counters.len() - 1
        });
        u32::try_from(index).unwrap()
    }

    fn count(&self, counter: u32, by: u64) {
        assert!(by > 0, "Envoy refuses to add 0");
        self.hostcall().counters[counter as usize].1 += by;
    }

    fn claim_number(&self, _: &str) -> u32 {
        let mut world = self.hostcall();
        world.claimed += 1;
        world.claimed
    }

    fn now(&self) -> u64 {
        self.hostcall().now
    }

    fn node_id(&self) -> Vec<u8> {
        b"router~192.0.2.1~gateway".into()
    }

    fn call(&self, service: &str, name: &str, method: &str, message: &[u8], timeout: Duration) -> Option<u32> {
        let mut world = self.hostcall();
        assert_eq!(world.callback, Callback::None, "called for a request");
        assert_eq!((name, method), ("cellgate.sync.v1.SyncService", "Sync"));
        assert!(timeout <= Duration::from_secs(1), "{timeout:?}");
        if world.has_no_cluster {
            return None;
        }
        world.grpc_calls.push((service.to_owned(), message.to_owned()));
        world.token += 1;
        Some(world.token)
    }

    fn grpc_response(&self, size: usize) -> Vec<u8> {
        let world = self.hostcall();
        world.grpc_response.get(..size).expect("trap: outside the buffer").to_owned()
    }

    fn shared(&self, key: &str) -> Option<Vec<u8>> {
        self.hostcall().shared.get(key).cloned()
    }

    fn set_shared(&self, key: &str, value: &str) {
        self.hostcall().shared.insert(key.to_owned(), value.into());
    }

    fn log(&self, level: LogLevel, line: &str) {
        self.world().log.push((level, line.to_owned()));
    }
}
