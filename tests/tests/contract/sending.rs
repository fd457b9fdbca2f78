//! A request whose body arrives in two reads, so that the filter does not see all of it at once.

use cellgate_tests::client::{Request, Response};
use cellgate_tests::stack::Stack;

use crate::support::{bytes_read, read_by_envoy};
use crate::upload::{Framing, Upload};

/// The size of the first part.
const FIRST: usize = 5_000;

/// Sends the head, the first part when Envoy has the head, the rest when it has the part, and the trailers.
pub(crate) async fn in_two_parts(
    stack: &Stack,
    framing: Framing,
    request: Request,
    body: &str,
    trailers: &[(&str, &str)],
) -> Response {
    let mut upload = Upload::open_with(stack, framing, request, body.len()).await;
    stack.admin().wait_for_stat("http.in.downstream_rq_active", |active| active > 0).await;
    let before = bytes_read(stack).await;
    upload.send(&body.as_bytes()[..FIRST]).await;
    read_by_envoy(stack, before + FIRST).await;
    upload.send(&body.as_bytes()[FIRST..]).await;
    match upload {
        Upload::Http2 { _client, mut stream } if !trailers.is_empty() => {
            stream.trailers(trailers).unwrap();
            stream.response().await.unwrap()
        }
        upload => upload.finish().await.unwrap(),
    }
}
