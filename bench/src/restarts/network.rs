//! The network: separate namespaces for server and clients, connected by loopback or by a link with
//! a delay. Not all kernels have netem, so the delay is made here: threads forward packets between
//! two TUN devices after a wait.

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    net::Ipv4Addr,
    os::fd::AsFd,
    process::{Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tappers::{Interface, Tun};

use crate::install::succeed;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Network {
    Loopback,
    Delayed,
}

/// The delay of each packet in one direction: half of a round trip of 20 ms.
const DELAY: Duration = Duration::from_millis(10);

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::Delayed => "20 ms",
        })
    }
}

/// The namespaces of a server and its clients. Dropping this ends all processes in them and removes
/// them.
#[derive(Debug)]
pub struct Namespaces {
    server: String,
    client: String,
    pub ip: Ipv4Addr,
}

impl Namespaces {
    /// Creates the namespaces. `migrate` sets `net.ipv4.tcp_migrate_req`.
    pub fn make(network: Network, migrate: bool) -> anyhow::Result<Self> {
        let name = |whose| format!("corelane-bench-{}-{whose}", std::process::id());
        let namespaces = match network {
            Network::Loopback => Self {
                server: name("s"),
                client: name("s"),
                ip: Ipv4Addr::LOCALHOST,
            },
            Network::Delayed => Self {
                server: name("s"),
                client: name("c"),
                ip: Ipv4Addr::new(10, 77, 0, 1),
            },
        };
        for namespace in namespaces.names() {
            succeed(Command::new("ip").args(["netns", "add", namespace]))
                .context("network namespaces need CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root")?;
            succeed(Command::new("ip").args(["-n", namespace, "link", "set", "lo", "up"]))?;
        }
        if network == Network::Delayed {
            namespaces.connect()?;
        }
        let setting = format!("net.ipv4.tcp_migrate_req={}", u8::from(migrate));
        succeed(namespaces.for_server("sysctl").args(["-qw", &setting]))?;
        Ok(namespaces)
    }

    fn names(&self) -> Vec<&str> {
        let mut all = vec![&*self.server, &*self.client];
        all.dedup();
        all
    }

    /// Forwards packets in both directions until the namespaces are removed.
    fn connect(&self) -> anyhow::Result<()> {
        let ends = [
            (&self.server, "10.77.0.1/24"),
            (&self.client, "10.77.0.2/24"),
        ];
        let mut devices = Vec::new();
        for (namespace, address) in ends {
            devices.push(Arc::new(device(namespace)?));
            let ip = |args: &[&str]| succeed(Command::new("ip").args(["-n", namespace]).args(args));
            ip(&["addr", "add", address, "dev", DEVICE])?;
            // Longer than any burst: packets that a queue drops are not losses of the server.
            ip(&["link", "set", DEVICE, "txqueuelen", "50000", "up"])?;
        }
        delay(&devices[0], &devices[1]);
        delay(&devices[1], &devices[0]);
        Ok(())
    }

    pub fn for_server(&self, program: impl AsRef<OsStr>) -> Command {
        within(&self.server, program)
    }

    pub fn for_client(&self, program: impl AsRef<OsStr>) -> Command {
        within(&self.client, program)
    }

    fn end_processes(&self, signal: &str) {
        for namespace in self.names() {
            let pids = Command::new("ip")
                .args(["netns", "pids", namespace])
                .output();
            let pids = pids.map(|output| output.stdout).unwrap_or_default();
            for pid in String::from_utf8_lossy(&pids).split_whitespace() {
                let _ = Command::new("kill")
                    .args([signal, pid])
                    .stderr(Stdio::null())
                    .status();
            }
        }
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        self.end_processes("-TERM");
        thread::sleep(Duration::from_millis(300));
        self.end_processes("-KILL");
        for namespace in self.names() {
            let _ = Command::new("ip")
                .args(["netns", "del", namespace])
                .status();
        }
    }
}

fn within(namespace: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

const DEVICE: &str = "delay0";

/// Creates a device in the namespace, where it stays.
fn device(namespace: &str) -> anyhow::Result<Tun> {
    let file = File::open(format!("/run/netns/{namespace}"))?;
    // The namespace belongs to a thread, so another thread enters it.
    let made = thread::spawn(move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        Tun::new_named(Interface::new(DEVICE)?)
    });
    let made = made.join().map_err(|_| anyhow!("the thread panicked"))?;
    made.context("cannot make a TUN device")
}

/// Starts two threads: one reads at once, so that the kernel's queue stays empty; the other one waits.
fn delay(from: &Arc<Tun>, to: &Arc<Tun>) {
    let (from, to) = (Arc::clone(from), Arc::clone(to));
    let (read, due) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut packet = vec![0; 64 << 10];
        // Fails when the namespace is removed.
        while let Ok(length) = from.recv(&mut packet) {
            if read
                .send((Instant::now() + DELAY, packet[..length].to_vec()))
                .is_err()
            {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (at, packet) in due {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.send(&packet).is_err() {
                break;
            }
        }
    });
}
