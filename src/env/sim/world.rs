//! A simulated world: machines with disks, on one network, under one seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::clock::{SimClock, WorldClock};
use super::disk::{Crash, SimDisk};
use super::net::{HostId, Network, ProcessId, SimNet};
use super::rng::{Rng, SimRandom};
use super::threads::{Panics, SimThreads};
use super::trace::Trace;
use crate::env::{Env, LogLevels};

/// A world. Must be made and used within one current-thread tokio runtime whose time is paused:
/// its clock is the world's, and it moves when every task waits.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct World {
    inner: Arc<WorldInner>,
}

struct WorldInner {
    rng: Rng,
    clock: WorldClock,
    trace: Arc<Trace>,
    network: Arc<Network>,
    panics: Arc<Panics>,
    processes: AtomicU64,
    blocking_ms_max: AtomicU64,
}

/// A machine of a world: a name, an address, a disk, a wall clock, and at most one process of
/// interest. Cheap to clone.
#[derive(Clone)]
pub struct Machine {
    inner: Arc<MachineInner>,
}

struct MachineInner {
    world: World,
    name: String,
    host: HostId,
    /// How far its wall clock is ahead of the world's, in milliseconds.
    skew: Arc<AtomicI64>,
    state: Mutex<MachineState>,
}

struct MachineState {
    disk: SimDisk,
    process: Option<(ProcessId, Arc<SimThreads>)>,
}

impl World {
    /// The world of `seed`.
    pub fn new(seed: u64) -> Self {
        let (rng, clock) = (Rng::new(seed), WorldClock::new());
        let trace = Trace::new(move || clock.now());
        trace.note(format_args!("seed {seed}"));
        let network = Network::new(clock, Arc::clone(&trace), rng.fork("net"));
        let inner = WorldInner {
            rng,
            clock,
            trace,
            network,
            panics: Arc::default(),
            processes: AtomicU64::new(0),
            blocking_ms_max: AtomicU64::new(1),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A generator for the test's own choices, which depends on the seed and `label` alone.
    pub fn rng(&self, label: &str) -> Rng {
        self.inner.rng.fork(label)
    }

    /// Everything that happened.
    pub fn trace(&self) -> &Arc<Trace> {
        &self.inner.trace
    }

    /// Adds a machine with an empty disk. Others reach it as `name`.
    pub fn machine(&self, name: &str) -> Machine {
        let skew = Arc::new(AtomicI64::new(0));
        let wall = self.inner.clock.wall(Arc::clone(&skew));
        let rng = self.inner.rng.fork(name);
        let disk = SimDisk::create(name, &rng, Arc::clone(self.trace()), wall);
        let inner = MachineInner {
            world: self.clone(),
            name: name.to_owned(),
            host: self.inner.network.add_host(name),
            skew,
            state: Mutex::new(MachineState { disk, process: None }),
        };
        Machine { inner: Arc::new(inner) }
    }

    /// Lets bytes travel for up to so long; 1 ms at first.
    pub fn set_latency(&self, milliseconds_max: u64) {
        self.inner.network.set_latency(milliseconds_max);
    }

    /// Lets the blocking calls of processes that start from now on take up to so long (half of
    /// them run at once); 1 ms at first. 0: all run at once.
    pub fn set_blocking_time(&self, milliseconds_max: u64) {
        self.inner.blocking_ms_max.store(milliseconds_max, Ordering::Relaxed);
    }

    /// From now on nothing gets through between two machines. What is sent waits.
    pub fn cut(&self, a: &Machine, b: &Machine) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// From now on nothing gets from `from` to `to`.
    pub fn cut_one_way(&self, from: &Machine, to: &Machine) {
        self.inner.network.cut(from.inner.host, to.inner.host);
    }

    /// Everything gets through again between two machines, what waited first.
    pub fn heal(&self, a: &Machine, b: &Machine) {
        self.inner.network.heal(a.inner.host, b.inner.host);
        self.inner.network.heal(b.inner.host, a.inner.host);
    }

    /// Everything gets through again everywhere.
    pub fn heal_all(&self) {
        self.inner.network.heal_all();
    }

    /// Breaks all connections between two machines, as a router does that forgot them. What was
    /// under way is lost.
    pub fn reset_connections(&self, a: &Machine, b: &Machine) {
        self.inner.network.reset(a.inner.host, b.inner.host);
    }

    /// The panics of tasks so far, which the runtime would swallow. A test ends by asserting that
    /// there are none.
    pub fn panics(&self) -> Vec<String> {
        self.inner.panics.all()
    }
}

impl Machine {
    /// The name that others reach it by.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Starts a process and gives its way to the outside. Powers the machine on if need be.
    ///
    /// What the process does must run in tasks given to `env.threads`, from the first one on: only
    /// these end when it crashes.
    ///
    /// # Panics
    /// If the machine's process is still running.
    pub fn start(&self) -> Env {
        let MachineInner { world, name, host, skew, state } = &*self.inner;
        let World { inner: shared } = world;
        let process = shared.processes.fetch_add(1, Ordering::Relaxed) + 1;
        shared.trace.note(format_args!("{name} start process {process}"));
        shared.network.power_on(*host);
        let rng = shared.rng.fork(name).fork(&process.to_string());
        let threads = Arc::new(SimThreads::new(
            name.clone(),
            rng.fork("threads"),
            shared.blocking_ms_max.load(Ordering::Relaxed),
            Arc::clone(&shared.panics),
        ));
        let mut state = state.lock();
        assert!(state.process.is_none(), "the process on {name} is still running");
        state.process = Some((process, Arc::clone(&threads)));
        Env {
            clock: Arc::new(SimClock::new(shared.clock.wall(Arc::clone(skew)))),
            disk: Arc::new(state.disk.clone()),
            net: Arc::new(SimNet { network: Arc::clone(&shared.network), host: *host, process }),
            log_levels: Arc::new(LogLevels::detached()),
            random: Arc::new(SimRandom::new(rng.fork("random"))),
            threads,
        }
    }

    /// Ends the process, and by `mode` the machine's power with it. A machine without a process
    /// can lose its power too.
    pub fn crash(&self, mode: Crash) {
        let MachineInner { world, host, state, .. } = &*self.inner;
        let mut state = state.lock();
        if let Some((process, threads)) = state.process.take() {
            threads.end();
            world.inner.network.end_process(*host, process, mode != Crash::Kill);
        }
        state.disk = state.disk.crash(mode);
    }

    /// Forgets the process that has ended by itself, in good order, so that another can start.
    /// Tasks that it left behind end.
    pub fn stopped(&self) {
        self.crash(Crash::Kill);
    }

    /// The disk as it is now, for faults and for looking at files. A crash makes it another one.
    pub fn disk(&self) -> SimDisk {
        self.inner.state.lock().disk.clone()
    }

    /// Makes its next accepts fail for want of file descriptors.
    pub fn fail_accepts(&self, count: u64) {
        self.inner.world.inner.network.fail_accepts(self.inner.host, count);
    }

    /// Moves its wall clock by so many milliseconds, forward or back.
    pub fn jump_wall_clock(&self, milliseconds: i64) {
        self.inner.skew.fetch_add(milliseconds, Ordering::Relaxed);
    }
}
