//! A stand-in for Envoy that panics where Envoy would end the VM, and keeps what it was told.

mod exchange;

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

pub(crate) use exchange::{CONFIG, Exchange};

use crate::host::{Fields, Host, Level, Unreleased};
use crate::metrics::Metrics;
use crate::plugin::{NotConfigured, Plugin};

/// Names and values.
pub(crate) type Pairs = Vec<(String, Vec<u8>)>;

/// Shared by a request and the test that watches it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fake(Rc<RefCell<World>>);

/// What Envoy knows.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// The callback being made.
    pub(crate) phase: Phase,
    pub(crate) headers: Pairs,
    pub(crate) trailers: Pairs,
    /// What the body callback may see.
    pub(crate) body: Vec<u8>,
    pub(crate) released: bool,
    pub(crate) answer: Option<(u16, String)>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) shared: BTreeMap<String, Vec<u8>>,
    pub(crate) log: Vec<(Level, String)>,
    pub(crate) configuration: Option<Vec<u8>>,
    /// How often the root is called.
    pub(crate) tick: Option<Duration>,
    /// The URI in the client's certificate.
    pub(crate) peer_uri: Option<Vec<u8>>,
    /// Hostcalls made, all but `log`.
    pub(crate) calls: usize,
    /// Show a byte less of the body than asked for. Envoy does not; the filter must not decide by it.
    pub(crate) short: bool,
    /// Refuse to show headers and trailers, or to change headers. Envoy does neither; the filter must not rely on it.
    pub(crate) blind: bool,
    pub(crate) rigid: bool,
    /// Passing on what was never released is what is wanted.
    pub(crate) shadow: bool,
    /// Bytes copied into the VM.
    pub(crate) copied: usize,
    counters: Vec<(String, u64)>,
}

/// Which callback is being made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
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

    /// A configuration with counters of its own.
    pub(crate) fn plugin(&self, config: &str) -> Result<Plugin<Self>, NotConfigured> {
        Plugin::new(self.clone(), Rc::new(Metrics::new(self.clone())), config.as_bytes())
    }

    /// A counter's value, 0 if it was never defined.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.world().counters.iter().find(|(known, _)| known == name).map_or(0, |(_, value)| *value)
    }

    /// Every counter that is not zero.
    pub(crate) fn counters(&self) -> BTreeMap<String, u64> {
        self.world().counters.iter().cloned().collect()
    }

    fn call(&self) -> RefMut<'_, World> {
        let mut world = self.world();
        world.calls += 1;
        world
    }

    /// For calls that change the request's headers.
    fn writable(&self) -> RefMut<'_, World> {
        let world = self.call();
        assert!(!world.released, "trap: headers changed after the release");
        assert!(world.answer.is_none(), "headers changed after the answer");
        assert!(matches!(world.phase, Phase::Headers | Phase::Body | Phase::Trailers), "in {:?}", world.phase);
        world
    }
}

impl Host for Fake {
    fn configuration(&self) -> Option<Vec<u8>> {
        self.call().configuration.clone()
    }

    fn tick_every(&self, period: Duration) {
        self.call().tick = Some(period);
    }

    fn request_headers(&self) -> Option<Fields> {
        let world = self.call();
        assert_eq!(world.phase, Phase::Headers, "headers are fetched in their callback");
        (!world.blind).then(|| Fields::new(world.headers.clone()))
    }

    fn peer_uri(&self) -> Option<Vec<u8>> {
        self.call().peer_uri.clone()
    }

    fn remove_request_header(&self, _: &Unreleased, name: &str) {
        let mut world = self.writable();
        if !world.rigid {
            world.headers.retain(|(known, _)| known != name);
        }
    }

    fn release(&self, _: Unreleased, header: Option<(&str, &str)>) -> bool {
        let mut world = self.writable();
        if world.rigid && header.is_some() {
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
        let world = self.call();
        assert_eq!(world.phase, Phase::Trailers, "trap: there are no trailers yet");
        (!world.blind).then(|| Fields::new(world.trailers.clone()))
    }

    fn remove_request_trailer(&self, name: &str) {
        let mut world = self.call();
        assert_eq!(world.phase, Phase::Trailers, "trap: there are no trailers yet");
        world.trailers.retain(|(known, _)| known != name);
    }

    fn request_body(&self, start: usize, size: usize) -> Vec<u8> {
        let mut world = self.call();
        assert_eq!(world.phase, Phase::Body, "the body is shown in its callback only");
        assert!(size > 0, "an empty read is a wasted call");
        world.copied += size;
        let shown = if world.short { size - 1 } else { size };
        world.body.get(start..start + size).expect("trap: outside the buffer")[..shown].to_owned()
    }

    fn respond(&self, status: u16, content_type: &str, body: &str) {
        let mut world = self.call();
        assert!(world.answer.is_none(), "trap: a second answer");
        assert_eq!(content_type == "application/problem+json", body.starts_with('{'), "{content_type}: {body}");
        world.answer = Some((status, body.to_owned()));
    }

    fn set_property(&self, name: &str, value: &str) {
        let mut world = self.call();
        assert_ne!(world.phase, Phase::None, "trap: no stream");
        world.properties.insert(name.to_owned(), value.to_owned());
    }

    fn define_counter(&self, name: &str) -> u32 {
        let mut world = self.call();
        let known = world.counters.iter().position(|(known, _)| known == name);
        let index = known.unwrap_or_else(|| {
            world.counters.push((name.to_owned(), 0));
            world.counters.len() - 1
        });
        u32::try_from(index).unwrap()
    }

    fn count(&self, counter: u32, by: u64) {
        assert!(by > 0, "refused by Envoy");
        self.call().counters[counter as usize].1 += by;
    }

    fn shared(&self, key: &str) -> Option<Vec<u8>> {
        self.call().shared.get(key).cloned()
    }

    fn set_shared(&self, key: &str, value: &str) {
        self.call().shared.insert(key.to_owned(), value.into());
    }

    fn log(&self, level: Level, line: &str) {
        self.world().log.push((level, line.to_owned()));
    }
}
