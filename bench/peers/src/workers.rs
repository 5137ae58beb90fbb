//! Workers for the servers on tokio: one thread and one runtime each.

use std::{future::Future, net::TcpListener, thread};

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};

use crate::Args;

/// The same as corelane's.
const BACKLOG: i32 = 4096;

/// Runs `serve` on every worker: a thread with a current-thread runtime and its own listener on the
/// common port. Returns only with an error.
pub fn on_each_worker<F, Fut>(args: &Args, serve: F) -> anyhow::Result<()>
where
    F: Fn(TcpListener) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = anyhow::Result<()>>,
{
    on_each_thread(args, move |listener| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(serve(listener))
    })
}

/// The same with a runtime that `run` starts. The threads are pinned to CPUs as corelane pins its workers.
pub fn on_each_thread<F>(args: &Args, run: F) -> anyhow::Result<()>
where
    F: Fn(TcpListener) -> anyhow::Result<()> + Clone + Send + 'static,
{
    let cpus = core_affinity::get_core_ids().unwrap_or_default();
    let workers: Vec<_> = (0..args.workers.get())
        .map(|index| {
            let listener = listen(args)?;
            let cpu = cpus.get(index).copied();
            let run = run.clone();
            anyhow::Ok(thread::spawn(move || {
                cpu.map(core_affinity::set_for_current);
                run(listener)
            }))
        })
        .collect::<Result<_, _>>()?;
    for worker in workers {
        worker
            .join()
            .map_err(|_| anyhow::anyhow!("a worker panicked"))??;
    }
    Ok(())
}

pub fn listen(args: &Args) -> anyhow::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(args.listen),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket
        .bind(&args.listen.into())
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
