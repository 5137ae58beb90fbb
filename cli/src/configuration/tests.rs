use std::collections::BTreeSet;

use clap::{Arg, CommandFactory};

use corelane_ops::ListenAddr;

use super::*;

const EXAMPLE: &str = include_str!("../../../deploy/corelane.toml");

/// A separate directory for each test.
struct Files(std::path::PathBuf);

impl Files {
    fn new(test: &str) -> Self {
        let name = format!("corelane-configuration-{}-{test}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("a directory");
        Self(dir)
    }

    fn file(&self, text: &str) -> String {
        let path = self.0.join("corelane.toml");
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn read_with(flags: &[&str], variables: &[(&str, &str)]) -> Result<Invocation, Stop> {
    let arguments = ["corelane"].iter().chain(flags).map(OsString::from);
    let variable = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| OsString::from(value))
    };
    read(arguments.collect(), &variable)
}

fn served(flags: &[&str], variables: &[(&str, &str)]) -> Args {
    match read_with(flags, variables) {
        Ok(Invocation::Serve(args, _)) => *args,
        Ok(_) => panic!("expected Serve"),
        Err(stop) => panic!("{flags:?}: {stop:?}"),
    }
}

fn effective(flags: &[&str], variables: &[(&str, &str)]) -> String {
    match read_with(&[&["check"], flags].concat(), variables) {
        Ok(Invocation::Check(_, text)) => text,
        Ok(_) => panic!("expected Check"),
        Err(stop) => panic!("{flags:?}: {stop:?}"),
    }
}

fn mistakes(flags: &[&str], variables: &[(&str, &str)]) -> String {
    match read_with(flags, variables) {
        Err(Stop::Mistakes(mistakes)) => mistakes,
        Err(Stop::Clap(error)) => panic!("{flags:?}: clap reports {error}"),
        Ok(_) => panic!("{flags:?} is accepted"),
    }
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let files = Files::new("order");
    let path = files.file(
        "listen = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n\
         tls = \"none\"\n\
         takeover = true\n\
         verbose = 3\n\
         cpus = [1, 2]\n\
         workers = 4\n\
         driver = \"epoll\"\n",
    );
    let config = ["--config", &path[..]];
    let ports = |args: &Args| {
        args.listen
            .iter()
            .map(|addr| match addr {
                ListenAddr::Tcp(addr) => addr.port(),
                ListenAddr::Unix(path) => panic!("{path:?}"),
            })
            .collect::<Vec<_>>()
    };

    let args = served(&config, &[]);
    assert_eq!(ports(&args), [1, 2]);
    assert_eq!((args.restart.takeover, args.verbose), (true, 3));
    assert_eq!(args.cpus, [1, 2]);
    assert_eq!(args.workers.0.map(|workers| workers.get()), Some(4));

    let variables = [
        ("CORELANE_CONFIG", &path[..]),
        ("CORELANE_LISTEN", "127.0.0.1:3, 127.0.0.1:4"),
        ("CORELANE_TAKEOVER", "false"),
        ("CORELANE_VERBOSE", "1"),
        ("CORELANE_WORKERS", "auto"),
        ("CORELANE_TLS", ""),
    ];
    let args = served(&[], &variables);
    assert_eq!(ports(&args), [3, 4]);
    assert_eq!((args.restart.takeover, args.verbose), (false, 1));
    assert!(args.workers.0.is_none());
    assert_eq!(
        args.tls.as_deref(),
        Some("none"),
        "an empty variable sets nothing"
    );

    let flags = ["--listen", "127.0.0.1:5", "--takeover", "-vv"];
    let args = served(&flags, &variables);
    assert_eq!(ports(&args), [5]);
    assert_eq!((args.restart.takeover, args.verbose), (true, 2));
    let off = [&config[..], &["--takeover=false"]].concat();
    assert!(
        !served(&off, &[]).restart.takeover,
        "a switch can be turned off"
    );
    let both = [&config[..], &["--no-affinity"]].concat();
    let args = served(&both, &[]);
    assert!(
        args.no_affinity && args.cpus.is_empty(),
        "a flag overrides settings that it conflicts with"
    );
}

#[test]
fn a_switch_that_is_off_conflicts_with_nothing() {
    let files = Files::new("off");
    let path = files.file("cpus = [1]\n");
    let config = ["--config", &path[..]];
    let flag = [&config[..], &["--no-affinity=false"]].concat();
    let args = served(&flag, &[]);
    assert_eq!((args.no_affinity, &args.cpus[..]), (false, &[1][..]));
    let text = effective(&flag, &[]);
    assert!(text.contains("no-affinity = false  # flag"), "{text}");
    let args = served(&config, &[("CORELANE_NO_AFFINITY", "false")]);
    assert_eq!((args.no_affinity, &args.cpus[..]), (false, &[1][..]));
}

/// Kubernetes sets CORELANE_PORT, CORELANE_PORT_… and CORELANE_SERVICE_… for a service `corelane`.
#[test]
fn variables_do_not_clash_with_those_of_kubernetes() {
    for arg in Args::command().get_arguments() {
        let key = arg.get_long().unwrap_or_default();
        let taken = key == "port" || key.starts_with("port-") || key.starts_with("service-");
        assert!(!taken, "--{key}");
    }
}

#[test]
fn options_that_need_each_other_may_come_from_different_sources() {
    let files = Files::new("together");
    let path = files.file("key = \"k\"\n");
    let args = served(&["--config", &path, "--cert", "c"], &[]);
    assert_eq!(args.certificates.key, [Path::new("k")]);
    let message = mistakes(&["--config", &path], &[]);
    assert!(message.contains("--cert <FILE>"), "{message}");
    assert!(
        message.contains("corelane.toml:1: --key is set here"),
        "{message}"
    );
    let message = mistakes(
        &[],
        &[("CORELANE_CPUS", "1"), ("CORELANE_NO_AFFINITY", "true")],
    );
    assert!(message.contains("cannot be used with"), "{message}");
    assert!(message.contains("CORELANE_CPUS"), "{message}");
}

#[test]
fn conflicts_are_listed_once_by_pairs() {
    let files = Files::new("conflicts");
    let path = files.file(
        "cert = \"a\"\nkey = \"b\"\nwrite-cert = \"c\"\ncpus = [1]\nno-affinity = true\nadmin = 9\n",
    );
    let message = mistakes(&["--config", &path], &[]);
    let pairs = format!(
        "{path}:3: write-cert cannot be used with cert ({path}:1): remove one of them\n\
         {path}:5: no-affinity cannot be used with cpus ({path}:4): remove one of them"
    );
    assert_eq!(message, pairs);

    let variables = [("CORELANE_CPUS", "1"), ("CORELANE_NO_AFFINITY", "true")];
    let pair = "CORELANE_NO_AFFINITY cannot be used with CORELANE_CPUS: remove one of them";
    assert_eq!(mistakes(&[], &variables), pair);

    let flags = [
        "--no-affinity",
        "--cpus=1",
        "--cert=a",
        "--key=b",
        "--write-cert=c",
    ];
    for flags in [&flags[..], &[&["check"], &flags[..]].concat()] {
        let Err(Stop::Clap(error)) = read_with(flags, &[]) else {
            panic!("{flags:?} are accepted");
        };
        assert_eq!(error.exit_code(), 2);
        let pairs = "error: --no-affinity cannot be used with --cpus: remove one of them\n\
                     --write-cert cannot be used with --cert: remove one of them\n";
        assert!(error.to_string().starts_with(pairs), "{error}");
    }
}

#[test]
fn mistakes_name_their_file_and_line() {
    let files = Files::new("mistakes");
    let path = files.file(
        "listn = [\"127.0.0.1:0\"]\n\
         tls = 5\n\
         idle-timeout = \"33\"\n\
         takeover = \"yes\"\n\
         cpus = [\"a\"]\n\
         workers = 0\n\
         verbose = 256\n\
         driver = \"kqueue\"\n\
         config = \"other.toml\"\n\
         alpn-missing = true\n\
         min-rate = 1.5\n\
         expect = \"h2\"\n\
         [limits]\n\
         max-frame = 20000\n",
    );
    let message = mistakes(&["check", "--config", &path], &[]);
    for (line, words) in [
        (1, "did you mean \"listen\"?"),
        (2, "tls: expected a string (BACKEND), found the number 5"),
        (
            3,
            "idle-timeout: expected a number (SECONDS), found the string \"33\"",
        ),
        (4, "takeover: expected true or false"),
        (
            5,
            "cpus: expected a list, each element a number (LIST), found the string \"a\"",
        ),
        (6, "'--workers <N|auto>': expected a number of at least 1"),
        (7, "verbose: expected a number from 0 to 255"),
        (8, "possible values: auto, io-uring, epoll"),
        (9, "cannot name another one"),
        (
            10,
            "alpn-missing: expected one of reject, allow, found true",
        ),
        (
            11,
            "min-rate: expected a number (BYTES), found the number 1.5",
        ),
        (12, "unknown key \"expect\""),
        (13, "unknown table [limits]"),
    ] {
        let (_, found) = message
            .split_once(&format!("corelane.toml:{line}: "))
            .unwrap_or_else(|| panic!("line {line} is right:\n{message}"));
        let found = found.split("\n/").next().unwrap_or_default();
        assert!(found.contains(words), "line {line}: {found}");
    }
    let message = mistakes(&[], &[("CORELANE_IDLE_TIMEOUT", "long")]);
    assert!(message.starts_with("CORELANE_IDLE_TIMEOUT: "), "{message}");
    let path = files.file("tls = \"none\"\ntls = \"rustls\"\n");
    let message = mistakes(&["--config", &path], &[]);
    assert!(
        message.contains("corelane.toml:2: invalid TOML"),
        "{message}"
    );
    let message = mistakes(&["--config", "/nonexistent.toml"], &[]);
    assert!(
        message.contains("cannot read the configuration file /nonexistent.toml"),
        "{message}"
    );
}

#[test]
fn the_effective_configuration_names_sources_and_is_valid_input() {
    let files = Files::new("effective");
    let path = files.file("cert = \"a \\\"b\\\".pem\"\nkey = \"k\"\ntakeover = true\n");
    let flags = ["--config", &path, "--workers", "3", "--listen", "[::1]:443"];
    let variables = [("CORELANE_CPUS", "0,1"), ("CORELANE_VERBOSE", "1")];
    let text = effective(&flags, &variables);
    for line in [
        "workers = 3  # flag",
        "listen = [\"[::1]:443\"]  # flag",
        "cpus = [0, 1]  # environment variable CORELANE_CPUS",
        "idle-timeout = 75  # default",
        "#keep-alive = SECONDS  # default: never, TCP keep-alive is on",
        "#tls = BACKEND  # default: the first that is compiled in",
        "#pid-file = FILE  # default: not set",
        &format!("takeover = true  # {path}:3"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let path = files.file(&text);
    let again = effective(&["--config", &path], &[]);
    let values = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.filter_map(|line| Some(line.split_once("  # ")?.0.to_owned()));
        values.collect::<Vec<_>>()
    };
    assert_eq!(values(&again), values(&text));
}

#[test]
fn secrets_are_not_printed() {
    let secret = Arg::new("token").long("token").hide_env_values(true);
    let command = clap::Command::new("corelane").arg(secret);
    let matches = command
        .clone()
        .get_matches_from(["corelane", "--token", "hunter2"]);
    let text = effective::text(&command, &matches, &[], &[]);
    assert_eq!(text, "#token = secret  # flag\n");
}

#[test]
fn the_prober_ignores_the_server_configuration() {
    let variables = [
        ("CORELANE_CONFIG", "/nonexistent.toml"),
        ("CORELANE_TLS", "x"),
    ];
    let asked = read_with(&["alpn", "localhost"], &variables);
    assert!(matches!(asked, Ok(Invocation::Alpn(_))));
}

#[test]
fn help_names_the_variables() {
    for flags in [&["--help"][..], &["check", "--help"]] {
        let Err(Stop::Clap(help)) = read_with(flags, &[]) else {
            panic!("no help");
        };
        assert!(help.to_string().contains("[env: CORELANE_MAX_FRAME="));
    }
}

/// Each flag is a key, or a comment that can be turned into a key.
#[test]
fn the_example_file_lists_every_flag() {
    let is_key = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        key.len() < line.len()
            && key
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let uncommented: Vec<_> = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if is_key(key) => key,
            _ => line,
        })
        .collect();
    let server = with_switches(Args::command());
    let settings = file::parse(&server, "deploy/corelane.toml", &uncommented.join("\n"));
    let settings = settings.expect("every key is right");
    let keys: BTreeSet<_> = settings.iter().map(|setting| &setting.key[..]).collect();
    let flags = server.get_arguments().filter_map(Arg::get_long);
    let flags: BTreeSet<_> = flags.filter(|key| *key != CONFIG).collect();
    assert_eq!(keys, flags);
}

/// The options with which the files in deploy/ start a server.
#[test]
fn deployment_files_use_existing_options() {
    const SERVICE: &str = include_str!("../../../deploy/corelane.service");
    const KUBERNETES: &str = include_str!("../../../deploy/kubernetes.yaml");
    const DOCKERFILE: &str = include_str!("../../../deploy/Dockerfile");
    let files = Files::new("deployments");
    let file = files.file(EXAMPLE);
    let started = |line: &'static str| {
        let command = ["ExecStart", "ExecReload"]
            .iter()
            .find_map(|key| line.strip_prefix(key))
            .filter(|_| line.contains("corelane"))?;
        let arguments = command.split_whitespace().skip(1);
        Some(arguments.map(|argument| match argument {
            "/etc/corelane/corelane.toml" => &file,
            "$MAINPID" => "1",
            argument => argument,
        }))
    };
    let commands: Vec<Vec<&str>> = SERVICE
        .lines()
        .filter_map(started)
        .map(Iterator::collect)
        .collect();
    assert_eq!(commands.len(), 3, "a check, the start and a reload");
    for command in commands {
        assert!(read_with(&command, &[]).is_ok(), "{command:?}");
    }
    let flag = |line: &'static str| {
        line.trim()
            .strip_prefix("- ")
            .filter(|flag| flag.starts_with("--"))
    };
    let flags: Vec<_> = KUBERNETES.lines().filter_map(flag).collect();
    assert!(
        !flags.is_empty() && read_with(&flags, &[]).is_ok(),
        "{flags:?}"
    );
    let variable = |line: &'static str| line.strip_prefix("ENV ")?.split_once('=');
    let variables: Vec<_> = DOCKERFILE.lines().filter_map(variable).collect();
    assert!(!variables.is_empty());
    let Ok(Invocation::Serve(args, _)) = read_with(&[], &variables) else {
        panic!("{variables:?}");
    };
    assert_eq!(args.listen, ["0.0.0.0:8443".parse().expect("an address")]);
}
