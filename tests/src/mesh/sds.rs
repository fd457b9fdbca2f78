//! A secret discovery service like that of Istio's agent: the secret `default` is the workload's certificate, and
//! `ROOTCA` is the root's.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Result;
use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, TlsCertificate,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server::{
    SecretDiscoveryService, SecretDiscoveryServiceServer,
};
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::identity::Leaf;
use crate::ports;

const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// A running service for one proxy. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Sds {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Sds {
    /// Serves `leaf`, and `root` to verify peers.
    ///
    /// # Errors
    /// When no port is free.
    pub(crate) async fn start(leaf: Leaf, root: String) -> Result<Self> {
        let listener = TcpListener::bind(ports::ANY).await?;
        let address = listener.local_addr()?;
        let service = SecretDiscoveryServiceServer::new(Secrets(Arc::new((leaf, root))));
        let serving = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            // The server stops with this task.
            let _ = server.serve_with_incoming(TcpListenerStream::new(listener)).await;
        });
        Ok(Self { address, serving })
    }

    /// The address that it listens on.
    #[must_use]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Sds {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Secrets(Arc<(Leaf, String)>);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl SecretDiscoveryService for Secrets {
    type StreamSecretsStream = Answers<DiscoveryResponse>;
    type DeltaSecretsStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;

    async fn stream_secrets(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        let secrets = Arc::clone(&self.0);
        // A request with a nonce is an acknowledgement and needs no response.
        let questions = request
            .into_inner()
            .filter(|question| question.as_ref().map_or(true, |question| question.response_nonce.is_empty()));
        let answers = questions.map(move |question| {
            let names = question?.resource_names;
            let resources = names.iter().map(|name| secret(name, &secrets)).collect::<Result<_, Status>>()?;
            Ok(DiscoveryResponse {
                version_info: "1".to_owned(),
                nonce: "1".to_owned(),
                type_url: SECRET.to_owned(),
                resources,
                ..Default::default()
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn delta_secrets(
        &self,
        _: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        Err(Status::unimplemented("Istio asks for secrets by StreamSecrets"))
    }

    async fn fetch_secrets(&self, _: Request<DiscoveryRequest>) -> Result<Response<DiscoveryResponse>, Status> {
        Err(Status::unimplemented("Istio asks for secrets by StreamSecrets"))
    }
}

fn secret(name: &str, (leaf, root): &(Leaf, String)) -> Result<Any, Status> {
    let inline = |text: &str| {
        Some(DataSource { specifier: Some(Specifier::InlineString(text.to_owned())), ..Default::default() })
    };
    let kind = match name {
        "default" => Type::TlsCertificate(TlsCertificate {
            certificate_chain: inline(&leaf.certificate),
            private_key: inline(&leaf.key),
            ..Default::default()
        }),
        "ROOTCA" => {
            Type::ValidationContext(CertificateValidationContext { trusted_ca: inline(root), ..Default::default() })
        }
        other => return Err(Status::not_found(format!("there is no secret {other:?} for a workload"))),
    };
    let secret = Secret { name: name.to_owned(), r#type: Some(kind) };
    Ok(Any { type_url: SECRET.to_owned(), value: secret.encode_to_vec() })
}
