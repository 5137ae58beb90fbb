//! A server whose handlers wait for tokio: for a task that answers (/pingpong), for a timer (/sleep), or
//! for nothing (/tiny).

#![forbid(unsafe_code)]

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use clap::{Parser, ValueEnum};
use corelane::{Body, Driver, service_fn, tls::Cleartext};
use http::{Request, Response};
use tokio::{
    runtime::{Builder, Handle},
    sync::{mpsc, oneshot},
};

#[derive(Debug, Parser)]
struct Args {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long, value_enum)]
    server: Server,
    /// Workers of corelane, and threads of tokio.
    #[arg(long)]
    workers: usize,
    /// The I/O driver of corelane: io-uring or epoll.
    #[arg(long, default_value = "io-uring")]
    driver: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Server {
    /// axum::serve on a runtime of tokio.
    Axum,
    /// corelane, whose workers have entered one runtime of tokio with as many threads as workers.
    Corelane,
    /// corelane, each of whose workers has entered a runtime of its own, on a thread beside the worker, on
    /// the worker's core.
    CorelaneSiblings,
}

/// Asks the task that answers.
#[derive(Clone)]
struct Pinger(mpsc::UnboundedSender<oneshot::Sender<()>>);

impl Pinger {
    fn spawn(runtime: &Handle) -> Self {
        let (asks, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        runtime.spawn(async move {
            while let Some(answer) = asked.recv().await {
                let _ = answer.send(());
            }
        });
        Self(asks)
    }

    async fn answer(&self, path: &str) -> &'static str {
        match path {
            "/pingpong" => {
                let (answer, answered) = oneshot::channel();
                // The task lives as long as its runtime.
                let _ = self.0.send(answer);
                let _ = answered.await;
            }
            "/sleep" => tokio::time::sleep(Duration::from_millis(1)).await,
            _ => {}
        }
        "hello, world\n"
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(args.workers).enable_all().build()?;
    match args.server {
        Server::Axum => runtime.block_on(axum(&args)),
        Server::Corelane => {
            let pinger = Pinger::spawn(runtime.handle());
            let builder = corelane(&args)?.tokio(runtime.handle().clone());
            serve(builder, move |_| pinger.clone())
        }
        Server::CorelaneSiblings => {
            drop(runtime);
            serve(corelane(&args)?, |worker| {
                let runtime = sibling(worker.cpu);
                let pinger = Pinger::spawn(&runtime);
                // The worker has entered it until its thread ends.
                let runtime: &'static Handle = Box::leak(Box::new(runtime));
                std::mem::forget(runtime.enter());
                pinger
            })
        }
    }
}

async fn axum(args: &Args) -> anyhow::Result<()> {
    let pinger = Pinger::spawn(&Handle::current());
    let route = |path: &'static str| {
        let pinger = pinger.clone();
        get(move || async move { pinger.answer(path).await })
    };
    let router = ["/tiny", "/pingpong", "/sleep"]
        .into_iter()
        .fold(Router::new(), |router, path| {
            router.route(path, route(path))
        });
    let listener = tokio::net::TcpListener::bind(args.listen).await?;
    let listener = axum::serve::ListenerExt::tap_io(listener, |socket| {
        let _ = socket.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

fn corelane(args: &Args) -> anyhow::Result<corelane::Builder> {
    let driver = match args.driver.as_str() {
        "io-uring" => Driver::IoUring,
        "epoll" => Driver::Epoll,
        other => anyhow::bail!("unknown driver {other:?}: use io-uring or epoll"),
    };
    let builder = corelane::Server::builder(Cleartext);
    Ok(builder
        .listen(args.listen)
        .workers(args.workers)
        .driver(driver))
}

fn serve(
    builder: corelane::Builder,
    pinger: impl Fn(corelane::WorkerInfo) -> Pinger + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let handle = builder.bind()?.serve(move |worker| {
        let pinger = pinger(worker);
        service_fn(move |request: Request<Body>| {
            let pinger = pinger.clone();
            async move {
                let text = pinger.answer(request.uri().path()).await;
                Ok::<_, Infallible>(Response::new(text.to_owned()))
            }
        })
    })?;
    Ok(handle.wait()?)
}

/// A runtime on a thread beside the worker's.
fn sibling(cpu: Option<usize>) -> Handle {
    let (made, handle) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        cpu.map(|id| core_affinity::set_for_current(core_affinity::CoreId { id }));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a process may have another epoll instance");
        let _ = made.send(runtime.handle().clone());
        runtime.block_on(std::future::pending::<()>());
    });
    handle.recv().expect("the thread sends it")
}
