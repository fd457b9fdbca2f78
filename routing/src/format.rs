//! The body formats, and the scanner for each.

use std::sync::Arc;

use crate::body::BodyScanner;
use crate::cbor::CborScanner;
use crate::document::{AcceptedFaults, DocumentQuery, Pointer};
use crate::form::{FieldQuery, FormScanner};
use crate::json::{JsonScanner, NdjsonScanner};
use crate::key::Duplicates;
use crate::msgpack::MsgpackScanner;
use crate::multipart::MultipartScanner;
use crate::protobuf::{MessageQuery, ProtobufScanner};
use crate::reason::Reason;
use crate::source::Place;
use crate::value::KeyRule;
use crate::xml::{ElementQuery, XmlScanner};

/// A body format that Cellgate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 8259.
    Json,
    /// JSON documents, one on each line.
    Ndjson,
    /// The WHATWG URL standard's `application/x-www-form-urlencoded`.
    Form,
    /// RFC 7578.
    Multipart,
    /// Protocol Buffers, alone or as the messages of gRPC and gRPC-Web.
    Protobuf,
    /// XML 1.0 with namespaces.
    Xml,
    /// MessagePack.
    Msgpack,
    /// RFC 8949.
    Cbor,
}

/// How the messages of a body are delimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// The body is one message.
    #[default]
    None,
    /// Each message has a prefix of five bytes (gRPC over HTTP/2).
    Grpc(Compression),
    /// As gRPC, and the last message may hold the trailers.
    GrpcWeb(Compression),
    /// As gRPC-Web, in base64.
    GrpcWebText(Compression),
}

/// How the messages of a call may be compressed: each says whether it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// No message is compressed.
    #[default]
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950.
    Deflate,
    /// Another one.
    Unknown,
}

/// The format of one body, and what its scanner must know of the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyFormat {
    /// The format.
    pub format: Format,
    /// How its messages are delimited.
    pub framing: Framing,
    /// The boundary between the parts of a multipart body.
    pub boundary: Option<Box<[u8]>>,
}

/// The limits of a scan, and the rule for duplicates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanLimits {
    pub(crate) duplicates: Duplicates,
    /// The deepest nesting.
    pub(crate) depth: usize,
    /// The longest key, in bytes.
    pub(crate) key_bytes: usize,
    /// The faults of a text that are no errors.
    pub(crate) accepted: AcceptedFaults,
}

/// The queries of all formats.
#[derive(Debug)]
pub(crate) struct FormatQueries {
    json: Arc<DocumentQuery>,
    ndjson: Arc<DocumentQuery>,
    form: Arc<FieldQuery>,
    multipart: Arc<FieldQuery>,
    protobuf: Arc<MessageQuery>,
    msgpack: Arc<DocumentQuery>,
    cbor: Arc<DocumentQuery>,
    xml: Arc<ElementQuery>,
}

impl Format {
    /// Every format. Where two formats claim a media type, the earlier one counts.
    pub const ALL: [Format; 8] = [
        Format::Json,
        Format::Ndjson,
        Format::Form,
        Format::Multipart,
        Format::Protobuf,
        Format::Xml,
        Format::Msgpack,
        Format::Cbor,
    ];

    /// The name in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Ndjson => "ndjson",
            Format::Form => "form",
            Format::Multipart => "multipart",
            Format::Protobuf => "protobuf",
            Format::Xml => "xml",
            Format::Msgpack => "msgpack",
            Format::Cbor => "cbor",
        }
    }
}

impl Framing {
    /// Whether messages may be compressed.
    pub(crate) fn may_be_compressed(self) -> bool {
        match self {
            Framing::None => false,
            Framing::Grpc(compression) | Framing::GrpcWeb(compression) | Framing::GrpcWebText(compression) => {
                compression != Compression::Identity
            }
        }
    }
}

impl BodyFormat {
    /// A format without framing.
    #[must_use]
    pub fn of(format: Format) -> Self {
        Self { format, framing: Framing::None, boundary: None }
    }
}

impl FormatQueries {
    /// The queries of these places; those in the head are left out. The sources of one format keep their order.
    pub(crate) fn new<'a>(places: impl IntoIterator<Item = (&'a Place, KeyRule)>, limits: ScanLimits) -> Self {
        let (mut json, mut form): (Vec<(Pointer, KeyRule)>, _) = (Vec::new(), Vec::new());
        let mut ndjson = Vec::new();
        let mut multipart = Vec::new();
        let mut protobuf = Vec::new();
        let (mut msgpack, mut cbor) = (Vec::new(), Vec::new());
        let mut xml = Vec::new();
        for (place, rule) in places {
            match place {
                Place::Json(pointer) => json.push((pointer.clone(), rule)),
                Place::Ndjson(pointer) => ndjson.push((pointer.clone(), rule)),
                Place::Form(name) => form.push((name.clone(), rule)),
                Place::Multipart(name) => multipart.push((name.clone(), rule)),
                Place::Protobuf(path) => protobuf.push((path.clone(), rule)),
                Place::Msgpack(pointer) => msgpack.push((pointer.clone(), rule)),
                Place::Cbor(pointer) => cbor.push((pointer.clone(), rule)),
                Place::Xml(path) => xml.push((path.clone(), rule)),
                _ => {}
            }
        }
        Self {
            json: Arc::new(DocumentQuery::with_rules(json, limits)),
            ndjson: Arc::new(DocumentQuery::of_records(ndjson, limits)),
            form: Arc::new(FieldQuery::with_rules(form, limits)),
            multipart: Arc::new(FieldQuery::with_rules(multipart, limits)),
            protobuf: Arc::new(MessageQuery::with_rules(protobuf, limits)),
            msgpack: Arc::new(DocumentQuery::with_rules(msgpack, limits)),
            cbor: Arc::new(DocumentQuery::with_rules(cbor, limits)),
            xml: Arc::new(ElementQuery::with_rules(xml, limits)),
        }
    }

    /// The scanner of a body.
    ///
    /// # Errors
    /// The body cannot be read, whatever its bytes are.
    pub(crate) fn scanner(&self, body: &BodyFormat) -> Result<Box<dyn BodyScanner>, Reason> {
        Ok(match body.format {
            Format::Json => Box::new(JsonScanner::new(Arc::clone(&self.json))),
            Format::Ndjson => Box::new(NdjsonScanner::new(Arc::clone(&self.ndjson))),
            Format::Form => Box::new(FormScanner::new(Arc::clone(&self.form))),
            Format::Multipart => {
                // The parts cannot be told apart. To a parser that takes the boundary from the first line, they can.
                let boundary = body.boundary.as_deref().ok_or(Reason::BodyMalformed)?;
                Box::new(MultipartScanner::new(Arc::clone(&self.multipart), boundary))
            }
            Format::Protobuf => Box::new(ProtobufScanner::new(Arc::clone(&self.protobuf), body.framing)?),
            Format::Msgpack => Box::new(MsgpackScanner::new(Arc::clone(&self.msgpack))),
            Format::Cbor => Box::new(CborScanner::new(Arc::clone(&self.cbor))),
            Format::Xml => Box::new(XmlScanner::new(Arc::clone(&self.xml))),
        })
    }
}
