//! The state machine beside an oracle, on generated sequences of messages. The fuzz target `protocol` runs the same.
#![allow(unreachable_pub, reason = "the fuzz target is another crate")]

mod events;
mod oracle;
mod run;

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use run::run;

/// Bodies, each for a choice of the head (`BODIES` of `events`).
const TEXTS: [(u8, &[u8]); 8] = [
    (0, br#"{"x":1,"t":"k"}"#),
    (0, br#"{"t":"k","x":[1,2],"t":"l"}"#),
    (0, br#"{"t":"k","x":]}"#),
    (2, b"{\"t\":\"k\"}\n{\"t\":\"k\"}\n{\"t\":\"l\"}\n"),
    (3, b"a=b&t=k&c=d"),
    (4, b"\xa1\x61t\x61k"),
    (5, b"<d><t>k</t><u/></d>"),
    (7, b"anything"),
];

/// A request that is legal but for what is inserted: its head, its body in pieces, its end.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let other = prop_oneof![12 => Just(None), 1 => any::<u8>().prop_map(Some)];
    let pieces = vec((1_usize..6, other, any::<bool>(), 0_u8..4), 0..12);
    (any::<u8>(), prop_oneof![Just(0xff), 0_u8..80], 0..TEXTS.len(), 0_u8..32, pieces, 0_u8..3).prop_map(
        |(how, budget, text, more, pieces, end)| {
            let (head, mut rest) = TEXTS[text];
            let mut input = vec![how, budget, head | (more & 0x18), 0];
            for (size, other, pads, times) in pieces {
                input.extend(other);
                let (piece, after) = rest.split_at(size.min(rest.len()));
                rest = after;
                input.extend([1, u8::try_from(piece.len()).unwrap()]);
                input.extend(piece);
                if pads && text == 0 && input.len() < 12 {
                    // White space in front of the document's first member.
                    input.extend([5, 200]);
                    input.extend([b' '; 200]);
                    input.push(times.saturating_mul(85));
                }
            }
            let last = u8::try_from(rest.len()).unwrap();
            match end {
                0 => {
                    input.extend([0x81, last]);
                    input.extend(rest);
                }
                1 => {
                    input.extend([1, last]);
                    input.extend(rest);
                    input.push(9);
                }
                _ => {}
            }
            input.extend([10, 11]);
            input
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn requests_with_disturbances_keep_the_rules(input in request()) {
        run(&input);
    }

    #[test]
    fn any_sequence_keeps_the_rules(input in vec(prop_oneof![any::<u8>(), 0_u8..16], 0..200)) {
        run(&input);
    }
}

#[test]
fn the_seeds_of_the_fuzz_target_keep_the_rules() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/protocol");
    let seeds = std::fs::read_dir(folder).unwrap().map(|seed| std::fs::read(seed.unwrap().path()).unwrap());
    assert!(seeds.inspect(|seed| run(seed)).count() > 10);
}
