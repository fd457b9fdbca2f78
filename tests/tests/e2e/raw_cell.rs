//! A cell whose answers the test writes byte by byte, over HTTP/1.1: it decides when a response begins and when it ends.

use std::net::SocketAddr;

use cellgate_tests::{ports, wait};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A listening cell. Each request has a connection of its own.
pub(crate) struct RawCell(TcpListener);

/// A request that has arrived, and its connection.
pub(crate) struct RawRequest(TcpStream);

impl RawCell {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind(ports::ANY).await.unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// For [`cellgate_tests::options::Options::adjust`]: sends the requests of `name` here.
    pub(crate) fn in_place_of(&self, name: &'static str) -> impl FnOnce(&mut Value) + Send + 'static {
        let port = self.address().port();
        move |bootstrap| {
            let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
            let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == name).unwrap();
            cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["port_value"] =
                json!(port);
            let protocols = &mut cluster["typed_extension_protocol_options"];
            let protocols = &mut protocols["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
            protocols.as_object_mut().unwrap().remove("use_downstream_protocol_config");
            protocols["explicit_http_config"] = json!({"http_protocol_options": {"enable_trailers": true}});
            // Otherwise the next request waits on a connection whose response never ends.
            protocols["common_http_protocol_options"] = json!({"max_requests_per_connection": 1});
        }
    }

    /// Waits for the next request. Returns it when its head is complete.
    pub(crate) async fn accept(&self) -> RawRequest {
        let accepted = async {
            let (mut socket, _) = self.0.accept().await?;
            let mut head = Vec::new();
            while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                anyhow::ensure!(socket.read_buf(&mut head).await? > 0, "Envoy closed the connection");
            }
            Ok(RawRequest(socket))
        };
        wait::within("a request at the cell", accepted).await.unwrap()
    }
}

impl RawRequest {
    pub(crate) async fn write(&mut self, text: &str) {
        // Envoy may have closed the connection: what the client receives shows it.
        let _ = self.0.write_all(text.as_bytes()).await;
    }

    /// A whole response.
    pub(crate) async fn answer(&mut self, status: u16) {
        self.write(&format!("HTTP/1.1 {status} Told\r\ncontent-length: 2\r\n\r\nok")).await;
    }

    /// Waits until Envoy has closed the connection.
    pub(crate) async fn closed(mut self) {
        let closed = async {
            let mut rest = Vec::new();
            // A reset is an end too.
            let _ = self.0.read_to_end(&mut rest).await;
            Ok(())
        };
        wait::within("Envoy to close the connection", closed).await.unwrap();
    }
}
