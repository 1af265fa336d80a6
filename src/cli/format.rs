//! `blumfeld format`: kafka-storage's command, its options and its words.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config::BrokerConfig;
use crate::env::clock::Clock;
use crate::env::random::Random;
use crate::env::{Disk, real};
use crate::format::{FormatRequest, InitialControllers, format, parse_feature};
use crate::raft::DynamicVoter;

/// The options.
#[derive(Args)]
pub(super) struct FormatArgs {
    /// The id of the cluster: any text, as in Apache Kafka; usually 22 characters of URL-safe base64.
    #[arg(short = 't', long, value_name = "ID")]
    cluster_id: String,
    /// The server.properties of the node.
    #[arg(short = 'c', long, value_name = "FILE")]
    config: PathBuf,
    /// This node alone is the quorum, and others may join it.
    #[arg(short = 's', long, conflicts_with_all = ["initial_controllers", "no_initial_controllers"])]
    standalone: bool,
    /// The controllers of the quorum: ID@HOST:PORT:DIRECTORY-ID, ...
    #[arg(short = 'I', long, value_name = "LIST", conflicts_with = "no_initial_controllers")]
    initial_controllers: Option<String>,
    /// The controllers of the quorum are learned from the others.
    #[arg(short = 'N', long)]
    no_initial_controllers: bool,
    /// The release whose features are finalized.
    #[arg(short = 'r', long, value_name = "RELEASE")]
    release_version: Option<String>,
    /// The level of a feature.
    #[arg(short = 'f', long, value_name = "NAME=LEVEL")]
    feature: Vec<String>,
    /// Directories that are formatted already are left as they are.
    #[arg(short = 'g', long)]
    ignore_formatted: bool,
}

/// What a node's configuration says of its directories and its quorum.
pub(super) fn request_of(config: &BrokerConfig, cluster_id: String) -> FormatRequest {
    let none = std::collections::BTreeMap::new();
    let controller = config.advertised_controller_listeners("", &none).into_iter().next();
    FormatRequest {
        cluster_id,
        node_id: config.node.node_id,
        log_dirs: config.log_dirs().iter().map(PathBuf::from).collect(),
        metadata_dir: PathBuf::from(config.metadata_dir()),
        is_controller: config.is_controller(),
        controller_listener: config
            .node
            .controller_listener_names
            .first()
            .map(|name| name.to_uppercase())
            .unwrap_or_default(),
        controller_endpoint: controller.map(|l| (l.host.filter(|host| !host.is_empty()), l.port)),
        has_static_voters: !config.voters.is_empty(),
        initial_controllers: InitialControllers::Unspecified,
        release: None,
        features: Vec::new(),
        ignore_formatted: false,
        records: Vec::new(),
    }
}

/// Formats.
pub(super) fn run(arguments: &FormatArgs) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let mut say = |line: &str| {
        let _ = writeln!(out, "{line}"); // Formatting does not depend on being watched.
    };
    match try_run(arguments, &mut say) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}"); // There is nowhere left to say it.
            ExitCode::FAILURE
        }
    }
}

fn try_run(
    arguments: &FormatArgs,
    say: &mut dyn FnMut(&str),
) -> Result<(), Box<dyn std::error::Error>> {
    let (disk, clock, random) = real::for_commands()?;
    let (disk, clock, random): (&dyn Disk, &dyn Clock, &dyn Random) = (&*disk, &*clock, &*random);
    let settings = super::read_settings(disk, &arguments.config, &[])?;
    let (config, _) = BrokerConfig::start(&settings)?;
    let mut request = request_of(&config, arguments.cluster_id.clone());
    request.initial_controllers = match &arguments.initial_controllers {
        Some(list) => InitialControllers::Listed(DynamicVoter::parse_list(list)?),
        None if arguments.standalone => InitialControllers::Standalone,
        None if arguments.no_initial_controllers => InitialControllers::None,
        None => InitialControllers::Unspecified,
    };
    request.release.clone_from(&arguments.release_version);
    request.features =
        arguments.feature.iter().map(|text| parse_feature(text)).collect::<Result<_, _>>()?;
    request.ignore_formatted = arguments.ignore_formatted;
    format(disk, random, clock.wall(), &request, say)?;
    Ok(())
}
