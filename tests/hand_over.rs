//! Tests that a server with more workers than the one before it gets listeners for all of them.
#![cfg(target_os = "linux")]

use std::{
    net::{SocketAddr, TcpStream},
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use corelane::{Affinity, Driver, Server, service_fn};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer,
    client::{get, never, send},
    deadline, for_each_backend,
};

for_each_backend!(
    more_workers_get_listeners_of_their_own,
    a_server_that_is_not_started_takes_no_connection,
    a_server_that_cannot_start_takes_no_connection,
);

/// A server on the listeners of `first`, with two workers.
fn next(backend: Backend, driver: Driver, first: &TestServer) -> Server {
    let listeners = first.handle().listeners().expect("clones");
    assert_eq!(listeners.len(), 1);
    let builder = Server::builder(backend.acceptor())
        .driver(driver)
        .affinity(Affinity::None)
        .workers(2)
        .listen(first.addr);
    let builder = listeners.into_iter().fold(builder, |b, it| b.listener(it));
    builder.bind().expect("the address of the given listener")
}

async fn ask(backend: Backend, addr: SocketAddr) {
    let client = H2Client::connect(backend, addr).await;
    client
        .run(|requests| async move {
            send(&requests, get("/"), None).await.expect("served");
        })
        .await;
}

fn more_workers_get_listeners_of_their_own(backend: Backend) {
    const CONNECTIONS: u64 = 400;
    for &driver in Drivers::all() {
        let first = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        let addr = first.addr;
        let second = next(backend, driver, &first);
        assert_eq!(second.local_addrs(), [addr]);
        let second = second.serve(|_| service_fn(never)).expect("workers");
        assert_eq!(second.listeners().expect("clones").len(), 2);
        first.handle().hand_over(Duration::from_secs(10));
        first.stop(Duration::from_secs(10));
        let accepted = || {
            let workers = second.workers().into_iter();
            let accepted = workers.map(|worker| worker.counters.connections_accepted);
            accepted.collect::<Vec<_>>()
        };
        for _ in 0..CONNECTIONS {
            TcpStream::connect(addr).expect("a listener");
        }
        deadline(async {
            while accepted().iter().sum::<u64>() < CONNECTIONS {
                tokio::task::yield_now().await;
            }
            // By a hash of the addresses: 200 each, with a standard deviation of 10.
            assert!(accepted().iter().all(|it| *it > 130), "{:?}", accepted());
            ask(backend, addr).await;
        });
        second.shutdown(Duration::ZERO);
        second.wait().expect("no panic");
    }
}

fn a_server_that_is_not_started_takes_no_connection(backend: Backend) {
    for &driver in Drivers::all() {
        let first = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        let second = next(backend, driver, &first);
        deadline(async {
            // Half of them would go to a second listener.
            for _ in 0..20 {
                ask(backend, first.addr).await;
            }
        });
        drop(second);
        first.stop(Duration::from_secs(10));
    }
}

/// A worker fails after connections have arrived, which the first server serves.
fn a_server_that_cannot_start_takes_no_connection(backend: Backend) {
    for &driver in Drivers::all() {
        let first = TestServer::start(backend.acceptor(), driver, |_| service_fn(never));
        let addr = first.addr;
        let second = next(backend, driver, &first);
        let (begin, begun) = mpsc::channel();
        let (arrived, all_arrived) = mpsc::channel::<()>();
        let all_arrived = Mutex::new(all_arrived);
        let started = thread::spawn(move || {
            let started = second.serve(move |worker| {
                if worker.index == 1 {
                    begin.send(()).expect("the test waits");
                    // Ends when the sender is dropped.
                    let _ = all_arrived.lock().expect("not poisoned").recv();
                    panic!("in a test");
                }
                service_fn(never)
            });
            started.map(drop)
        });
        begun.recv().expect("the factory runs");
        deadline(async {
            // A third of them would go to a listener that the second server has opened.
            for _ in 0..20 {
                ask(backend, addr).await;
            }
        });
        drop(arrived);
        let error = started
            .join()
            .expect("no panic")
            .expect_err("a worker fails");
        assert!(error.is_worker(), "{error}");
        first.stop(Duration::from_secs(10));
    }
}
