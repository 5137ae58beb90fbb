//! A service of your own that runs for years: signals, reload, upgrade, systemd, admin port, log.
//!
//! `cargo run -p corelane-ops --features corelane/aws-lc-rs --example service -- ADDR ADMIN DIRECTORY`
//!
//! DIRECTORY holds cert.pem and key.pem; the service writes service.pid and access.log there.

use std::{convert::Infallible, env, error::Error, path::Path, sync::Arc, time::Duration};

use corelane::{
    Body, Server, service_fn,
    tls::{Identity, RustlsAcceptor, TlsConfig},
};
use corelane_ops::{
    AccessLog, AccessLogFormat, Admin, EventLog, Inherited, Lifecycle, ListenAddr, Reload,
    tower_layer::Layer,
};
use http::{Request, Response};

async fn hello(_request: Request<Body>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello\n".into()))
}

fn acceptor(dir: &Path) -> Result<RustlsAcceptor, corelane::Error> {
    let identity = Identity::from_pem_files(dir.join("cert.pem"), dir.join("key.pem"))?;
    RustlsAcceptor::new(&TlsConfig::new(identity))
}

fn main() -> Result<(), Box<dyn Error>> {
    // First of all, before any thread starts.
    let lifecycle = Lifecycle::new(Inherited::take())?.shutdown_deadline(Duration::from_secs(10));
    let events = EventLog::to_standard_error()?;
    tracing_subscriber::fmt()
        .with_writer(Arc::new(events.writer()))
        .init();

    let running = lifecycle.start(|lifecycle| {
        let [_, addr, admin_addr, dir] = &env::args().collect::<Vec<_>>()[..] else {
            return Err("usage: service ADDR ADMIN DIRECTORY".into());
        };
        let dir = Path::new(dir).to_owned();
        lifecycle.pid_file(dir.join("service.pid"))?;
        lifecycle.admin(Admin::new(admin_addr.parse()?))?;
        let log = AccessLog::open(dir.join("access.log"), AccessLogFormat::Combined)?;
        let log = lifecycle.access_log(log)?;

        let builder = Server::builder(acceptor(&dir)?);
        let server = lifecycle
            .listen(builder, [addr.parse::<ListenAddr>()?])?
            .bind()?;
        let handle = server.serve(move |_worker| log.layer(service_fn(hello)))?;

        let reloader = handle.reloader();
        lifecycle.on_reload(Reload::new(move || reloader.reload(acceptor(&dir)?)));
        Ok(handle)
    })?;
    let ended = running.wait();
    events.finish();
    Ok(ended?)
}
