//! Upgraded streams when the server shuts down.

use std::{io, time::Duration};

use corelane::Upgraded;
use corelane_test_support::{
    Backend, Drivers,
    client::deadline,
    for_each_backend,
    upgrade::{Version, upgrade},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::service::{echo, reporting, runtime, start};

for_each_backend!(
    idle_streams_end_at_once,
    handler_can_say_goodbye,
    deadline_ends_a_stream,
);

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);

fn idle_streams_end_at_once(backend: Backend) {
    let runtime = runtime();
    let _entered = runtime.enter();
    for &driver in Drivers::all() {
        for version in Version::ALL {
            let server = start(backend, driver, |builder| builder, echo);
            deadline(async {
                let answer = upgrade(version, backend, server.addr, "/", "echo", &[]).await;
                let mut client = answer.accepted();
                client.write_all(b"x").await.expect("sent");
                client.flush().await.expect("sent");
                assert_eq!(client.read_u8().await.expect("echoed"), b'x');
                server.handle().shutdown(HOUR);
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).await.expect("a clean end");
                assert_eq!(rest, b"");
                client.shutdown().await.expect("open");
            });
            server.stop(HOUR);
        }
    }
}

fn handler_can_say_goodbye(backend: Backend) {
    let runtime = runtime();
    let _entered = runtime.enter();
    for version in Version::ALL {
        let server = start(
            backend,
            Drivers::all()[0],
            |builder| builder,
            |mut stream: Upgraded| async move {
                stream.server_shutdown().await;
                let end = stream.read(&mut [0; 8]).await.expect("a clean end");
                assert_eq!(end, 0);
                stream.write_all(b"bye").await.expect("open");
            },
        );
        deadline(async {
            let answer = upgrade(version, backend, server.addr, "/", "echo", &[]).await;
            let mut client = answer.accepted();
            server.handle().shutdown(HOUR);
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.expect("a clean end");
            assert_eq!(rest, b"bye");
            client.shutdown().await.expect("open");
        });
        server.stop(HOUR);
    }
}

fn deadline_ends_a_stream(backend: Backend) {
    let runtime = runtime();
    let _entered = runtime.enter();
    for version in Version::ALL {
        let (handler, reports) = reporting(|mut stream: Upgraded| async move {
            stream.write_all(b"x").await.expect("open");
            let read = stream.read(&mut [0; 8]).await.map_err(|error| error.kind());
            loop {
                if let Err(error) = stream.write_all(&[7; 1024]).await {
                    return (read, error.kind());
                }
                tokio::task::yield_now().await;
            }
        });
        let server = start(backend, Drivers::all()[0], |builder| builder, handler);
        deadline(async {
            let answer = upgrade(version, backend, server.addr, "/", "echo", &[]).await;
            let mut client = answer.accepted();
            assert_eq!(client.read_u8().await.expect("sent"), b'x');
            server.stop(Duration::ZERO);
            let _ = client.read_to_end(&mut Vec::new()).await;
        });
        // The end of the shutdown, or the error of the deadline: both happen at once.
        let (read, write) = reports.next();
        assert!(
            [Ok(0), Err(io::ErrorKind::ConnectionReset)].contains(&read),
            "{read:?}"
        );
        let gone = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        assert!(gone.contains(&write), "{write:?}");
    }
}
