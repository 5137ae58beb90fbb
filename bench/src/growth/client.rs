//! The client's side: connections that stay open, and requests as many as each order says.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::{Request, StatusCode};
use rustls::{ClientConfig, client::Resumption};
use tokio::{runtime::Runtime, task::JoinSet, time::timeout};

use super::load::{Asked, Load, Requests, prefix, server_name};
use crate::{
    client::{DEADLINE, Done, Target, connection::Connection, http2::send_zeros},
    fixtures::Resource,
};

/// Connections that are opened at a time.
const LANES: usize = 16;

/// Flow-control windows of 16 MiB, so that responses do not wait for the client.
const WINDOW: u32 = 16 << 20;

pub struct Client {
    target: Target,
    tls: Arc<ClientConfig>,
    load: Load,
    open: Vec<SendRequest<Bytes>>,
    /// Requests or connections so far.
    count: u32,
}

impl Client {
    /// Opens the connections.
    pub fn open(runtime: &Runtime, target: &Target, load: Load) -> anyhow::Result<Self> {
        let mut tls = target.tls()?;
        tls.resumption = Resumption::disabled();
        let mut client = Self {
            target: target.clone(),
            tls: Arc::new(tls),
            load,
            open: Vec::new(),
            count: 0,
        };
        if let Load::Requests(requests) = &client.load {
            let (target, tls, load) = (&client.target, &client.tls, requests.clone());
            client.open = runtime.block_on(open(target, tls, &load))?;
        }
        Ok(client)
    }

    pub fn run(&mut self, runtime: &Runtime, count: u32) -> anyhow::Result<Done> {
        let begin = Instant::now();
        match self.load.clone() {
            Load::Handshakes { names } => runtime.block_on(self.handshakes(names, count))?,
            Load::Requests(load) => runtime.block_on(self.requests(&load, count))?,
        }
        Ok(Done {
            seconds: begin.elapsed().as_secs_f64(),
            ..Done::default()
        })
    }

    async fn handshakes(&mut self, names: u32, count: u32) -> anyhow::Result<()> {
        /// A prime that is no divisor of a number of names: the names are spread over all.
        const STRIDE: u32 = 7919;
        for _ in 0..count {
            let name = server_name(self.count.wrapping_mul(STRIDE) % names);
            self.count += 1;
            let all = async {
                let connection =
                    Connection::open_as(&self.target, Arc::clone(&self.tls), &name).await?;
                self.target.terms.verify(&connection.negotiated)?;
                connection.ask(Resource::Tiny).await?;
                connection.close().await
            };
            timeout(DEADLINE, all)
                .await
                .context("a connection took longer than 20 s")??;
        }
        Ok(())
    }

    async fn requests(&mut self, load: &Requests, count: u32) -> anyhow::Result<()> {
        let mut left = count;
        while left > 0 {
            let connection = (self.count / load.streams) % load.active;
            let requests = &self.open[connection as usize];
            let at_once = load.streams.min(left);
            let numbers = self.count..self.count + at_once;
            let all = ask(requests, load, numbers);
            timeout(DEADLINE, all)
                .await
                .context("a request took longer than 20 s")??;
            self.count += at_once;
            left -= at_once;
        }
        Ok(())
    }
}

async fn open(
    target: &Target,
    tls: &Arc<ClientConfig>,
    load: &Requests,
) -> anyhow::Result<Vec<SendRequest<Bytes>>> {
    let mut open = Vec::new();
    let mut tasks = JoinSet::new();
    for _ in 0..load.connections {
        if tasks.len() == LANES {
            open.extend(tasks.join_next().await.context("the set is not empty")??);
        }
        let (target, tls, load) = (target.clone(), Arc::clone(tls), load.clone());
        tasks.spawn(async move {
            let all = async {
                let stream = target.connect(tls, "localhost").await?;
                let mut builder = Builder::new();
                builder
                    .initial_window_size(WINDOW)
                    .initial_connection_window_size(WINDOW);
                let (requests, connection) = builder.handshake(stream).await?;
                tokio::spawn(connection);
                ask(&requests, &load, 0..1).await?;
                anyhow::Ok(requests)
            };
            timeout(DEADLINE, all)
                .await
                .context("a connection took longer than 20 s")?
        });
    }
    while let Some(ended) = tasks.join_next().await {
        open.push(ended??);
    }
    Ok(open)
}

/// Sends the requests of these numbers at once and waits for all responses.
async fn ask(
    requests: &SendRequest<Bytes>,
    load: &Requests,
    numbers: std::ops::Range<u32>,
) -> anyhow::Result<()> {
    let mut responses = Vec::with_capacity(numbers.len());
    for number in numbers {
        let mut requests = requests.clone().ready().await?;
        let request = request(load, number)?;
        let (response, body) = requests.send_request(request, load.upload.is_none())?;
        responses.push(response);
        if let Some(upload) = load.upload {
            let mut body = send_zeros(body, upload as usize).await?;
            body.send_data(Bytes::new(), true)?;
        }
    }
    for response in responses {
        receive(response, load.answered as usize).await?;
    }
    Ok(())
}

fn request(load: &Requests, number: u32) -> anyhow::Result<Request<()>> {
    let path = match &load.asked {
        Asked::Path(path) => format!("/{path}"),
        Asked::Routes(count) => format!("{}/tiny", prefix(number % count)),
    };
    let method = match load.upload {
        Some(_) => "POST",
        None => "GET",
    };
    let mut request = Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"));
    for field in 0..load.fields.count {
        let value = match load.fields.are_new {
            true => format!("{number:08}"),
            false => format!("{field:08}"),
        };
        request = request.header(format!("x-field-{field}"), value);
    }
    Ok(request.body(())?)
}

async fn receive(response: ResponseFuture, wanted: usize) -> anyhow::Result<()> {
    let response = response.await.context("no response")?;
    let status = response.status();
    ensure!(status == StatusCode::OK, "the server answered {status}");
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(data) = body.data().await {
        let data = data.context("the response's body is incomplete")?;
        body.flow_control().release_capacity(data.len())?;
        length += data.len();
    }
    ensure!(
        length == wanted,
        "the body has {length} bytes instead of {wanted}"
    );
    Ok(())
}
