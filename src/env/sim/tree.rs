//! The names of a simulated file system: the tree as processes see it, the tree as the disk is
//! sure to hold it, and the unsynced changes between the two.
//!
//! A change of names is atomic: a rename happened in both directories or in neither. Of two
//! changes to one name, the later one does not survive a power loss without the earlier one;
//! changes to different names survive in any combination.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

use rustix::io::Errno;

use super::inode::{FileNode, Survival};
use super::rng::Rng;
use crate::types::Timestamp;

/// The number of a file or directory, never used twice.
pub(super) type NodeId = u64;

/// The directory `/`, which is also the working directory.
pub(super) const ROOT: NodeId = 0;

#[derive(Clone)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Clone)]
pub(super) struct DirNode {
    /// What every process sees.
    pub(super) names: BTreeMap<String, NodeId>,
    /// What is on the disk for sure.
    durable: BTreeMap<String, NodeId>,
    pub(super) modified: Timestamp,
}

/// One name and what it leads to afterwards.
#[derive(Clone)]
struct Slot {
    dir: NodeId,
    name: String,
    after: Option<NodeId>,
}

/// One atomic change of one name or two.
#[derive(Clone)]
struct DirectoryChange(Vec<Slot>);

/// A directory and a name in it that need not exist.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) dir: NodeId,
    pub(super) name: String,
}

#[derive(Clone)]
pub(super) struct Tree {
    nodes: BTreeMap<NodeId, Node>,
    next: NodeId,
    pending: Vec<DirectoryChange>,
}

impl Tree {
    pub(super) fn new(now: Timestamp) -> Self {
        let root = DirNode { names: BTreeMap::new(), durable: BTreeMap::new(), modified: now };
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Dir(root))]),
            next: ROOT + 1,
            pending: Vec::new(),
        }
    }

    /// Where `path` leads, if anywhere. `ENOTDIR` when a file stands in its way.
    pub(super) fn find(&self, path: &Path) -> io::Result<Option<NodeId>> {
        let mut at = ROOT;
        for name in components(path) {
            let Node::Dir(dir) = self.node(at) else { return Err(Errno::NOTDIR.into()) };
            match dir.names.get(&name) {
                Some(id) => at = *id,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// Where `path` leads; `ENOENT` if nowhere.
    pub(super) fn resolve(&self, path: &Path) -> io::Result<NodeId> {
        self.find(path)?.ok_or_else(|| Errno::NOENT.into())
    }

    /// The directory that holds the last name of `path`, and that name.
    pub(super) fn place(&self, path: &Path) -> io::Result<Place> {
        let mut names = components(path);
        let name = names.pop().ok_or(Errno::BUSY)?; // The root has no name.
        let mut at = ROOT;
        for name in names {
            at = *self.dir(at)?.names.get(&name).ok_or(Errno::NOENT)?;
        }
        self.dir(at)?;
        Ok(Place { dir: at, name })
    }

    pub(super) fn at(&self, place: &Place) -> Option<NodeId> {
        self.dir(place.dir).ok()?.names.get(&place.name).copied()
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[&id]
    }

    pub(super) fn dir(&self, id: NodeId) -> io::Result<&DirNode> {
        match self.node(id) {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(Errno::NOTDIR.into()),
        }
    }

    pub(super) fn file(&self, id: NodeId) -> io::Result<&FileNode> {
        match self.node(id) {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(Errno::ISDIR.into()),
        }
    }

    pub(super) fn file_mut(&mut self, id: NodeId) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => Err(Errno::ISDIR.into()),
            None => Err(Errno::NOENT.into()),
        }
    }

    pub(super) fn files_mut(&mut self) -> impl Iterator<Item = &mut FileNode> {
        self.nodes.values_mut().filter_map(|node| match node {
            Node::File(file) => Some(file),
            Node::Dir(_) => None,
        })
    }

    /// How many bytes all files occupy.
    pub(super) fn allocated(&self) -> u64 {
        self.nodes
            .values()
            .map(|node| match node {
                Node::File(file) => file.content().allocated(),
                Node::Dir(_) => 0,
            })
            .sum()
    }

    pub(super) fn create_file(&mut self, place: Place, now: Timestamp) -> NodeId {
        self.create(place, Node::File(FileNode::new(now)), now)
    }

    pub(super) fn create_dir(&mut self, place: Place, now: Timestamp) -> NodeId {
        let dir = DirNode { names: BTreeMap::new(), durable: BTreeMap::new(), modified: now };
        self.create(place, Node::Dir(dir), now)
    }

    fn create(&mut self, place: Place, node: Node, now: Timestamp) -> NodeId {
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, node);
        self.change(vec![Slot { dir: place.dir, name: place.name, after: Some(id) }], now);
        id
    }

    pub(super) fn rename(&mut self, from: Place, to: Place, now: Timestamp) -> io::Result<()> {
        let id = self.at(&from).ok_or(Errno::NOENT)?;
        if let Some(replaced) = self.at(&to) {
            match (self.node(id), self.node(replaced)) {
                (Node::File(_), Node::Dir(_)) => return Err(Errno::ISDIR.into()),
                (Node::Dir(_), Node::File(_)) => return Err(Errno::NOTDIR.into()),
                (Node::Dir(_), Node::Dir(there)) if id != replaced && !there.names.is_empty() => {
                    return Err(Errno::NOTEMPTY.into());
                }
                (Node::Dir(_), Node::Dir(_)) | (Node::File(_), Node::File(_)) => {}
            }
            if id == replaced {
                return Ok(());
            }
        }
        if self.is_within(to.dir, id) {
            return Err(Errno::INVAL.into());
        }
        self.change(
            vec![
                Slot { dir: from.dir, name: from.name, after: None },
                Slot { dir: to.dir, name: to.name, after: Some(id) },
            ],
            now,
        );
        Ok(())
    }

    /// Whether `dir` is `ancestor` or lies in it.
    fn is_within(&self, dir: NodeId, ancestor: NodeId) -> bool {
        dir == ancestor
            || match self.nodes.get(&ancestor) {
                Some(Node::Dir(node)) => node.names.values().any(|id| self.is_within(dir, *id)),
                Some(Node::File(_)) | None => false,
            }
    }

    /// Removes what is at `place`: a directory's content name by name, then itself.
    pub(super) fn remove(&mut self, place: Place, now: Timestamp) {
        if let Some(id) = self.at(&place)
            && let Node::Dir(dir) = self.node(id)
        {
            for name in dir.names.keys().cloned().collect::<Vec<_>>() {
                self.remove(Place { dir: id, name }, now);
            }
        }
        self.change(vec![Slot { dir: place.dir, name: place.name, after: None }], now);
    }

    fn change(&mut self, slots: Vec<Slot>, now: Timestamp) {
        for slot in &slots {
            if let Some(Node::Dir(dir)) = self.nodes.get_mut(&slot.dir) {
                slot.apply(&mut dir.names);
                dir.modified = now;
            }
        }
        self.pending.push(DirectoryChange(slots));
    }

    /// How many changes of names are not synced.
    pub(super) fn unsynced(&self) -> usize {
        self.pending.len()
    }

    /// Makes the names in `dir` durable, with the other half of every rename that leads into or
    /// out of it, and what had to happen before.
    pub(super) fn sync_dir(&mut self, dir: NodeId) {
        let mut needed: BTreeSet<(NodeId, String)> = BTreeSet::new();
        let mut kept = vec![true; self.pending.len()];
        for (index, change) in self.pending.iter().enumerate().rev() {
            let touches =
                |slot: &Slot| slot.dir == dir || needed.contains(&(slot.dir, slot.name.clone()));
            if change.0.iter().any(touches) {
                kept[index] = false;
                needed.extend(change.0.iter().map(|slot| (slot.dir, slot.name.clone())));
            }
        }
        let mut kept = kept.into_iter();
        let (rest, durable) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|_| kept.next().unwrap_or(true));
        self.pending = rest;
        self.make_durable(durable);
    }

    pub(super) fn sync_all(&mut self) {
        let changes = std::mem::take(&mut self.pending);
        self.make_durable(changes);
        self.files_mut().for_each(FileNode::sync);
        self.sweep();
    }

    fn make_durable(&mut self, changes: Vec<DirectoryChange>) {
        for slot in changes.into_iter().flat_map(|change| change.0) {
            if let Some(Node::Dir(dir)) = self.nodes.get_mut(&slot.dir) {
                slot.apply(&mut dir.durable);
            }
        }
    }

    /// Forgets what nothing leads to any more: no name that is or may come back, no open handle.
    pub(super) fn sweep(&mut self) {
        let mut roots = vec![ROOT];
        roots.extend(self.pending.iter().flat_map(|change| &change.0).filter_map(|s| s.after));
        roots.extend(self.nodes.iter().filter_map(|(id, node)| match node {
            Node::File(file) if file.handles > 0 => Some(*id),
            Node::File(_) | Node::Dir(_) => None,
        }));
        let mut reached = BTreeSet::new();
        while let Some(id) = roots.pop() {
            if reached.insert(id)
                && let Node::Dir(dir) = self.node(id)
            {
                roots.extend(dir.names.values().chain(dir.durable.values()));
            }
        }
        self.nodes.retain(|id, _| reached.contains(id));
    }

    /// The tree after `kill -9`: all as it was, but no handle is open.
    pub(super) fn after_kill(mut self) -> Self {
        for file in self.files_mut() {
            file.handles = 0;
            file.locked = false;
        }
        self.sweep();
        self
    }

    /// The tree after a power loss.
    pub(super) fn after_power_loss(mut self, survival: Survival, rng: &mut Rng) -> Self {
        let changes = std::mem::take(&mut self.pending);
        let survivors = match survival {
            Survival::Nothing => Vec::new(),
            Survival::Seeded => choose(changes, rng),
        };
        self.make_durable(survivors);
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => *file = file.after_power_loss(survival, rng),
                Node::Dir(dir) => dir.names = dir.durable.clone(),
            }
        }
        self.sweep();
        self
    }
}

impl Slot {
    fn apply(&self, names: &mut BTreeMap<String, NodeId>) {
        match self.after {
            Some(id) => names.insert(self.name.clone(), id),
            None => names.remove(&self.name),
        };
    }
}

/// Which of the unsynced changes survive.
fn choose(mut changes: Vec<DirectoryChange>, rng: &mut Rng) -> Vec<DirectoryChange> {
    match rng.below(4) {
        0 => Vec::new(),
        1 => changes,
        2 => {
            changes.truncate(rng.below(changes.len() as u64 + 1) as usize);
            changes
        }
        _ => {
            // A name whose change was lost loses its later changes too.
            let mut lost: BTreeSet<(NodeId, String)> = BTreeSet::new();
            changes.retain(|change| {
                let places = || change.0.iter().map(|slot| (slot.dir, slot.name.clone()));
                let survives = rng.coin() && !places().any(|place| lost.contains(&place));
                if !survives {
                    lost.extend(places());
                }
                survives
            });
            changes
        }
    }
}

/// The names on the way from the root, `.` and `..` resolved by their text.
pub(super) fn components(path: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
            Component::ParentDir => drop(names.pop()),
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
        }
    }
    names
}
