//! Clients, most of them rude.

use std::{io, net::SocketAddr, process::Stdio, time::Duration};

use bytes::Bytes;
use h2::{client::SendRequest, ext::Protocol};
use http::{Method, Request};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::rustls::{AlertDescription, Error as TlsError};

use super::{random::Random, server::UPGRADES};
use crate::support::trusting;

#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) tls: bool,
}

/// The behaviour of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    /// Sends requests, reads the responses, and closes the connection properly.
    Polite,
    /// Sends requests, cancels some of them, and closes the socket.
    Killed,
    /// Stops reading for a while, and closes the socket.
    Stalled,
    /// Asks an upstream for another protocol, and then behaves as one of these three.
    Upgraded,
    /// Does not complete its handshake.
    HalfHandshake,
    /// Offers another protocol.
    WrongProtocol,
    /// Sends bytes that are not HTTP/2.
    Nonsense,
    /// Sends bytes that are not TLS after the handshake.
    Garbage,
}

impl Client {
    pub(crate) fn any(target: Target, random: &mut Random) -> Self {
        match random.below(20) {
            0..=5 => Self::Polite,
            6..=9 => Self::Killed,
            10..=11 => Self::Upgraded,
            12..=14 => Self::Stalled,
            15..=16 => Self::HalfHandshake,
            17 if target.tls => Self::WrongProtocol,
            18 if target.tls => Self::Garbage,
            _ => Self::Nonsense,
        }
    }

    /// An error is a failure of the server. The outcome of rude clients is not checked here.
    pub(crate) async fn run(self, target: Target, random: &mut Random) -> Result<(), String> {
        match self {
            Self::Polite => {
                let run = timeout(PATIENCE, polite(target, random)).await;
                run.map_err(|_| "no answer".to_owned())?
            }
            Self::WrongProtocol => wrong_protocol(target).await,
            rude => {
                // Any outcome is fine.
                let _ = rude.be_rude(target, random).await;
                Ok(())
            }
        }
    }

    async fn be_rude(self, target: Target, random: &mut Random) -> io::Result<()> {
        let reset = random.one_in(2);
        match self {
            Self::Killed => killed(target, random, reset).await,
            Self::Stalled => stalled(target, random, reset).await,
            Self::Upgraded => upgraded(target, random, reset).await,
            Self::HalfHandshake => {
                let mut tcp = tcp(target, reset).await?;
                let length = random.below(40) as usize;
                match random.one_in(3) {
                    true => tcp.write_all(&random.bytes(length)).await?,
                    false => tcp.write_all(&HELLO[..length.min(HELLO.len())]).await?,
                }
                sleep(a_while(random)).await;
                Ok(())
            }
            Self::Nonsense => {
                let mut stream = connect(target, reset).await?;
                if random.one_in(2) {
                    stream
                        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                        .await?;
                }
                stream.write_all(&random.bytes(100)).await?;
                stream.flush().await?;
                read_for(&mut stream, Duration::from_secs(2)).await
            }
            _ => {
                let (mut tcp, _keys) = tls(target, reset, b"h2").await?.into_inner();
                let mut record = vec![23, 3, 3, 0, 100];
                record.extend(random.bytes(100));
                tcp.write_all(&record).await?;
                read_for(&mut tcp, Duration::from_secs(2)).await
            }
        }
    }
}

/// Far longer than a polite client takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The beginning of a ClientHello.
const HELLO: [u8; 11] = [22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3];

/// Sometimes longer than the server's limits: 10 s for the handshake, 30 s for a write.
fn a_while(random: &mut Random) -> Duration {
    Duration::from_millis(match random.below(60) {
        0 => 35_000,
        1..=2 => 12_000,
        _ => random.below(2_000),
    })
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Closes the socket by a reset if `reset` is set.
async fn tcp(target: Target, reset: bool) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(target.addr).await?;
    tcp.set_nodelay(true)?;
    if reset {
        tcp.set_zero_linger()?;
    }
    Ok(tcp)
}

async fn tls(
    target: Target,
    reset: bool,
    protocol: &[u8],
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    trusting::connect(tcp(target, reset).await?, protocol).await
}

async fn connect(target: Target, reset: bool) -> io::Result<Box<dyn Stream>> {
    Ok(match target.tls {
        true => Box::new(tls(target, reset, b"h2").await?),
        false => Box::new(tcp(target, reset).await?),
    })
}

async fn read_for(stream: &mut (impl AsyncRead + Unpin), limit: Duration) -> io::Result<()> {
    let mut sink = tokio::io::sink();
    let _ = timeout(limit, tokio::io::copy(stream, &mut sink)).await;
    Ok(())
}

type Requests = SendRequest<Bytes>;

/// An HTTP/2 connection and the task that drives it.
async fn http2(target: Target, reset: bool) -> io::Result<(Requests, JoinSet<()>)> {
    let stream = connect(target, reset).await?;
    let handshake = h2::client::handshake(stream).await;
    let (requests, connection) = handshake.map_err(io::Error::other)?;
    let mut driven = JoinSet::new();
    driven.spawn(async move {
        let _ = connection.await;
    });
    Ok((requests, driven))
}

async fn polite(target: Target, random: &mut Random) -> Result<(), String> {
    let described = |error: h2::Error| error.to_string();
    let (requests, mut driven) = http2(target, false)
        .await
        .map_err(|error| error.to_string())?;
    let mut asked = JoinSet::new();
    for _ in 0..1 + random.below(8) {
        let requests = requests.clone();
        let length = random.below(100_000) as usize;
        match random.below(3) {
            0 => asked.spawn(async move {
                let path = format!("/bytes/{length}");
                let body = ask(requests, &path, Bytes::new())
                    .await
                    .map_err(described)?;
                (body.len() == length)
                    .then_some(())
                    .ok_or(format!("{path}: {} bytes", body.len()))
            }),
            1 => asked.spawn(async move {
                let body = ask(requests, "/drain", vec![b'd'; length].into());
                let body = body.await.map_err(described)?;
                let answer = format!("{length} ");
                (body.starts_with(answer.as_bytes()))
                    .then_some(())
                    .ok_or(format!("/drain of {length}"))
            }),
            _ => asked.spawn(async move {
                let sent: Bytes = (0..length).map(|i| (i % 251) as u8).collect();
                let body = ask(requests, "/echo", sent.clone())
                    .await
                    .map_err(described)?;
                (body == sent).then_some(()).ok_or("/echo".to_owned())
            }),
        };
    }
    while let Some(answer) = asked.join_next().await {
        answer.expect("no panic")?;
    }
    // Dropping the last handle closes the connection properly.
    drop(requests);
    while driven.join_next().await.is_some() {}
    Ok(())
}

/// Sends a complete request and reads the complete response.
async fn ask(requests: Requests, path: &str, mut body: Bytes) -> Result<Vec<u8>, h2::Error> {
    let mut requests = requests.ready().await?;
    let request = Request::post(format!("http://localhost{path}"));
    let request = request.body(()).expect("a request");
    let (response, mut upload) = requests.send_request(request, body.is_empty())?;
    drop(requests);
    let send = async move {
        while !body.is_empty() {
            upload.reserve_capacity(body.len());
            if upload.capacity() == 0 {
                match std::future::poll_fn(|cx| upload.poll_capacity(cx)).await {
                    Some(capacity) => drop(capacity?),
                    None => break,
                }
            }
            let piece = body.split_to(upload.capacity().min(body.len()));
            upload.send_data(piece, body.is_empty())?;
        }
        Ok::<_, h2::Error>(())
    };
    let receive = async {
        let mut stream = response.await?.into_body();
        let mut received = Vec::new();
        while let Some(data) = stream.data().await {
            let data = data?;
            stream.flow_control().release_capacity(data.len())?;
            received.extend_from_slice(&data);
        }
        Ok::<_, h2::Error>(received)
    };
    // An error here shows there too.
    let mut sending = JoinSet::new();
    sending.spawn(send);
    receive.await
}

async fn killed(target: Target, random: &mut Random, reset: bool) -> io::Result<()> {
    let (requests, _driven) = http2(target, reset).await?;
    let mut asked = JoinSet::new();
    for _ in 0..1 + random.below(20) {
        let requests = requests.clone();
        let length = random.below(500_000) as usize;
        let (path, body) = match random.below(3) {
            0 => (format!("/bytes/{length}"), Bytes::new()),
            1 => ("/drain".to_owned(), vec![0; length].into()),
            _ => ("/echo".to_owned(), vec![0; length].into()),
        };
        // Dropping a request resets it.
        let patience = Duration::from_millis(random.below(300));
        asked.spawn(async move {
            let _ = timeout(patience, ask(requests, &path, body)).await;
        });
    }
    sleep(Duration::from_millis(random.below(300))).await;
    Ok(())
}

async fn stalled(target: Target, random: &mut Random, reset: bool) -> io::Result<()> {
    let (requests, mut driven) = http2(target, reset).await?;
    let mut asked = JoinSet::new();
    for _ in 0..1 + random.below(4) {
        let requests = requests.clone();
        asked.spawn(async move {
            let mut requests = requests.ready().await?;
            let request = Request::get("http://localhost/bytes/5000000").body(());
            let (response, _) = requests.send_request(request.expect("a request"), true)?;
            // Reads nothing, so the server gets no window.
            let _response = response.await?;
            std::future::pending::<Result<(), h2::Error>>().await
        });
    }
    let _ = timeout(a_while(random), driven.join_next()).await;
    Ok(())
}

async fn upgraded(target: Target, random: &mut Random, reset: bool) -> io::Result<()> {
    let (mut requests, mut driven) = http2(target, reset).await?;
    // Another response comes behind the server's SETTINGS.
    ask(requests.clone(), "/drain", Bytes::new())
        .await
        .map_err(io::Error::other)?;
    assert!(requests.is_extended_connect_protocol_enabled());
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://localhost{UPGRADES}"))
        .extension(Protocol::from_static("echo"));
    let request = request.body(()).expect("a request");
    let sent = requests.send_request(request, false);
    let (response, mut send) = sent.map_err(io::Error::other)?;
    let mut receive = response.await.map_err(io::Error::other)?.into_body();
    let length = random.below(200_000) as usize;
    send.send_data(vec![b'u'; length].into(), false)
        .map_err(io::Error::other)?;
    match random.below(3) {
        0 => {
            send.send_data(Bytes::new(), true)
                .map_err(io::Error::other)?;
            while let Some(data) = receive.data().await {
                let length = data.map_err(io::Error::other)?.len();
                let _ = receive.flow_control().release_capacity(length);
            }
        }
        1 => sleep(Duration::from_millis(random.below(300))).await,
        _ => drop(timeout(a_while(random), driven.join_next()).await),
    }
    Ok(())
}

async fn wrong_protocol(target: Target) -> Result<(), String> {
    let refused = match tls(target, false, b"http/1.1").await {
        // Under TLS 1.3 the client completes the handshake before the server.
        Ok(mut stream) => stream.read(&mut [0]).await.map(drop),
        Err(error) => Err(error),
    };
    let error = refused.err().and_then(io::Error::into_inner);
    match error
        .and_then(|error| error.downcast::<TlsError>().ok())
        .as_deref()
    {
        Some(TlsError::AlertReceived(AlertDescription::NoApplicationProtocol)) => Ok(()),
        other => Err(format!("http/1.1 was answered by {other:?}")),
    }
}

/// Runs h2load in its own process and kills it.
pub(crate) async fn h2load(target: Target, random: &mut Random) -> io::Result<()> {
    let scheme = if target.tls { "https" } else { "http" };
    let mut child = tokio::process::Command::new("h2load")
        .args(["-n", "10000000", "-c", "8", "-m", "10"])
        .arg(format!("{scheme}://{}/bytes/2000", target.addr))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    sleep(Duration::from_millis(100 + random.below(1_000))).await;
    child.kill().await
}
