//! Directories of Apache Kafka that cannot be served are refused with what to do about it, and left as they were.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::harness::client::{Outgoing, config, create_topic, produce, read_all};
use crate::harness::kafka::Release;
use crate::harness::process::{Process, Ran, run};
use crate::harness::{Broker, CLUSTER_ID, Home, Make, PATIENCE};

/// Every file with its bytes, locks left out.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else if entry.file_name() != ".lock" {
            found.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// Runs Blumfeld, which must refuse what lies in `home` and leave it as it is.
fn refused(home: &Home, properties: &Path, says: &str) {
    let before = files(home.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_blumfeld"));
    command.arg(properties);
    let ran: Ran = run(command, b"", PATIENCE);
    assert_eq!(ran.code(), Some(1), "{ran}");
    assert!(ran.stdout.contains(says), "{ran}");
    let after = files(home.path());
    assert!(before.keys().eq(after.keys()), "files came or went");
    for (path, bytes) in &after {
        assert!(*bytes == before[path], "{} was changed", path.display());
    }
}

/// The settings of one of two nodes of Apache Kafka; those that take the place of others come last.
fn settings(home: &Home, role: &str, node: u8, controller_port: u16, voters: &str) -> PathBuf {
    let path = home.path().join(format!("{role}.properties"));
    let listener = match role {
        "controller" => format!("listeners=CONTROLLER://127.0.0.1:{controller_port}\n"),
        "broker" => format!("listeners=PLAINTEXT://127.0.0.1:{}\n", home.port),
        _ => format!(
            "listeners=PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}\n",
            home.port, home.controller_port
        ),
    };
    let text = format!(
        "process.roles={role}\nnode.id={node}\n{listener}{voters}\ncontroller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\nlog.dirs={}\n\
         offsets.topic.replication.factor=1\n",
        home.path().join(if role == "controller" { "controller" } else { "data" }).display()
    );
    fs::write(&path, text).unwrap();
    path
}

/// A controller and a broker of Apache Kafka, apart. The broker's directory, with a topic in it and killed, is given to
/// Blumfeld as if it were that of both.
fn broker_without_its_controller(name: &str, is_static: bool, says: &str) {
    let release = Release::to_swap_with();
    let home = Home::new(name);
    let of_both = if is_static {
        format!("controller.quorum.voters=1@127.0.0.1:{}", home.controller_port)
    } else {
        format!("controller.quorum.bootstrap.servers=127.0.0.1:{}", home.controller_port)
    };
    let mut running = Vec::new();
    for (role, node) in [("controller", 1), ("broker", 2)] {
        let properties = settings(&home, role, node, home.controller_port, &of_both);
        let mut format = release.format_command();
        format.args(["-t", CLUSTER_ID, "-c"]).arg(&properties);
        if role == "controller" && !is_static {
            format.arg("--standalone");
        }
        run(format, b"", PATIENCE).ok();
        let log = home.path().join(format!("{role}.log"));
        running.push(Process::start(release.broker(&properties), &log));
    }
    for process in &running {
        process.wait_for_line("Kafka Server started", PATIENCE);
    }
    let client = config(&format!("127.0.0.1:{}", home.port));
    produce(&client, "t", 0, &[Outgoing::value("x".to_owned())]);
    for process in running.iter_mut().rev() {
        process.signal(Signal::KILL);
        process.wait(PATIENCE);
    }
    assert!(home.data().join("t-0").is_dir() && home.data().join("__cluster_metadata-0").is_dir());
    let voters = if is_static {
        format!("controller.quorum.voters=2@127.0.0.1:{}", home.controller_port)
    } else {
        of_both
    };
    let properties = settings(&home, "broker,controller", 2, home.controller_port, &voters);
    refused(&home, &properties, says);
}

#[test]
fn the_directory_of_a_broker_that_followed_a_recorded_controller_is_refused_and_left_as_it_is() {
    broker_without_its_controller(
        "followed-recorded",
        false,
        "It is the directory of a broker, or was formatted anew: use the voter's",
    );
}

#[test]
fn the_directory_of_a_broker_that_followed_a_configured_controller_is_refused_and_left_as_it_is() {
    broker_without_its_controller(
        "followed-configured",
        true,
        "this is not the directory of the controller that led it",
    );
}

#[test]
fn log_directories_whose_metadata_directory_was_left_behind_are_refused_and_served_once_it_is_there()
 {
    let release = Release::to_swap_with();
    let plan = Broker::plan("left-behind").formatted_for(release);
    let apart = plan.home().path().join("metadata");
    let plan = plan.with("metadata.log.dir", apart.display()).run_by(Make::Apache(release));
    let broker = plan.start();
    create_topic(&broker, "t", 1, &[]);
    produce(&broker.client(), "t", 0, &[Outgoing::value("x".to_owned())]);
    let plan = broker.kill();
    let left_behind = plan.home().path().join("left-behind");
    fs::rename(&apart, &left_behind).unwrap();
    let properties = plan.home().path().join("server.properties");
    refused(plan.home(), &properties, "No `meta.properties` found in");
    // As whoever reads that answer may come to do.
    let mut format = Command::new(env!("CARGO_BIN_EXE_blumfeld"));
    format.args(["format", "--standalone", "--ignore-formatted", "-t", CLUSTER_ID, "-c"]);
    format.arg(&properties);
    run(format, b"", PATIENCE).ok();
    refused(
        plan.home(),
        &properties,
        "this is a broker's directory without its controller's. Nothing was changed.",
    );
    fs::remove_dir_all(&apart).unwrap();
    fs::rename(&left_behind, &apart).unwrap();
    let broker = plan.run_by(Make::Blumfeld).start();
    let records = read_all(&broker.client(), "t", 0);
    assert_eq!(records.iter().map(|record| record.text()).collect::<Vec<_>>(), ["x"]);
}
