//! What Envoy has open in this VM: a root for each configuration, and the requests.
//!
//! Envoy numbers both and names them by their number in every callback.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::host::Host;
use crate::request::{Action, Request};
use crate::root::Root;

/// The open roots and requests.
#[derive(Debug)]
pub struct Contexts<H: Host> {
    host: H,
    roots: Table<Root<H>>,
    requests: Table<Request<H>>,
}

type Table<T> = HashMap<u32, T, BuildHasherDefault<Spread>>;

/// Envoy counts its contexts up, and no client chooses a number: one multiplication spreads them.
#[derive(Clone, Copy, Debug, Default)]
struct Spread(u64);

impl<H: Host + Clone> Contexts<H> {
    /// None open yet.
    #[must_use]
    pub const fn new(host: H) -> Self {
        Self {
            host,
            roots: HashMap::with_hasher(BuildHasherDefault::new()),
            requests: HashMap::with_hasher(BuildHasherDefault::new()),
        }
    }

    /// Opens a root (`parent` is 0), or a request under the configuration that the root has now. Envoy may start a root
    /// again that it has: its configuration stays in force until the next one is accepted.
    pub fn create(&mut self, id: u32, parent: u32) {
        if parent == 0 {
            self.roots.entry(id).or_insert_with(|| Root::new(self.host.clone()));
        } else if let Some(plugin) = self.roots.get(&parent).and_then(Root::plugin) {
            self.requests.insert(id, Request::new(plugin));
        }
    }

    /// Reads a root's configuration. `false`: it is refused.
    pub fn configure(&mut self, id: u32) -> bool {
        self.roots.get_mut(&id).is_some_and(Root::configure)
    }

    /// A request's headers are complete.
    pub fn on_headers(&mut self, id: u32, end_of_stream: bool) -> Action {
        match self.requests.get_mut(&id) {
            Some(request) => request.on_headers(end_of_stream),
            // It came before any configuration. Envoy sends none then; if one comes, it is refused, not passed on.
            None => {
                self.host.respond(503, "text/plain", "cellgate is not configured\n");
                Action::Pause
            }
        }
    }

    /// A request has a body of `size` bytes so far.
    pub fn on_body(&mut self, id: u32, size: usize, end_of_stream: bool) -> Action {
        self.requests.get_mut(&id).map_or(Action::Pause, |request| request.on_body(size, end_of_stream))
    }

    /// A request's trailers are complete.
    pub fn on_trailers(&mut self, id: u32) -> Action {
        self.requests.get_mut(&id).map_or(Action::Pause, Request::on_trailers)
    }

    /// A request or a root is over.
    pub fn delete(&mut self, id: u32) {
        match self.requests.remove(&id) {
            Some(mut request) => request.on_end(),
            None => drop(self.roots.remove(&id)),
        }
    }
}

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32((*byte).into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        // 2^64 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests;
