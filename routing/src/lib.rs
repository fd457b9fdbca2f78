//! Cellgate's decision core: from a request's head and body to a cell, a refusal or a deferral.
//!
//! The core is pure: no I/O, no clock, no threads. The proxy-wasm filter and the ext-proc service both use it,
//! so they decide alike. A tier:
//!
//! 1. builds a [`Decider`] from a [`Config`], which the crate `cellgate-config` reads and checks,
//! 2. calls [`Decider::open`] with a request's head, which returns a [`Decision`] or a [`BodyReader`] for the body,
//! 3. pushes the body's chunks into the [`BodyReader`], to the end ([`BodyReader::finish`]) or until the key is known
//!    ([`BodyReader::settle`]). In the second case a [`Guard`] scans the rest of the body.
//!
//! The filter's rule, which decides whether a body is held, peeked at or guarded, is an [`Inspection`].
//!
//! No input causes a panic. The configuration bounds the memory for each request.
#![forbid(unsafe_code)]

mod action;
mod ascii;
pub mod binary;
pub mod body;
pub mod cbor;
pub mod claims;
mod concurrency_limit;
mod config;
mod decided_by;
mod decider;
mod decision;
mod deferral;
mod descriptor_limit;
pub mod document;
mod encoding;
mod field;
pub mod form;
mod format;
mod handover;
mod head;
pub mod headers;
mod host;
mod inspection;
pub mod json;
mod key;
mod media;
pub mod msgpack;
pub mod multipart;
pub mod placement;
mod policy;
mod problem;
pub mod protobuf;
mod rate_limit;
mod reason;
mod scope;
mod sorted;
pub mod source;
mod token;
mod value;
pub mod xml;

pub use action::{CellId, PolicyAction};
pub use concurrency_limit::{ConcurrencyLimit, MAX_CONCURRENCY_LIMITS, MAX_IN_FLIGHT};
pub use config::{ClaimsPlace, Config, Limits, SyncSettings};
pub use decided_by::DecidedBy;
pub use decider::{BodyReader, Decider, Guard, HeadResult, KeyOrigin, ScannedBody, SourceFinding, SourceValue};
pub use decision::{Decision, Outcome, Tier};
pub use deferral::{BadDeferral, BodyMode, Deferral};
pub use descriptor_limit::{
    DescriptorClaim, DescriptorLimit, DescriptorPart, DescriptorRule, EntryValues, MAX_DESCRIPTOR_LIMITS,
};
pub use encoding::{Clock, CodingSet, ContentCoding, ContentCodings, DecodingCost, is_encoded};
pub use format::{BodyFormat, Compression, Format, Framing};
pub use handover::{HANDOVER_STATE, Handover};
pub use head::Head;
pub use host::{BadHost, HostPattern, MAX_HOST};
pub use inspection::{Inspection, InspectionStep, Phase};
pub use key::{Duplicates, check as check_key};
pub use media::{
    BadMediaType, ContentTypes, FORM_MEDIA_TYPE, JSON_STREAM as JSON_STREAM_MEDIA_TYPE, MISSING as MISSING_MEDIA_TYPE,
    MediaType, content_length, default_types, is_grpc_call,
};
pub use policy::Policy;
pub use problem::{CONTENT_TYPE as PROBLEM_CONTENT_TYPE, RefusedType, grpc_message, problem, quota_problem};
pub use rate_limit::{
    CarriedLimit, ConcurrencyFinding, CostRule, DueAllowance, DueLimits, LimitFinding, LimitKeyPart, MAX_KEY_PARTS,
    MAX_RATE_LIMITS, NotCounted, OnFailure, RateLimit, ResponseNeeds, ResponsePlace, Settlement,
};
pub use reason::{Allowed, Reason, UnknownReason};
pub use scope::{Except, Scope, is_normalised};
pub use sorted::sorted;
pub use token::is_token;
pub use value::{BadValueTemplate, Case, ValueRule, ValueTemplate};
