//! Tests the drivers, with and without io_uring, the CPUs of workers, and the caller's own runtime.
#![cfg(target_os = "linux")]

use std::{
    collections::BTreeSet,
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread::{self, JoinHandle},
    time::Duration,
};

use corelane::{
    ActiveDriver, Affinity, Body, Builder, ConnectionOptions, Driver, Error, Server,
    serve_connection, service_fn,
};
use corelane_test_support::{
    Backend, Drivers, H2Client, TestServer,
    client::{get, never, send},
    deadline, for_each_backend,
};
use http::{Request, Response};
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

for_each_backend!(
    epoll_is_used_on_request,
    auto_uses_io_uring_where_allowed,
    auto_falls_back_to_epoll,
    forced_io_uring_fails_where_refused,
    io_uring_register_is_not_needed,
    check_tells_whether_io_uring_works,
    as_many_workers_as_cpus_are_pinned,
    another_number_of_workers_is_not_pinned,
    serve_connection_runs_in_user_runtime,
    serve_connection_without_timer_is_an_error,
);

const TWO: usize = 2;

/// System calls. The numbers are the same on every architecture that crate seccompiler knows.
const IO_URING_SETUP: i64 = 425;
const IO_URING_ENTER: i64 = 426;
const IO_URING_REGISTER: i64 = 427;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// A seccomp filter that refuses system calls.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    calls: &'static [i64],
    errno: u32,
}

/// Docker's filter returns EPERM, those of some service managers and sandboxes ENOSYS. The last two
/// allow `io_uring_setup` but not `io_uring_enter`: a ring can be made, but does nothing.
const REFUSALS: [Refusal; 5] = [
    Refusal {
        calls: &[IO_URING_SETUP, IO_URING_ENTER, IO_URING_REGISTER],
        errno: EPERM,
    },
    Refusal {
        calls: &[IO_URING_SETUP],
        errno: EPERM,
    },
    Refusal {
        calls: &[IO_URING_SETUP],
        errno: ENOSYS,
    },
    Refusal {
        calls: &[IO_URING_ENTER],
        errno: EPERM,
    },
    Refusal {
        calls: &[IO_URING_ENTER],
        errno: ENOSYS,
    },
];

/// Runs `work` on a thread where the calls fail, also for its child threads.
fn where_io_uring_is_refused(refusal: Refusal, work: impl FnOnce() + Send + 'static) {
    let refused = thread::spawn(move || {
        let calls = refusal.calls.iter().map(|call| (*call, Vec::new()));
        let filter = SeccompFilter::new(
            calls.collect(),
            SeccompAction::Allow,
            SeccompAction::Errno(refusal.errno),
            std::env::consts::ARCH.try_into().expect("a known machine"),
        );
        let program: BpfProgram = filter.and_then(TryInto::try_into).expect("a filter");
        seccompiler::apply_filter(&program).expect("filters are allowed");
        work();
    });
    if let Err(panic) = refused.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A server with two workers whose handlers answer with their worker's driver.
fn start(backend: Backend, driver: Driver) -> TestServer {
    TestServer::with(
        backend.acceptor(),
        driver,
        |builder| builder.workers(TWO),
        |worker| {
            let answer = worker.driver.to_string();
            service_fn(move |_request: Request<Body>| {
                std::future::ready(Ok::<_, Infallible>(Response::new(answer.clone())))
            })
        },
    )
}

async fn ask(backend: Backend, addr: SocketAddr) -> String {
    let client = H2Client::connect(backend, addr).await;
    let answer = client.run(|requests| async move { send(&requests, get("/"), None).await });
    String::from_utf8(answer.await.expect("answered").body).expect("text")
}

fn assert_runs(backend: Backend, server: &TestServer, expected: ActiveDriver) {
    for worker in server.handle().workers() {
        assert_eq!(worker.info.driver, expected);
    }
    let answer = deadline(ask(backend, server.addr));
    assert_eq!(answer, expected.to_string());
}

fn io_uring_is_allowed() -> bool {
    // If io_uring is refused, this prints the reason.
    Drivers::all().contains(&Driver::IoUring)
}

fn epoll_is_used_on_request(backend: Backend) {
    let server = start(backend, Driver::Epoll);
    assert_runs(backend, &server, ActiveDriver::Epoll);
}

fn auto_uses_io_uring_where_allowed(backend: Backend) {
    let expected = match io_uring_is_allowed() {
        true => ActiveDriver::IoUring,
        false => ActiveDriver::Epoll,
    };
    let server = start(backend, Driver::Auto);
    assert_runs(backend, &server, expected);
}

fn auto_falls_back_to_epoll(backend: Backend) {
    for refusal in REFUSALS {
        where_io_uring_is_refused(refusal, move || {
            let server = start(backend, Driver::Auto);
            assert_runs(backend, &server, ActiveDriver::Epoll);
            server.stop(Duration::ZERO);
        });
    }
}

fn forced_io_uring_fails_where_refused(backend: Backend) {
    if !io_uring_is_allowed() {
        // The error would name what refuses io_uring already.
        return;
    }
    for refusal in REFUSALS {
        where_io_uring_is_refused(refusal, move || {
            let error = on_io_uring(backend)
                .bind()
                .expect("loopback")
                .serve(|_| service_fn(never))
                .expect_err("io_uring is refused");
            assert_names_the_cause(refusal, &error);
        });
    }
}

fn on_io_uring(backend: Backend) -> Builder {
    Server::builder(backend.acceptor())
        .listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .workers(TWO)
        .driver(Driver::IoUring)
}

fn assert_names_the_cause(refusal: Refusal, error: &Error) {
    assert!(error.is_unsupported(), "{refusal:?}: {error:?}");
    let text = error.to_string();
    assert!(text.contains("seccomp"), "{refusal:?}: {text}");
    let by_half = !refusal.calls.contains(&IO_URING_SETUP);
    assert_eq!(
        text.contains("io_uring_enter fails"),
        by_half,
        "{refusal:?}: {text}"
    );
}

fn check_tells_whether_io_uring_works(backend: Backend) {
    if !io_uring_is_allowed() {
        let error = on_io_uring(backend).check().expect_err("refused");
        assert!(error.is_unsupported(), "{error:?}");
        return;
    }
    on_io_uring(backend).check().expect("it works");
    for refusal in REFUSALS {
        where_io_uring_is_refused(refusal, move || {
            let error = on_io_uring(backend).check().expect_err("refused");
            assert_names_the_cause(refusal, &error);
            let other = on_io_uring(backend).driver(Driver::Auto);
            other.check().expect("epoll works");
        });
    }
}

fn io_uring_register_is_not_needed(backend: Backend) {
    if !io_uring_is_allowed() {
        return;
    }
    let refusal = Refusal {
        calls: &[IO_URING_REGISTER],
        errno: EPERM,
    };
    where_io_uring_is_refused(refusal, move || {
        let server = start(backend, Driver::IoUring);
        assert_runs(backend, &server, ActiveDriver::IoUring);
    });
}

/// The CPUs that the calling thread may run on, as the kernel lists them.
fn allowed_cpus() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("/proc");
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.expect("a known field").trim().to_owned()
}

/// The number of CPUs in such a list.
fn cpu_count(list: &str) -> usize {
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let [first, last] = [first, last].map(|cpu| cpu.parse::<usize>().expect("a number"));
        last - first + 1
    };
    list.split(',').map(count).sum()
}

fn as_many_workers_as_cpus_are_pinned(backend: Backend) {
    let cpus = cpu_count(&allowed_cpus());
    for &driver in Drivers::all() {
        let options = |builder: Builder| builder.workers(cpus).affinity(Affinity::Auto);
        let server = TestServer::with(backend.acceptor(), driver, options, |worker| {
            service_fn(move |_request: Request<Body>| {
                let answer = format!("worker {} on {}", worker.index, allowed_cpus());
                std::future::ready(Ok::<_, Infallible>(Response::new(answer)))
            })
        });
        let workers = server.handle().workers();
        let pinned: Vec<usize> = workers
            .iter()
            .map(|worker| worker.info.cpu.expect("pinned"))
            .collect();
        let own: BTreeSet<_> = pinned.iter().collect();
        assert_eq!(own.len(), cpus, "each has its own");
        let expected: BTreeSet<_> = pinned
            .iter()
            .enumerate()
            .map(|(i, cpu)| format!("worker {i} on {cpu}"))
            .collect();
        let mut seen = BTreeSet::new();
        deadline(async {
            while seen.len() < expected.len() {
                seen.insert(ask(backend, server.addr).await);
            }
        });
        assert_eq!(seen, expected);
    }
}

fn another_number_of_workers_is_not_pinned(backend: Backend) {
    let cpus = cpu_count(&allowed_cpus());
    for &driver in Drivers::all() {
        for workers in [cpus + 1, cpus - 1] {
            let options = |builder: Builder| builder.workers(workers).affinity(Affinity::Auto);
            if workers == 0 {
                println!("NOT TESTED: fewer workers than CPUs, there is one CPU only");
                continue;
            }
            let server =
                TestServer::with(backend.acceptor(), driver, options, |_| service_fn(never));
            for worker in server.handle().workers() {
                assert_eq!(worker.info.cpu, None, "{workers} workers on {cpus} CPUs");
            }
        }
    }
}

/// Accepts one connection and serves it in the current runtime.
async fn serve_one(backend: Backend, listener: TcpListener) -> Result<(), Error> {
    let listener = monoio::net::TcpListener::from_std(listener)?;
    let (stream, _peer) = listener.accept().await?;
    let options = ConnectionOptions::default();
    serve_connection(stream, &*backend.acceptor(), service_fn(never), &options).await
}

/// Does the same on a thread with a runtime that is not corelane's.
fn serve_elsewhere(
    backend: Backend,
    driver: Driver,
    timer: bool,
) -> (SocketAddr, JoinHandle<Result<(), Error>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let nonblocking = driver == Driver::Epoll;
    listener.set_nonblocking(nonblocking).expect("an option");
    let addr = listener.local_addr().expect("bound");
    let thread = thread::spawn(move || {
        let epoll = RuntimeBuilder::<LegacyDriver>::new();
        let io_uring = RuntimeBuilder::<IoUringDriver>::new();
        let serve = || serve_one(backend, listener);
        match (driver, timer) {
            (Driver::Epoll, true) => epoll.enable_timer().build()?.block_on(serve()),
            (Driver::Epoll, false) => epoll.build()?.block_on(serve()),
            (_, true) => io_uring.enable_timer().build()?.block_on(serve()),
            (_, false) => io_uring.build()?.block_on(serve()),
        }
    });
    (addr, thread)
}

fn serve_connection_runs_in_user_runtime(backend: Backend) {
    for &driver in Drivers::all() {
        let (addr, serving) = serve_elsewhere(backend, driver, true);
        deadline(ask(backend, addr));
        // How the client closed does not matter here, only that the connection ended.
        let _ = serving.join().expect("no panic");
    }
}

fn serve_connection_without_timer_is_an_error(backend: Backend) {
    for &driver in Drivers::all() {
        let (addr, serving) = serve_elsewhere(backend, driver, false);
        let _client = TcpStream::connect(addr).expect("connects");
        let error = serving.join().expect("no panic").expect_err("no timer");
        assert!(error.is_config(), "{error:?}");
        assert!(error.to_string().contains("enable_timer"), "{error}");
    }
}
