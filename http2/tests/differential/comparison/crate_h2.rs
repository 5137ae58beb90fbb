//! The server on crate h2, in memory, with the same service as `support::Service`.

use std::{future::poll_fn, pin::pin, task::Poll};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::{LocalSet, spawn_local, yield_now},
};

use super::{
    limits::{LIST, STREAM_WINDOW, STREAMS},
    outcome::{Observer, Outcome},
    support::take_frames,
};

/// So many turns without output mean that everything was handled: a task needs a few.
const QUIET: usize = 30;

/// The outcome after each frame.
pub fn outcomes(frames: &[Vec<u8>]) -> Vec<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let local = LocalSet::new();
    local.block_on(&runtime.expect("a runtime"), exchange(frames))
}

async fn exchange(frames: &[Vec<u8>]) -> Vec<Outcome> {
    // More than what a client sends or gets in all steps.
    let (mut client, server) = tokio::io::duplex(16 << 20);
    spawn_local(serve(server));
    let mut output = Vec::new();
    let mut closed = false;
    let mut observer = Observer::default();
    let mut outcomes = Vec::new();
    for frame in frames {
        closed |= client.write_all(frame).await.is_err();
        let mut quiet = 0;
        while !closed && quiet < QUIET {
            quiet += 1;
            match poll_once(client.read_buf(&mut output)).await {
                Some(Ok(n)) if n > 0 => quiet = 0,
                Some(_) => closed = true,
                None => yield_now().await,
            }
        }
        outcomes.push(observer.after(&take_frames(&mut output), closed));
    }
    outcomes
}

async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn serve(stream: DuplexStream) {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .initial_window_size(STREAM_WINDOW)
        // It refuses a list that is as large as the limit, which section 6.5.2 allows.
        .max_header_list_size(LIST + 1);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        spawn_local(answer(request, respond));
    }
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let path = request.uri().path().to_owned();
    if let Some(Ok(length)) = path.strip_prefix("/bytes/").map(str::parse) {
        let _body = request;
        send(&mut respond, length).await;
        // It is dropped when the client has ended or reset the stream, as by the other service.
        return std::future::pending().await;
    }
    if path == "/unread" {
        let _held = (request, respond);
        return std::future::pending().await;
    }
    let mut body = request.into_body();
    let mut length = 0;
    while let Some(data) = body.data().await {
        let Ok(data) = data else { return };
        length += data.len();
        let _ = body.flow_control().release_capacity(data.len());
    }
    if body.trailers().await.is_err() {
        return;
    }
    if path == "/wait" {
        return std::future::pending().await;
    }
    if let Ok(mut stream) = respond.send_response(Response::new(()), false) {
        let _ = stream.send_data(length.to_string().into(), true);
    }
}

async fn send(respond: &mut SendResponse<Bytes>, length: usize) {
    if let Ok(mut stream) = respond.send_response(Response::new(()), length == 0)
        && length > 0
    {
        let _ = stream.send_data(vec![b'x'; length].into(), true);
    }
}
