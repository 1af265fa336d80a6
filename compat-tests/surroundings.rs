//! The process among its surroundings: broken output, signals, system calls that are missing, small limits, and what
//! the request log tells of it all.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::client::{Outgoing, Record, consumer, create_topic, produce, read_all};
use crate::harness::kafka::Release;
use crate::harness::process::{Process, run};
use crate::harness::{Broker, Make, PATIENCE, Plan, soon};

/// Lets the broker log: a client that speaks HTTP is a warning.
fn speak_http(address: &str) {
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").ok();
    stream.read_to_end(&mut Vec::new()).ok();
}

/// Large records, which are sent by sendfile, and small ones.
fn records() -> Vec<Outgoing> {
    let sizes = (0..40).map(|n| if n % 4 == 0 { 50_000 } else { 50 });
    sizes.enumerate().map(|(n, size)| Outgoing::value(format!("{n:0size$}"))).collect()
}

fn texts(records: &[Record]) -> Vec<&str> {
    records.iter().map(Record::text).collect()
}

/// A broker that takes and gives records, and has them after a restart without what is in its way here.
fn serves_and_keeps(broker: Broker, plain: &Plan) {
    create_topic(&broker, "t", 1, &[]);
    produce(&broker.client(), "t", 0, &records());
    let before = read_all(&broker.client(), "t", 0);
    assert_eq!(before.len(), 40);
    broker.stop();
    let broker = plain.start();
    assert_eq!(texts(&read_all(&broker.client(), "t", 0)), texts(&before));
    broker.stop();
}

#[test]
fn a_broker_outlives_the_readers_of_its_output() {
    let plan = Broker::plan("output-gone").run_by(Make::Blumfeld);
    let address = format!("127.0.0.1:{}", plan.home().port);
    let mut command = plan.prepare();
    let (mut reader, writer) = std::io::pipe().unwrap();
    command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("Kafka Server started") {
        let mut part = [0; 4096];
        let len = reader.read(&mut part).unwrap();
        assert!(len > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&part[..len]);
    }
    drop(reader);
    let client = crate::harness::client::config(&address);
    for _ in 0..3 {
        speak_http(&address);
        produce(&client, "t", 0, &[Outgoing::value("x".to_owned())]);
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(plan.home().data().join(".kafka_cleanshutdown").is_file());
}

#[test]
fn a_broker_serves_with_output_that_is_full_closed_or_never_read() {
    for (name, redirections, log) in [
        ("full", ">/dev/full 2>&1", "info"),
        ("closed", ">&- 2>&- <&-", "info"),
        // The pipe is held open by a process that does not read.
        ("unread", "> >(exec sleep 100) 2>&1", "blumfeld=trace,debug"),
    ] {
        let script = format!("exec \"$0\" \"$@\" {redirections}");
        let plan = Broker::plan(&format!("output-{name}")).run_by(Make::Blumfeld);
        let address = format!("127.0.0.1:{}", plan.home().port);
        let wrapped = plan.through(&["bash", "-c", &script]).with_variable("BLUMFELD_LOG", log);
        let output = wrapped.home().path().join("broker.log");
        let mut process = Process::start(wrapped.prepare(), &output);
        soon(true, || TcpStream::connect(&address).is_ok());
        let client = crate::harness::client::config(&address);
        for _ in 0..3 {
            speak_http(&address);
            produce(&client, "t", 0, &records());
        }
        assert_eq!(read_all(&client, "t", 0).len(), 120, "{name}");
        if name == "closed" {
            for number in 0..3 {
                let link = format!("/proc/{}/fd/{number}", process.pid());
                let file = std::fs::read_link(link).unwrap();
                assert_eq!(file.to_str(), Some("/dev/null"), "no file of the broker has {number}");
            }
        }
        process.signal(Signal::TERM);
        assert_eq!(process.wait(PATIENCE).code(), Some(0), "{name}");
    }
}

#[test]
fn the_last_lines_before_an_orderly_exit_come_out() {
    let plan = Broker::plan("last-lines").run_by(Make::Blumfeld);
    let mut broker = plan.start();
    broker.process().signal(Signal::TERM);
    broker.process().wait_for_line("stopped", PATIENCE);
}

#[test]
fn check_and_dump_log_end_quietly_with_their_reader() {
    let broker = Broker::plan("reader-ends").run_by(Make::Blumfeld).start();
    create_topic(&broker, "t", 1, &[]);
    for _ in 0..30 {
        produce(&broker.client(), "t", 0, &records());
    }
    let plan = broker.stop();
    let data = plan.home().data();
    let binary = env!("CARGO_BIN_EXE_blumfeld");
    let log = data.join("t-0/00000000000000000000.log");
    for command in [
        format!("{binary} dump-log --print-data-log --files {}", log.display()),
        format!("{binary} check {}", data.display()),
    ] {
        let mut bash = Command::new("bash");
        bash.args(["-c", &format!("{command} | true; echo ${{PIPESTATUS[0]}}")]);
        let ran = run(bash, b"", PATIENCE);
        assert!(["141", "0"].contains(&ran.stdout.trim()), "{ran}");
        assert_eq!(ran.stderr, "", "{command}");
    }
}

#[test]
fn hup_int_and_term_stop_in_order() {
    for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
        let plan = Broker::plan("signals").run_by(Make::Blumfeld);
        let plan = plan.through(&["env", "--default-signal=HUP,INT"]);
        let mut broker = plan.start();
        broker.process().signal(signal);
        assert_eq!(broker.process().wait(PATIENCE).code(), Some(0), "{signal:?}");
        assert!(plan.home().data().join(".kafka_cleanshutdown").is_file(), "{signal:?}");
    }
}

#[test]
fn signals_that_are_ignored_at_startup_stay_ignored() {
    let plan = Broker::plan("nohup").run_by(Make::Blumfeld);
    let mut broker = plan.through(&["env", "--ignore-signal=HUP,INT"]).start();
    broker.process().signal(Signal::HUP);
    broker.process().signal(Signal::INT);
    broker.process().signal(Signal::QUIT);
    broker.process().wait_for_line("SIGQUIT is ignored", PATIENCE);
    produce(&broker.client(), "t", 0, &[Outgoing::value("x".to_owned())]);
    broker.stop();
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let plan = Broker::plan("second-signal").run_by(Make::Blumfeld);
    let mut broker = plan.through(&["env", "--default-signal=HUP,INT"]).start();
    // A client that reads no answers holds up the orderly stop.
    let mut stuck = TcpStream::connect(broker.address()).unwrap();
    stuck.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let api_versions = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let many = api_versions.repeat(10_000);
    while stuck.write_all(&many).is_ok() {}
    broker.process().signal(Signal::TERM);
    broker.process().wait_for_line("stopping", PATIENCE);
    // The same request, delivered twice.
    broker.process().signal(Signal::TERM);
    std::thread::park_timeout(Duration::from_millis(500));
    broker.process().signal(Signal::INT);
    broker.process().wait_for_line("second signal: ending at once", PATIENCE);
    assert_eq!(broker.process().wait(PATIENCE).code(), Some(130));
}

#[test]
fn a_missing_system_call_is_done_without() {
    for (call, error, logged) in [
        ("sendfile", "EINVAL", "call=\"sendfile\""),
        ("sendfile", "EPERM", "call=\"sendfile\""),
        ("preadv2", "EOPNOTSUPP", "call=\"preadv2"),
        ("fdatasync", "ENOSYS", ""),
        ("syncfs", "ENOSYS", "call=\"syncfs\""),
        ("getrandom", "ENOSYS", "getrandom is refused"),
        ("prlimit64", "EPERM", ""),
        ("setsockopt", "EPERM", "call=\"setsockopt TCP_NODELAY\""),
        ("prctl", "EPERM", ""),
        ("statx", "ENOSYS", ""),
    ] {
        let plain = Broker::plan(&format!("without-{call}")).run_by(Make::Blumfeld);
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={error}"));
        let nowhere = ["strace", "-D", "-f", "-qq", "-o", "/dev/null"];
        let wrapper = [&nowhere[..], &["-e", &trace, "-e", &inject]].concat();
        let mut broker = plain.clone().through(&wrapper).start();
        serves_and_keeps_with(call, &mut broker);
        let printed = broker.process().printed();
        assert!(printed.contains(logged), "{call} {error}: {printed}");
        let logged_once = logged.is_empty() || printed.matches(logged).count() == 1;
        assert!(logged_once, "{call} {error}: {printed}");
        serves_and_keeps(broker, &plain);
    }
}

/// A first Fetch, so that what is logged of it is there to see.
fn serves_and_keeps_with(topic: &str, broker: &mut Broker) {
    create_topic(broker, topic, 1, &[]);
    produce(&broker.client(), topic, 0, &records());
    assert_eq!(read_all(&broker.client(), topic, 0).len(), 40);
}

#[test]
fn without_what_it_needs_a_broker_does_not_start_and_names_it() {
    for (call, error, reason) in [
        ("epoll_create1", "ENOSYS", "Function not implemented"),
        ("fsync", "EIO", "Input/output error"),
    ] {
        let plan = Broker::plan(&format!("refused-{call}")).run_by(Make::Blumfeld);
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={error}"));
        let nowhere = ["strace", "-D", "-f", "-qq", "-o", "/dev/null"];
        let ran = run(
            plan.through(&[&nowhere[..], &["-e", &trace, "-e", &inject]].concat()).prepare(),
            b"",
            PATIENCE,
        );
        assert_eq!(ran.code(), Some(1), "{ran}");
        assert!(ran.stdout.contains(reason), "{ran}");
    }
}

#[test]
fn with_64_open_files_a_broker_serves_some_clients_and_many_partitions() {
    let plain = Broker::plan("64-files").run_by(Make::Blumfeld);
    let broker = plain.clone().through(&["sh", "-c", "ulimit -n 64; exec \"$0\" \"$@\""]).start();
    create_topic(&broker, "many", 40, &[]);
    for partition in 0..40 {
        produce(&broker.client(), "many", partition, &[Outgoing::value(format!("{partition}"))]);
    }
    // More connections than there may be: the first go on to be served.
    let idle: Vec<_> = (0..80).map(|_| TcpStream::connect(broker.address()).unwrap()).collect();
    drop(idle);
    soon(1, || read_all(&broker.client(), "many", 39).len());
    serves_and_keeps(broker, &plain);
    let broker = plain.start();
    for partition in 0..40 {
        let records = read_all(&broker.client(), "many", partition);
        assert_eq!(texts(&records), [format!("{partition}")]);
    }
}

#[test]
fn limits_that_are_too_low_refuse_the_start_with_what_is_needed() {
    for (limit, says) in [
        ("ulimit -n 40", "the limit of open files is 40, and at least "),
        ("ulimit -v 100000", "the limit of memory leaves 0 MiB for data"),
    ] {
        let plan = Broker::plan("low-limits").run_by(Make::Blumfeld);
        let script = format!("{limit}; exec \"$0\" \"$@\"");
        let ran = run(plan.through(&["sh", "-c", &script]).prepare(), b"", PATIENCE);
        assert_eq!(ran.code(), Some(1), "{ran}");
        assert!(ran.stdout.contains(says), "{ran}");
    }
}

#[test]
fn any_cluster_id_of_apache_kafka_is_served_here_and_the_reverse() {
    let apache = Make::Apache(Release::V4_4_0);
    for (id, first, then) in [
        ("MkU3OEVBNTcwNTJENDM2Qk", apache, Make::Blumfeld),
        ("MkU3OEVBNTcwNTJENDM2Qk", Make::Blumfeld, apache),
        (" a cluster = of : mine", apache, Make::Blumfeld),
        (" a cluster = of : mine", Make::Blumfeld, apache),
    ] {
        let plan = Broker::plan("cluster-id").with_cluster_id(id);
        for make in [first, then] {
            let broker = plan.clone().run_by(make).start();
            let seen = consumer(&broker.client()).client().fetch_cluster_id(PATIENCE);
            assert_eq!(seen.as_deref(), Some(id), "{make:?}");
            broker.stop();
        }
    }
}

#[test]
fn the_request_log_tells_why_a_client_fails() {
    let plan = Broker::plan("request-log")
        .run_by(Make::Blumfeld)
        .with("auto.create.topics.enable", "false")
        .with_variable("BLUMFELD_LOG", "info,blumfeld::request=debug");
    let mut broker = plan.start();
    create_topic(&broker, "t", 1, &[]);
    let mut client = broker.client();
    client.set("client.id", "order service");
    produce(&client, "t", 0, &records());
    let line = |broker: &mut Broker, api: &str| {
        broker
            .process()
            .wait_for_line(&format!("client_id=\"order service\" api=\"{api}\""), PATIENCE)
    };
    let produced = line(&mut broker, "Produce");
    for field in ["correlation_id=", "listener=\"PLAINTEXT\"", "peer=127.0.0.1:", "version="] {
        assert!(produced.contains(field), "{produced}");
    }
    for field in ["request_bytes=", "response_bytes=", "queue_ms=", "local_ms=", "wait_ms="] {
        assert!(produced.contains(field), "{produced}");
    }
    assert!(produced.contains("errors=\"NONE\"") && produced.contains("outcome=\"answered\""));
    let _ = consumer(&client).fetch_metadata(Some("missing"), PATIENCE);
    broker.process().wait_for_line("UNKNOWN_TOPIC_OR_PARTITION(3)", PATIENCE);
    speak_http(&broker.address());
    broker.process().wait_for_line("the client speaks HTTP", PATIENCE);
    broker.stop();
}

#[test]
fn the_request_log_of_named_clients_has_no_others() {
    let plan = Broker::plan("request-log-named")
        .run_by(Make::Blumfeld)
        .with_variable("BLUMFELD_LOG", "warn,blumfeld::cli=info")
        .with_variable("BLUMFELD_REQUEST_LOG", "order*");
    let mut broker = plan.start();
    for id in ["payments", "orders"] {
        let mut client = broker.client();
        client.set("client.id", id);
        produce(&client, "t", 0, &[Outgoing::value("x".to_owned())]);
    }
    broker.process().wait_for_line("client_id=\"orders\" api=\"Produce\"", PATIENCE);
    assert!(!broker.process().printed().contains("client_id=\"payments\""));
    broker.stop();
}
