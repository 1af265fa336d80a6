//! What the quorum emits to its listeners, and the state that they share with it.
//!
//! A listener pulls: it has a position in the log and asks for the next event. So a slow listener
//! holds up neither the quorum nor another listener. Batches stay in memory until every listener
//! has taken them, up to [`RECENT_BYTES_MAX`]; what is older is read from the log, and what the log
//! no longer has comes as a snapshot.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::env::Env;
use crate::log::view::UpTo;
use crate::log::{LogView, ReadError};
use crate::raft::MetadataLogError;
use crate::raft::batch::{self, Content};
use crate::raft::log_scan::record_version_at;
use crate::raft::snapshot::{self, Snapshot, SnapshotId};
use crate::record::batch::{BatchHeader, batches};
use crate::types::{LeaderEpoch, Offset, Timestamp};

/// How many bytes of committed batches are kept in memory for listeners that lag, as encoded.
const RECENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many bytes of batches one event holds; one batch at least.
const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A batch of the metadata log, decoded.
#[derive(Debug, PartialEq)]
pub struct LogBatch {
    /// The offset of its first record.
    pub base_offset: Offset,
    /// The offset of its last record.
    pub last_offset: Offset,
    /// The epoch of the leader that appended it.
    pub epoch: LeaderEpoch,
    /// When it was appended.
    pub appended_at: Timestamp,
    /// Its encoded size in bytes.
    pub size: usize,
    /// Its records.
    pub content: Content,
}

impl LogBatch {
    /// A batch as it was read from the log.
    pub(super) fn new(header: &BatchHeader, content: Content) -> Self {
        Self {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            epoch: header.leader_epoch,
            appended_at: header.max_timestamp,
            size: header.size(),
            content,
        }
    }
}

/// What a listener is told, in this order: everything below an epoch's start before that this node
/// leads it, and that it resigned before anything committed later.
#[derive(Debug)]
pub enum QuorumEvent {
    /// Committed batches, which follow on what the listener was told before.
    Committed(Vec<Arc<LogBatch>>),
    /// The state at the end of this snapshot replaces everything that the listener was told.
    Snapshot(SnapshotId, Box<Snapshot>),
    /// This node leads, and the listener was told everything below the start of the epoch.
    Leading(Leadership),
    /// This node does not lead this epoch any more.
    Resigned(LeaderEpoch),
    /// The quorum driver has ended: nothing follows.
    Ended,
}

/// An epoch that this node leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The offset of its first record.
    pub start: Offset,
}

/// Why a listener that lags cannot catch up.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// The log or a snapshot cannot be read.
    #[error(transparent)]
    Log(#[from] MetadataLogError),
    /// The log cannot be read.
    #[error("the metadata log cannot be read at offset {offset}: {source}")]
    Read {
        /// The position of the listener.
        offset: Offset,
        /// Why.
        source: ReadError,
    },
    /// Neither the log nor a snapshot has what follows.
    #[error("the metadata log has no batch and no snapshot at offset {0}")]
    Missing(Offset),
}

/// The log, for listeners whose position is not in memory any more.
pub(super) struct LogReader {
    pub(super) env: Env,
    pub(super) dir: PathBuf,
    pub(super) views: Arc<ArcSwap<LogView>>,
}

/// What the driver and its listeners share.
pub(super) struct Events {
    state: Mutex<EventState>,
    changed: Notify,
    reader: Option<LogReader>,
}

struct EventState {
    /// Everything below it is committed.
    high_watermark: Offset,
    /// The newest committed batches, without a gap up to the high watermark.
    recent: VecDeque<Arc<LogBatch>>,
    recent_bytes: usize,
    /// The newest snapshot, for listeners below the start of the log.
    snapshot: Option<SnapshotId>,
    leadership: Option<Leadership>,
    /// The position of each listener.
    listeners: BTreeMap<u64, Offset>,
    next_listener: u64,
    has_ended: bool,
}

/// What a look at the state gives a listener.
enum NextEvent {
    Event(QuorumEvent),
    Wait,
    /// Its position is not in memory.
    Read(Option<SnapshotId>),
}

impl Events {
    /// Everything below `high_watermark` is known to be committed.
    pub(super) fn new(high_watermark: Offset, reader: Option<LogReader>) -> Self {
        let state = EventState {
            high_watermark,
            recent: VecDeque::new(),
            recent_bytes: 0,
            snapshot: None,
            leadership: None,
            listeners: BTreeMap::new(),
            next_listener: 0,
            has_ended: false,
        };
        Self { state: Mutex::new(state), changed: Notify::new(), reader }
    }

    /// The end of what is committed.
    pub(super) fn high_watermark(&self) -> Offset {
        self.state.lock().high_watermark
    }

    /// These batches, which follow on what was committed before, are committed.
    pub(super) fn commit(&self, batches: impl IntoIterator<Item = Arc<LogBatch>>) {
        let mut state = self.state.lock();
        let before = state.high_watermark;
        for batch in batches {
            assert!(
                batch.base_offset == state.high_watermark,
                "committed batch at {}, not at the high watermark {}",
                batch.base_offset,
                state.high_watermark
            );
            state.high_watermark = batch.last_offset + 1;
            state.recent_bytes += batch.size;
            state.recent.push_back(batch);
        }
        while state.recent_bytes > RECENT_BYTES_MAX && state.recent.len() > 1 {
            state.drop_oldest();
        }
        if state.high_watermark > before {
            self.wake(state);
        }
    }

    /// This node leads an epoch, or, with `None`, none.
    pub(super) fn set_leadership(&self, leadership: Option<Leadership>) {
        let mut state = self.state.lock();
        state.leadership = leadership;
        self.wake(state);
    }

    /// The epoch that this node leads.
    pub(super) fn leadership(&self) -> Option<Leadership> {
        self.state.lock().leadership
    }

    /// There is a newer snapshot.
    pub(super) fn set_snapshot(&self, id: Option<SnapshotId>) {
        self.state.lock().snapshot = id;
    }

    /// The version of the record at `offset`, if the log can be read.
    pub(super) async fn record_version(&self, offset: Offset) -> Option<i16> {
        let reader = self.reader.as_ref()?;
        let (disk, dir) = (Arc::clone(&reader.env.disk), reader.dir.clone());
        reader.env.threads.run_blocking(move || record_version_at(&*disk, &dir, offset)).await
    }

    /// Nothing follows.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.has_ended = true;
        self.wake(state);
    }

    /// Wakes the listeners once the state is free.
    fn wake(&self, state: parking_lot::MutexGuard<'_, EventState>) {
        drop(state);
        self.changed.notify_waiters();
    }
}

impl EventState {
    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.recent.pop_front() {
            self.recent_bytes -= oldest.size;
        }
    }

    /// The next event for a listener at `position` that was told of `leading`.
    fn next(&self, position: Offset, leading: Option<LeaderEpoch>) -> NextEvent {
        if let Some(epoch) = leading
            && self.leadership.is_none_or(|current| current.epoch != epoch)
        {
            return NextEvent::Event(QuorumEvent::Resigned(epoch));
        }
        if position < self.high_watermark {
            let from = self.recent.partition_point(|batch| batch.last_offset < position);
            let is_kept = self.recent.get(from).is_some_and(|batch| batch.base_offset <= position);
            if !is_kept {
                return NextEvent::Read(self.snapshot);
            }
            let mut bytes = 0;
            let fitting = self.recent.range(from..).take_while(|batch| {
                bytes += batch.size;
                bytes <= EVENT_BYTES_MAX || bytes == batch.size
            });
            return NextEvent::Event(QuorumEvent::Committed(fitting.cloned().collect()));
        }
        match self.leadership {
            Some(leadership) if leading.is_none() && position >= leadership.start => {
                NextEvent::Event(QuorumEvent::Leading(leadership))
            }
            _ if self.has_ended => NextEvent::Event(QuorumEvent::Ended),
            _ => NextEvent::Wait,
        }
    }
}

/// One listener's view of the quorum.
pub struct Subscription {
    events: Arc<Events>,
    id: u64,
    position: Offset,
    /// The epoch that the listener was told to lead.
    leading: Option<LeaderEpoch>,
}

impl Subscription {
    /// A listener that knows everything below `position`.
    pub(super) fn new(events: Arc<Events>, position: Offset) -> Self {
        let mut state = events.state.lock();
        let id = state.next_listener;
        state.next_listener += 1;
        state.listeners.insert(id, position);
        drop(state);
        Self { events, id, position, leading: None }
    }

    /// The next event. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<QuorumEvent, CatchUpError> {
        let events = Arc::clone(&self.events);
        loop {
            let changed = events.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // Registered before the look, so that no change falls between.
            changed.as_mut().enable();
            let next = events.state.lock().next(self.position, self.leading);
            let event = match next {
                NextEvent::Event(event) => event,
                NextEvent::Wait => {
                    changed.await;
                    continue;
                }
                NextEvent::Read(snapshot) => self.read(snapshot).await?,
            };
            self.take(&event);
            return Ok(event);
        }
    }

    /// Moves past an event.
    fn take(&mut self, event: &QuorumEvent) {
        let before = self.position;
        match event {
            QuorumEvent::Committed(batches) => {
                if let Some(last) = batches.last() {
                    self.position = last.last_offset + 1;
                }
            }
            QuorumEvent::Snapshot(id, _) => self.position = id.offset,
            QuorumEvent::Leading(leadership) => self.leading = Some(leadership.epoch),
            QuorumEvent::Resigned(_) => self.leading = None,
            QuorumEvent::Ended => {}
        }
        assert!(self.position >= before, "a listener at {before} goes back to {}", self.position);
        if self.position > before {
            let mut state = self.events.state.lock();
            state.listeners.insert(self.id, self.position);
            let taken_by_all = state.listeners.values().copied().min().unwrap_or(Offset::MAX);
            while state.recent.front().is_some_and(|batch| batch.last_offset < taken_by_all) {
                state.drop_oldest();
            }
        }
    }

    /// Reads what follows from the log, or the newest snapshot where the log begins after it.
    async fn read(&self, snapshot: Option<SnapshotId>) -> Result<QuorumEvent, CatchUpError> {
        let position = self.position;
        let reader = self.events.reader.as_ref().ok_or(CatchUpError::Missing(position))?;
        let view = reader.views.load_full();
        if position < view.log_start_offset {
            let id = snapshot.filter(|id| id.offset > position);
            let id = id.ok_or(CatchUpError::Missing(position))?;
            let (disk, path) = (Arc::clone(&reader.env.disk), reader.dir.join(id.file_name()));
            let read = move || snapshot::read_file(&*disk, &path);
            let snapshot = reader.env.threads.run_blocking(read).await;
            let snapshot = snapshot.map_err(MetadataLogError::from)?;
            return Ok(QuorumEvent::Snapshot(id, Box::new(snapshot)));
        }
        let work = move || read_batches(&view, position);
        let batches = reader.env.threads.run_blocking(work).await?;
        if batches.is_empty() {
            return Err(CatchUpError::Missing(position));
        }
        Ok(QuorumEvent::Committed(batches))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.events.state.lock().listeners.remove(&self.id);
    }
}

/// Committed batches of the log from `position` on. Blocks.
fn read_batches(view: &LogView, position: Offset) -> Result<Vec<Arc<LogBatch>>, CatchUpError> {
    let failed = |source| CatchUpError::Read { offset: position, source };
    let plan = view.read(position, EVENT_BYTES_MAX, UpTo::HighWatermark, true).map_err(failed)?;
    let Some(file) = plan.file else { return Ok(Vec::new()) };
    let mut bytes = vec![0; plan.len];
    let got = file.read_at(&mut bytes, plan.position).map_err(ReadError::from).map_err(failed)?;
    let mut found = Vec::new();
    // The last batch may be cut off.
    for batch in batches(&bytes[..got]).map_while(Result::ok) {
        let content = batch::decode(&batch).map_err(MetadataLogError::from)?;
        let batch = LogBatch::new(batch.header(), content);
        if batch.last_offset >= position && batch.last_offset < view.high_watermark {
            found.push(Arc::new(batch));
        }
    }
    Ok(found)
}
