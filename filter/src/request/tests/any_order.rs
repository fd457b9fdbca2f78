//! Properties of every sequence of callbacks: no panic, no trap, no second local reply.

use std::rc::Rc;

use proptest::prelude::*;

use crate::fake::{CONFIG, Callback, Exchange, Fake};
use crate::request::Request;

/// The listed peer.
const PEER: &str = "spiffe://a/gateway";

#[derive(Clone, Debug)]
enum Call {
    Headers(bool),
    Body { size: usize, end: bool },
    Trailers,
    End,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        any::<bool>().prop_map(Call::Headers),
        (prop_oneof![0..64_usize, 0..3000_usize], any::<bool>()).prop_map(|(size, end)| Call::Body { size, end }),
        Just(Call::Trailers),
        Just(Call::End),
    ]
}

fn fields() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop_oneof![
        Just("content-type"),
        Just("content-length"),
        Just("content-encoding"),
        Just("connection"),
        Just("upgrade"),
        Just("x-tenant"),
        Just("x-cell"),
        Just("x_cell"),
        Just("x-cellgate-defer"),
        Just(":path"),
        Just(":method"),
    ];
    let value = prop_oneof![
        Just(b"application/json".to_vec()),
        Just(b"application/x-www-form-urlencoded".to_vec()),
        Just(b"/api/x".to_vec()),
        Just(b"cell-a".to_vec()),
        (0..3000_usize).prop_map(|length| length.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec((name.prop_map(str::to_owned), value), 0..8)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0..2900_usize).prop_map(|filler| super::early("acme", filler)),
        (0..2900_usize).prop_map(|filler| super::late("globex", filler)),
        (0..2900_usize).prop_map(|filler| format!("a={}&tenant=acme", "b".repeat(filler)).into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..100),
    ]
}

proptest! {
    /// Callbacks in an order that no HTTP stream has. The fake panics where Envoy would trap.
    #[test]
    fn no_order_of_callbacks_traps(
        fields in fields(),
        mut body in body(),
        calls in proptest::collection::vec(call(), 0..12),
        peer in any::<bool>(),
        shadow in any::<bool>(),
    ) {
        let host = Fake::default();
        host.world().peer_uri = peer.then(|| PEER.into());
        let more = format!(r#""decided_by": {{ "peers": ["{PEER}"] }}, "shadow": {shadow}, "limits""#);
        let config = CONFIG.replace(r#""limits""#, &more);
        let mut request = Request::new(Rc::new(host.plugin(&config).unwrap()));
        body.resize(3000, b' ');
        {
            let mut world = host.world();
            world.headers = fields.clone();
            world.trailers = fields;
            world.body = body;
        }
        for call in calls {
            let callback = match call {
                Call::Headers(_) => Callback::Headers,
                Call::Body { .. } => Callback::Body,
                Call::Trailers => Callback::Trailers,
                Call::End => Callback::End,
            };
            host.world().callback = callback;
            match call {
                Call::Headers(end) => { request.on_headers(end); }
                Call::Body { size, end } => { request.on_body(size, end); }
                Call::Trailers => { request.on_trailers(); }
                Call::End => request.on_end(),
            }
        }
    }

    /// A stream as Envoy runs it. A JSON body with the key `acme`, cut anywhere, goes to `cell-a` or is deferred, and
    /// arrives byte for byte. [`Exchange`] checks that nothing is forwarded undecided and nothing stalls.
    #[test]
    fn any_cut_of_a_body_is_routed_or_deferred(
        filler in 0..3000_usize,
        is_early in any::<bool>(),
        has_length in any::<bool>(),
        is_http2 in any::<bool>(),
        sizes in proptest::collection::vec(1..1500_usize, 1..8),
    ) {
        let body = if is_early { super::early("acme", filler) } else { super::late("acme", filler) };
        let exchange = if has_length { Exchange::json(body.len()) } else { Exchange::chunked() };
        let (mut chunks, mut rest) = (Vec::new(), &body[..]);
        for size in sizes {
            let (chunk, after) = rest.split_at(size.min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        chunks.push(rest);
        let exchange = if is_http2 { exchange.http2(&chunks) } else { exchange.http1(&chunks) };
        prop_assert_eq!(exchange.answered(), None);
        prop_assert!(exchange.complete);
        prop_assert_eq!(&exchange.upstream, &body);
        let decided = exchange.header("x-cell") == ["cell-a"];
        let deferred = exchange.header("x-cellgate-defer").len() == 1;
        prop_assert!(decided != deferred);
        prop_assert!(decided || !has_length || body.len() > 1024, "a body that fits is decided by the filter");
    }
}
