//! The floor: what a server on rustls and one of the HTTP/2 implementations cannot do without. It is no server to
//! use: it has no limits, no timers, no shutdown and no runtime, and handlers may wait for the request's body only.

#![forbid(unsafe_code)]

mod connection;
mod crate_h2;
mod engine;
mod session;

use std::{
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::ensure;
use bench_peers::{Args, Backend, Bodies, on_each_thread, rustls_config};
use clap::Parser;
use http::HeaderValue;
use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, EventData, EventFlags},
};
use rustls::{ServerConfig, ServerConnection};

use self::{connection::Connection, session::Session};

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    args.ensure_http2()?;
    ensure!(args.tls == Backend::Rustls, "the floor has rustls only");
    let bodies = Bodies::read(&args.bodies)?;
    let config = rustls_config(&args)?;
    let start: Start = match args.http2_engine.as_str() {
        "h2" => |session, bodies| Box::new(crate_h2::Connection::new(session, bodies)),
        "corelane" => |session, bodies| Box::new(engine::Connection::new(session, bodies)),
        other => anyhow::bail!("unknown engine {other:?}: use h2 or corelane"),
    };
    on_each_thread(&args, move |listener| {
        serve(&listener, &config, |session| start(session, bodies))
    })
}

type Start = fn(Session, &'static Bodies) -> Box<dyn Connection>;

/// Stands for the listener among descriptors.
const LISTENER: u64 = u64::MAX;

fn serve(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
    start: impl Fn(Session) -> Box<dyn Connection>,
) -> anyhow::Result<()> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(
        &poll,
        listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    // By descriptor.
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut events = Vec::with_capacity(256);
    let mut date = Date::now();
    loop {
        events.clear();
        match epoll::wait(&poll, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        date.update();
        for event in &events {
            let data = event.data.u64();
            if data == LISTENER {
                while let Ok((socket, _)) = listener.accept() {
                    let index = socket.as_raw_fd() as usize;
                    if clients.len() <= index {
                        clients.resize_with(index + 1, || None);
                    }
                    let data = EventData::new_u64(index as u64);
                    epoll::add(&poll, &socket, data, EventFlags::IN)?;
                    clients[index] = Some(Client::new(socket, config, &start)?);
                }
                continue;
            }
            let slot = &mut clients[data as usize];
            let Some(client) = slot else {
                continue;
            };
            if !client.connection.turn(&date.value) {
                *slot = None;
            } else if client.connection.is_blocked() != client.waits_to_write {
                client.waits_to_write ^= true;
                let wanted = match client.waits_to_write {
                    true => EventFlags::IN | EventFlags::OUT,
                    false => EventFlags::IN,
                };
                epoll::modify(&poll, &client.socket, event.data, wanted)?;
            }
        }
    }
}

struct Client {
    socket: Arc<TcpStream>,
    connection: Box<dyn Connection>,
    waits_to_write: bool,
}

impl Client {
    fn new(
        socket: TcpStream,
        config: &Arc<ServerConfig>,
        start: impl Fn(Session) -> Box<dyn Connection>,
    ) -> anyhow::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let socket = Arc::new(socket);
        let tls = ServerConnection::new(Arc::clone(config))?;
        Ok(Self {
            connection: start(Session::new(Arc::clone(&socket), tls)),
            socket,
            waits_to_write: false,
        })
    }
}

/// The field `date`, formatted once a second.
struct Date {
    second: u64,
    value: HeaderValue,
}

impl Date {
    fn now() -> Self {
        let now = SystemTime::now();
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
        let text = httpdate::fmt_http_date(now);
        let value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        Self { second, value }
    }

    fn update(&mut self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        if since.is_ok_and(|it| it.as_secs() != self.second) {
            *self = Self::now();
        }
    }
}
