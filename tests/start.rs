//! Tests sessions that start later, what an acceptor knows of the client, and what it tells handlers.

use std::{
    convert::Infallible,
    io::{self, IoSlice},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::BufMut;
use corelane::{
    Body, Driver, Error, Limits, service_fn,
    tls::{
        AlertDescription, Client, ClientHello, Negotiated, Start, TlsAcceptor, TlsSession, Wire,
    },
};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer,
    client::{Tls, deadline, get, rustls_config, send, server_name},
    for_each_backend, for_each_tls_backend,
};
use futures_util::future::join;
use http::{Request, Response};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

for_each_backend!(
    late_session_holds_up_no_other,
    acceptor_tells_handlers_a_value,
);

mod tls {
    use super::*;

    for_each_tls_backend!(
        acceptor_knows_address_and_client_hello,
        late_refusal_sends_its_alert,
        late_session_is_under_the_time_limit,
    );
}

/// A client whose session waits until the test decides. It is refused if this is dropped.
struct Arrival {
    peer_addr: Option<SocketAddr>,
    client_hello: Option<ClientHello>,
    allow: oneshot::Sender<Guest>,
}

/// A value for handlers.
#[derive(Clone, Debug)]
struct Guest(&'static str);

/// Starts the sessions of another acceptor when the test allows it.
struct Late {
    acceptor: Arc<dyn TlsAcceptor>,
    arrivals: mpsc::UnboundedSender<Arrival>,
}

impl TlsAcceptor for Late {
    fn backend(&self) -> &'static str {
        "late"
    }

    fn expects_client_hello(&self) -> bool {
        self.acceptor.expects_client_hello()
    }

    fn start(&self, client: &Client<'_>) -> Result<Start, Error> {
        let (peer_addr, client_hello) = (client.peer_addr, client.client_hello.cloned());
        let (allow, allowed) = oneshot::channel();
        let _ = self.arrivals.send(Arrival {
            peer_addr,
            client_hello: client_hello.clone(),
            allow,
        });
        let acceptor = Arc::clone(&self.acceptor);
        Ok(Start::later(async move {
            let guest = allowed.await.map_err(|_dropped| {
                Error::refused(AlertDescription::UnrecognizedName, "nobody allows it")
            })?;
            let client = Client::new(client_hello.as_ref()).peer_addr(peer_addr);
            let session = acceptor.start(&client)?.session().await?;
            Ok(Marked(session, guest).into())
        }))
    }
}

/// A session that tells handlers a value.
struct Marked(Box<dyn TlsSession>, Guest);

impl TlsSession for Marked {
    fn handshake(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        self.0.handshake(wire)
    }

    fn negotiated(&self) -> Negotiated {
        let mut negotiated = self.0.negotiated();
        negotiated.extensions.insert(self.1.clone());
        negotiated
    }

    fn read(&mut self, wire: &mut dyn Wire, buf: &mut dyn BufMut) -> io::Result<usize> {
        self.0.read(wire, buf)
    }

    fn write(&mut self, wire: &mut dyn Wire, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write(wire, bufs)
    }

    fn flush(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        self.0.flush(wire)
    }

    fn wants_flush(&self) -> bool {
        self.0.wants_flush()
    }

    fn send_close_notify(&mut self) {
        self.0.send_close_notify();
    }
}

/// A server whose handler answers with the acceptor's value.
fn serve(
    backend: Backend,
    driver: Driver,
    handshake: Duration,
) -> (TestServer, mpsc::UnboundedReceiver<Arrival>) {
    let (sender, arrivals) = mpsc::unbounded_channel();
    let acceptor = Late {
        acceptor: backend.acceptor(),
        arrivals: sender,
    };
    let mut limits = Limits::default();
    limits.handshake = handshake;
    let options = |builder: corelane::Builder| builder.limits(limits);
    let server = TestServer::with(Arc::new(acceptor), driver, options, |_| {
        service_fn(guest_of)
    });
    (server, arrivals)
}

const LONG: Duration = Duration::from_secs(300);

async fn guest_of(request: Request<Body>) -> Result<Response<String>, Infallible> {
    let extensions = &request.body().connection().negotiated.extensions;
    let guest = extensions.get::<Guest>();
    Ok(Response::new(guest.map_or("", |guest| guest.0).into()))
}

/// The answer to a request on a new connection.
async fn ask(backend: Backend, addr: SocketAddr) -> String {
    let client = H2Client::connect(backend, addr).await;
    let answer = client.run(|requests| async move { send(&requests, get("/"), None).await });
    String::from_utf8(answer.await.expect("answered").body).expect("text")
}

fn late_session_holds_up_no_other(backend: Backend) {
    for &driver in Drivers::all() {
        let (server, mut arrivals) = serve(backend, driver, LONG);
        let addr = server.addr;
        let others = async {
            let first = arrivals.recv().await.expect("a client");
            let second = async {
                let second = arrivals.recv().await.expect("a client");
                second.allow.send(Guest("second")).expect("it waits");
            };
            assert_eq!(join(ask(backend, addr), second).await.0, "second");
            first.allow.send(Guest("first")).expect("it still waits");
        };
        let (answer, ()) = deadline(join(ask(backend, addr), others));
        assert_eq!(answer, "first");
    }
}

fn acceptor_tells_handlers_a_value(backend: Backend) {
    let (server, mut arrivals) = serve(backend, Driver::Epoll, LONG);
    let allow = async {
        let client = arrivals.recv().await.expect("a client");
        client.allow.send(Guest("a value")).expect("it waits");
    };
    let (answer, ()) = deadline(join(ask(backend, server.addr), allow));
    assert_eq!(answer, "a value");
}

fn acceptor_knows_address_and_client_hello(backend: Backend) {
    let (server, mut arrivals) = serve(backend, Driver::Epoll, LONG);
    deadline(async {
        let tcp = TcpStream::connect(server.addr).await.expect("connects");
        let client = tcp.local_addr().expect("one");
        let look = async {
            let arrival = arrivals.recv().await.expect("a client");
            assert_eq!(arrival.peer_addr, Some(client));
            let hello = arrival.client_hello.expect("over TLS");
            let [kind, a, b, c, body @ ..] = &hello.message[..] else {
                panic!("a short message");
            };
            assert_eq!(*kind, 1);
            assert_eq!(body.len(), u32::from_be_bytes([0, *a, *b, *c]) as usize);
            // Follows the version and the random.
            let session_id = &body[34..];
            assert_eq!(session_id[1..][..session_id[0].into()], hello.session_id);
        };
        join(tls(tcp), look).await.0.expect_err("refused");
    });
}

async fn tls(tcp: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(rustls_config(Tls::Any, &[b"h2"]));
    connector.connect(server_name(), tcp).await
}

fn late_refusal_sends_its_alert(backend: Backend) {
    for &driver in Drivers::all() {
        let (server, mut arrivals) = serve(backend, driver, LONG);
        let error = deadline(async {
            let tcp = TcpStream::connect(server.addr).await.expect("connects");
            let refuse = async { drop(arrivals.recv().await.expect("a client")) };
            join(tls(tcp), refuse).await.0.expect_err("refused")
        });
        let error = error.get_ref().and_then(|error| error.downcast_ref());
        let alert = rustls::AlertDescription::UnrecognisedName;
        assert_eq!(error, Some(&rustls::Error::AlertReceived(alert)));
    }
}

fn late_session_is_under_the_time_limit(backend: Backend) {
    for &driver in Drivers::all() {
        let (server, mut arrivals) = serve(backend, driver, Duration::from_millis(100));
        deadline(async {
            let tcp = TcpStream::connect(server.addr).await.expect("connects");
            let (client, arrival) = join(tls(tcp), arrivals.recv()).await;
            client.expect_err("the server has closed");
            let arrival = arrival.expect("a client");
            arrival.allow.send(Guest("late")).expect_err("it is gone");
        });
        server.wait_for("the time-out", |counters| {
            counters.handshakes_timed_out == 1
        });
    }
}
