//! From options to a running server, and what there is to say of it.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    rc::Rc,
    sync::{Arc, mpsc},
    thread,
};

use corelane::{Affinity, Builder, Error, Handle, Server, tls::Identity};

use crate::{
    access_log::{Log, Record},
    admin::{self, Admin},
    args::Args,
    health::{HEALTH, State},
    reload,
    restart::{self, Inherited, PidFile, Program, SERVING},
    routes, service_manager,
    signals::{self, Running},
    status::{Source, Status},
    tls,
};
pub(crate) fn serve(
    args: &'static Args,
    inherited: &mut Inherited,
) -> Result<(), Box<dyn std::error::Error>> {
    // Before any thread starts: a signal is then never lost to the default action.
    let signals = signals::catch()?;
    let reload = reload::catch()?;
    let program = Program::of_this_process()?;
    let restart = &args.restart;
    if restart.takeover && !inherited.replaces_server() {
        restart::look_at_the_kernel();
    }
    check_addresses(args)?;
    let admin = args.admin.bind(inherited.named(admin::SOCKET))?;
    let Configured {
        builder,
        tls,
        identities,
        given,
    } = configured(args, inherited)?;
    let server = builder
        .bind()
        .map_err(|error| restart::advise(error, restart))?;
    let log = args.access_log.start()?;
    let source = args.status.source();
    let replaces = restart.takeover || inherited.replaces_server();
    let pid_file = restart.pid_file.as_deref();
    let pid_file = pid_file.map(|path| PidFile::prepare(path, replaces));
    let pid_file = pid_file.transpose()?;
    let admin_addr = admin.as_ref().map(Admin::addr);
    let (observers, observer) = mpsc::channel();
    let mut sockets = Vec::new();
    if let Some(admin) = admin {
        sockets.push((admin::SOCKET, admin.start(observer)?));
    }
    // What fails from here on cuts connections off.
    let handle = match &log {
        None => serve_unlogged(server, source.clone())?,
        Some(log) => serve_logged(server, source.clone(), log.log().clone())?,
    };
    if let Some(source) = source {
        source.observe(handle.observer());
    }
    HEALTH.set(State::Ready);
    reload.start(args, identities, handle.reloader())?;
    // Nobody takes it without --admin.
    let _ = observers.send(handle.observer());
    let introduction = introduction(&handle, &tls, admin_addr);
    let replaces_server = inherited.replaces_server();
    inherited.ready()?;
    if let Some(pid_file) = &pid_file {
        pid_file.publish()?;
    }
    inherited.end_report();
    if !replaces_server {
        service_manager::ready();
    }
    introduce(introduction, args.access_log.is_standard_output());
    let running = Running {
        handle,
        program,
        given,
        sockets,
        upgrade_timeout: restart.upgrade_timeout(),
        shutdown_delay: restart.shutdown_delay(),
        shutdown_deadline: args.limits.shutdown_deadline(),
    };
    let ended = running.obey(signals);
    if let Some(log) = log {
        log.finish();
    }
    Ok(ended?)
}

fn serve_unlogged(server: Server, source: Option<Arc<Source>>) -> Result<Handle, Error> {
    server.serve(move |_worker| {
        let status = Status::new(source.clone());
        corelane::service_fn(move |request| routes::answer(request, status.clone()))
    })
}

fn serve_logged(server: Server, source: Option<Arc<Source>>, log: Log) -> Result<Handle, Error> {
    server.serve(move |_worker| {
        let status = Status::new(source.clone());
        let log = Rc::new(log.clone());
        corelane::service_fn(move |request| {
            let record = Record::begin(&log, &request);
            let status = status.clone();
            async move {
                let answer = routes::answer(request, status).await;
                answer.map(|response| record.answered(response))
            }
        })
    })
}

/// All that can be known of a server without starting it.
struct Configured {
    builder: Builder,
    tls: tls::Description,
    identities: Vec<Identity>,
    /// Where the service manager's sockets listen.
    given: Vec<SocketAddr>,
}

fn configured(args: &Args, inherited: &mut Inherited) -> Result<Configured, Error> {
    let tls = tls::choose(args)?;
    let builder = Server::builder(tls.acceptor)
        .driver(args.driver.into())
        .share_port(args.restart.takeover)
        .alpn_missing(args.alpn_missing.into())
        .proxy_protocol(args.proxy_protocol.iter().copied());
    let builder = args.limits.set(with_workers(builder, args));
    let (builder, given) = listen(builder, args, inherited)?;
    Ok(Configured {
        builder,
        tls: tls.description,
        identities: tls.identities,
        given,
    })
}

/// Of two sockets on one port the second would find it in use, by this very process.
fn check_addresses(args: &Args) -> Result<(), Error> {
    let listen = args.listen.iter().map(|addr| ("--listen", *addr));
    let admin = args.admin.addr().map(|addr| ("--admin", addr));
    let addrs: Vec<_> = listen.chain(admin).collect();
    for (i, (flag, addr)) in addrs.iter().enumerate() {
        let same = |(_, other): &&(&str, SocketAddr)| meet(addr, other);
        if let Some((first, other)) = addrs[..i].iter().find(same) {
            return Err(Error::config(format!(
                "{first} {other} and {flag} {addr} are one port: take another one, or leave one of \
                 them out"
            )));
        }
    }
    Ok(())
}

/// Whether nobody but one can listen on both.
fn meet(one: &SocketAddr, other: &SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip() || any && one.is_ipv4() == other.is_ipv4())
}

/// Says whether a server would start, and prints what it would go by.
pub(crate) fn check(args: Args, text: &str) -> Result<(), Box<dyn std::error::Error>> {
    let looks_only = Args {
        certificates: args.certificates.that_write_nothing(),
        ..args
    };
    check_addresses(&looks_only)?;
    configured(&looks_only, &mut Inherited::default())?
        .builder
        .check()?;
    looks_only.access_log.check()?;
    if let Some(path) = &looks_only.restart.pid_file {
        PidFile::check(path)?;
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn with_workers(mut builder: Builder, args: &Args) -> Builder {
    if let Some(workers) = args.workers.0 {
        builder = builder.workers(workers);
    }
    if args.no_affinity {
        builder = builder.affinity(Affinity::None);
    } else if !args.cpus.is_empty() {
        builder = builder.affinity(Affinity::Cpus(args.cpus.clone()));
    }
    builder
}

/// On the addresses given, taking inherited sockets where there are some. A service manager's are
/// served on whatever the addresses, another server's only where they still are among those given.
/// Returns the addresses of the service manager's too.
fn listen(
    mut builder: Builder,
    args: &Args,
    inherited: &mut Inherited,
) -> Result<(Builder, Vec<SocketAddr>), Error> {
    let mut given = inherited.given()?;
    let given_at = given.iter().filter_map(|it| it.local_addr().ok()).collect();
    let mut others = inherited.named(SERVING);
    let mut addrs = match &args.listen[..] {
        [] if given.is_empty() && others.is_empty() => default_addrs(),
        named => named.to_vec(),
    };
    let any = addrs.is_empty();
    // Where no port is named, one that another address names is not meant.
    addrs.sort_by_key(|addr| addr.port() == 0);
    let mut serve_on = Vec::new();
    for addr in addrs {
        let mut found = restart::at(&mut given, addr);
        if found.is_empty() {
            found = restart::at(&mut others, addr);
        }
        if found.is_empty() {
            builder = builder.listen(addr);
        }
        serve_on.append(&mut found);
    }
    serve_on.append(&mut given);
    if any {
        serve_on.append(&mut others);
    }
    for socket in others {
        tracing::info!(?socket, "no longer listened on");
    }
    let builder = serve_on.into_iter().fold(builder, Builder::listener);
    Ok((builder, given_at))
}

/// Loopback, IPv6 too where this host has it.
fn default_addrs() -> Vec<SocketAddr> {
    const PORT: u16 = 8443;
    let mut addrs = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        addrs.push(SocketAddr::from((Ipv6Addr::LOCALHOST, PORT)));
    }
    addrs
}

/// Says what is running and how to try it, `aside` where standard output is for something else. Nobody
/// to read it is no reason to fail, nor to wait.
fn introduce(introduction: String, aside: bool) {
    let thread = thread::Builder::new().name("corelane-intro".into());
    let spawned = thread.spawn(move || {
        let mut out: Box<dyn std::io::Write> = match aside {
            true => Box::new(std::io::stderr().lock()),
            false => Box::new(std::io::stdout().lock()),
        };
        let _ = out
            .write_all(introduction.as_bytes())
            .and_then(|()| out.flush());
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread to say what is running");
    }
}

fn introduction(handle: &Handle, tls: &tls::Description, admin: Option<SocketAddr>) -> String {
    let mut out = String::new();
    let addrs = handle.local_addrs();
    let scheme = tls.scheme;
    for addr in addrs {
        let _ = writeln!(out, "listening on {scheme}://{addr}");
    }
    let _ = writeln!(out, "TLS: {}", tls.text);
    let workers = handle.workers();
    let _ = writeln!(out, "workers: {}", workers.len());
    for worker in workers {
        let info = worker.info;
        let cpu = match info.cpu {
            Some(cpu) => format!("CPU {cpu}"),
            None => "not pinned".into(),
        };
        let _ = writeln!(out, "  {}: {}, {cpu}", info.index, info.driver);
    }
    if let Some(admin) = admin {
        let _ = writeln!(out, "metrics: http://{admin}/metrics");
    }
    if let Some(addr) = addrs.first() {
        let host = match addr.ip() {
            ip if ip.is_loopback() || ip.is_unspecified() => "localhost".into(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        let _ = writeln!(
            out,
            "try: curl {} {scheme}://{host}:{}/",
            tls.curl_options,
            addr.port()
        );
    }
    out
}
