//! A broker in a process of its own.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::{env, fs};

use rustix::process::Signal;

use super::kafka::Release;
use super::process::{Process, Ran, run};
use super::{Home, PATIENCE, client, kafka};

/// Whose broker it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Make {
    /// The binary of this package.
    Blumfeld,
    /// Apache Kafka, as the measure and as the other side of a swap.
    Apache(Release),
}

impl Make {
    /// The broker that the stories are told of: Blumfeld, unless `COMPAT_BROKER` says `kafka-4.4.0` or another release.
    pub(crate) fn under_test() -> Self {
        match env::var("COMPAT_BROKER").as_deref() {
            Err(_) | Ok("" | "blumfeld") => Self::Blumfeld,
            Ok(name) => match name.strip_prefix("kafka-").and_then(Release::of) {
                Some(release) => Self::Apache(release),
                None => panic!(
                    "COMPAT_BROKER={name}: not blumfeld nor kafka- and one of {:?}",
                    Release::ALL
                ),
            },
        }
    }
}

/// The cluster id of every broker here.
pub(crate) const CLUSTER_ID: &str = "Qmx1bWZlbGQtY29tcGF0IQ";

/// What a broker is started with. `Plan::start` may be called again and again, on the same data.
#[derive(Clone)]
pub(crate) struct Plan {
    make: Make,
    home: Arc<Home>,
    settings: Vec<(String, String)>,
    release: Release,
    cluster_id: String,
    wrapper: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Plan {
    /// Sets a key of server.properties, over the harness's own.
    pub(crate) fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.retain(|(known, _)| known != key);
        self.settings.push((key.to_owned(), value.to_string()));
        self
    }

    /// The same node, run by another broker.
    pub(crate) fn run_by(mut self, make: Make) -> Self {
        self.make = make;
        self
    }

    /// Formats the directory for an older release than the newest.
    pub(crate) fn formatted_for(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// Formats the directory with this cluster id.
    pub(crate) fn with_cluster_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.cluster_id);
        self
    }

    /// Starts the broker through a program that runs its arguments as a command, in its own process.
    pub(crate) fn through(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Sets a variable of the broker's environment.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes server.properties and formats the directory, unless it is formatted; the command that runs the broker.
    pub(crate) fn prepare(&self) -> Command {
        let properties = self.home.path().join("server.properties");
        fs::write(&properties, self.properties()).unwrap();
        if !self.home.data().join("meta.properties").exists() {
            self.format(&properties).ok();
        }
        self.command(&properties)
    }

    /// The node's folder.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// Whose broker it starts.
    pub(crate) fn make(&self) -> Make {
        self.make
    }

    /// The same plan in another folder.
    pub(crate) fn at(mut self, home: Home) -> Self {
        self.home = Arc::new(home);
        self
    }

    /// Starts the broker, formatting its directory before the first time, and waits until it says that it serves.
    pub(crate) fn start(&self) -> Broker {
        let process = Process::start(self.prepare(), &self.home.path().join("broker.log"));
        process.wait_for_line("Kafka Server started", PATIENCE);
        Broker { process, plan: self.clone() }
    }

    /// Runs another broker of this plan, which must end by itself: its directory is in use. (Its ports are its own, so
    /// that nothing but the directory stands in its way.)
    pub(crate) fn run_beside(&self) -> Ran {
        let ports = Home::new("beside");
        let properties = ports.path().join("server.properties");
        let text = self
            .properties()
            .replace(&self.home.port.to_string(), &ports.port.to_string())
            .replace(&self.home.controller_port.to_string(), &ports.controller_port.to_string());
        fs::write(&properties, text).unwrap();
        run(self.command(&properties), b"", PATIENCE)
    }

    fn command(&self, properties: &Path) -> Command {
        let broker = match self.make {
            Make::Blumfeld => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_blumfeld"));
                command.arg(properties);
                command
            }
            Make::Apache(release) => release.broker(properties),
        };
        let mut command = match self.wrapper.split_first() {
            Some((program, words)) => {
                let mut command = Command::new(program);
                command.args(words).arg(broker.get_program()).args(broker.get_args());
                command
            }
            None => broker,
        };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the make's own format command.
    fn format(&self, properties: &Path) -> Ran {
        let mut command = match self.make {
            Make::Blumfeld => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_blumfeld"));
                command.arg("format");
                command
            }
            Make::Apache(release) => release.format_command(),
        };
        command.args(["--standalone", "-t", &self.cluster_id, "-c"]).arg(properties);
        if self.release != Release::V4_4_0 {
            command.args(["--release-version", self.release.format()]);
        }
        run(command, b"", PATIENCE)
    }

    fn properties(&self) -> String {
        let Home { port, controller_port, .. } = &*self.home;
        let mut text = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
             controller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=PLAINTEXT\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
             log.dirs={}\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n",
            self.home.data().display()
        );
        for (key, value) in &self.settings {
            text += &format!("{key}={value}\n");
        }
        text
    }
}

/// A running broker. Killed when dropped.
pub(crate) struct Broker {
    process: Process,
    plan: Plan,
}

impl Broker {
    /// The broker under test, in a new folder named after `name`: ready to be given settings and started.
    pub(crate) fn plan(name: &str) -> Plan {
        let make = Make::under_test();
        let release = match make {
            Make::Blumfeld => Release::V4_4_0,
            Make::Apache(release) => release,
        };
        Plan {
            make,
            home: Arc::new(Home::new(name)),
            settings: Vec::new(),
            release,
            cluster_id: CLUSTER_ID.to_owned(),
            wrapper: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// The broker under test with no settings of the story's own, started.
    pub(crate) fn start(name: &str) -> Self {
        Self::plan(name).start()
    }

    /// Where clients find it.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.plan.home.port)
    }

    /// What it was started with.
    pub(crate) fn started_by(&self) -> &Plan {
        &self.plan
    }

    /// Its folder.
    pub(crate) fn home(&self) -> &Home {
        &self.plan.home
    }

    /// The process.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// SIGTERM, and the wait for a clean end. Returns the plan, for another start on the same data.
    pub(crate) fn stop(mut self) -> Plan {
        self.process.signal(Signal::TERM);
        let status = self.process.wait(PATIENCE);
        // The JVM says 128 + 15 after SIGTERM, however clean the stop.
        let clean = match self.plan.make {
            Make::Blumfeld => status.code() == Some(0),
            Make::Apache(_) => status.code() == Some(143),
        };
        assert!(clean, "SIGTERM ended the broker with {status}:\n{}", self.process.printed());
        self.plan.clone()
    }

    /// SIGKILL. Returns the plan, for another start on what the kill left.
    pub(crate) fn kill(mut self) -> Plan {
        self.process.signal(Signal::KILL);
        self.process.wait(PATIENCE);
        self.plan.clone()
    }

    /// Runs one of Kafka's tools against this broker: `kafka-topics --bootstrap-server ADDRESS args`.
    pub(crate) fn tool(&self, name: &str, args: &[&str]) -> Ran {
        self.tool_fed(name, args, "")
    }

    /// The same, with `input` on the tool's standard input.
    pub(crate) fn tool_fed(&self, name: &str, args: &[&str], input: &str) -> Ran {
        let address = self.address();
        let mut all = vec!["--bootstrap-server", &address];
        all.extend(args);
        kafka::run_tool(name, &all, input)
    }

    /// Runs kcat against this broker.
    pub(crate) fn kcat(&self, args: &[&str], input: &str) -> Ran {
        let mut command = Command::new("kcat");
        command.args(["-b", &self.address()]).args(args);
        run(command, input.as_bytes(), PATIENCE)
    }

    /// A librdkafka configuration that knows this broker.
    pub(crate) fn client(&self) -> rdkafka::ClientConfig {
        client::config(&self.address())
    }
}
