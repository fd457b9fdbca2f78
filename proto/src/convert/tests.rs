use cellgate_limiting::{MAX_PERIOD, MAX_TERM, MAX_UNITS};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::{MAX_MESSAGE_BYTES, decode_answer, encode_report};

/// A message in which each number has its most bytes. A burst of the most units needs 45 bits of period at most.
fn longest_limit() -> Limit {
    Limit::new(Rate::new(MAX_UNITS, MAX_PERIOD).unwrap(), MAX_UNITS).unwrap()
}

fn longest_report() -> Report {
    let key = KeyReport {
        key: LimitKey::from_words([u64::MAX; 2]),
        id: LimitId(u16::MAX),
        limit: longest_limit(),
        spent: u32::MAX,
        returned: u32::MAX,
        wanted: u32::MAX,
    };
    Report {
        session: SessionId { vm: u64::MAX, generation: u32::MAX },
        number: u64::MAX,
        acknowledged: u64::MAX,
        epoch: u64::MAX,
        configuration: u64::MAX,
        is_last: true,
        keys: vec![key; MAX_SYNC_KEYS],
    }
}

fn longest_answer() -> Answer {
    let KeyReport { key, id, limit, .. } = longest_report().keys[0];
    Answer {
        session: SessionId { vm: u64::MAX, generation: u32::MAX },
        number: u64::MAX,
        epoch: u64::MAX,
        configuration: u64::MAX,
        standing: Standing::Elsewhere,
        term: u64::MAX,
        interval: u64::MAX,
        hasher: KeyHasher::new([255; 16]),
        grants: vec![Grant { key, id, limit, units: u32::MAX }; MAX_SYNC_KEYS],
    }
}

#[test]
fn messages_come_back_as_they_were() {
    let request = sync::SyncRequest::decode(encode_report(&longest_report()).as_slice()).unwrap();
    assert_eq!(Report::try_from(&request), Ok(longest_report()));
    for standing in [Standing::Open, Standing::Withdrawn, Standing::Unknown, Standing::Full, Standing::Elsewhere] {
        let answer = Answer { standing, term: MAX_TERM, ..longest_answer() };
        assert_eq!(decode_answer(&sync::SyncResponse::from(&answer).encode_to_vec()), Ok(answer));
    }
}

#[test]
fn the_longest_messages_have_the_bytes_that_are_documented() {
    assert_eq!(encode_report(&longest_report()).len(), 65_600);
    assert_eq!(sync::SyncResponse::from(&longest_answer()).encoded_len(), 53_341);
}

#[test]
fn bad_messages_have_a_reason() {
    let response = sync::SyncResponse::from(&longest_answer());
    let leases = response.leases.clone().unwrap();
    let grant = leases.grants[0];
    let with = |grant: sync::Grant| {
        let leases = sync::LeaseGrants { grants: vec![grant], ..leases.clone() };
        sync::SyncResponse { leases: Some(leases), ..response.clone() }
    };
    let limit = grant.limit.unwrap();
    let many = sync::LeaseGrants { grants: vec![grant; MAX_SYNC_KEYS + 1], ..leases.clone() };
    let short = sync::LeaseGrants { secret: vec![0; 15], ..leases.clone() };
    for (bad, text) in [
        (
            sync::SyncResponse { session: None, ..response.clone() },
            "the message has no session: do both ends have the same version?",
        ),
        (
            sync::SyncResponse { leases: None, ..response.clone() },
            "the message has no leases: do both ends have the same version?",
        ),
        (
            sync::SyncResponse { standing: 6, ..response.clone() },
            "standing is 6, which has no meaning: do both ends have the same version?",
        ),
        (
            sync::SyncResponse { leases: Some(many), ..response.clone() },
            "a message with 1025 keys is too long: 1024 are allowed",
        ),
        (sync::SyncResponse { leases: Some(short), ..response.clone() }, "the secret has 15 bytes, and must have 16"),
        (with(sync::Grant { limit_id: 65_536, ..grant }), "limit_id is 65536, and at most 65535 is allowed"),
        (
            with(sync::Grant { limit: None, ..grant }),
            "the message has no limit of a key: do both ends have the same version?",
        ),
        (
            with(sync::Grant { limit: Some(sync::Limit { burst: 0, ..limit }), ..grant }),
            "the limit of limit_id 65535 is none: a burst of 0 admits nothing: use 1 to 1000000000 units",
        ),
        (
            with(sync::Grant { limit: Some(sync::Limit { count: 0, ..limit }), ..grant }),
            "the limit of limit_id 65535 is none: a rate of 0 admits nothing: use 1 to 1000000000 units",
        ),
    ] {
        assert_eq!(Answer::try_from(&bad).unwrap_err().to_string(), text);
    }
    let long = vec![0; MAX_MESSAGE_BYTES + 1];
    assert_eq!(
        decode_answer(&long).unwrap_err().to_string(),
        "a message of 131073 bytes is too long: 131072 are allowed"
    );
    let malformed = decode_answer(&[0xff]).unwrap_err().to_string();
    assert!(malformed.starts_with("the message is not what cellgate.sync.v1 defines: "), "{malformed}");
}

#[test]
fn the_secret_is_not_in_debug_output() {
    let answer = Answer { grants: Vec::new(), ..longest_answer() };
    let text = format!("{:?} {answer:?}", sync::SyncResponse::from(&answer));
    assert!(text.contains("LeaseGrants { grants: [], .. }") && !text.contains("255"), "{text}");
}

proptest! {
    /// Bytes of the network: as they are, and a valid message with some of them changed.
    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..300) {
        let _ = decode_answer(&bytes);
        let answer = Answer { grants: longest_answer().grants[..3].to_vec(), ..longest_answer() };
        let mut message = sync::SyncResponse::from(&answer).encode_to_vec();
        for (old, new) in message.iter_mut().skip(at).zip(&bytes) {
            *old = *new;
        }
        if let Ok(answer) = decode_answer(&message) {
            prop_assert!(answer.grants.len() <= MAX_SYNC_KEYS);
        }
        if let Ok(request) = sync::SyncRequest::decode(message.as_slice()) {
            let _ = Report::try_from(&request);
        }
    }
}
