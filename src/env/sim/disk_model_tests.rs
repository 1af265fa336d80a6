//! The simulated disk against a model of what a power loss may leave, over random histories.
//!
//! The model keeps everything that each name and each file was since its last sync. What comes
//! back must be made of that, and must be exactly the synced state where nothing came after it.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use super::{Crash, Rng, SimDisk};
use crate::env::{Disk, File, OpenMode};

const HISTORIES: u64 = 3000;
const STEPS_MAX: u64 = 40;
const DIRS: [&str; 2] = ["/a", "/b"];
const NAMES: [&str; 3] = ["x", "y", "z"];
const FILE_LEN_MAX: u64 = 3000;

/// A file's number; names come and go.
type Id = usize;

struct ModelFile {
    handle: Arc<dyn File>,
    /// What it held since the last sync; the first is synced.
    versions: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Model {
    files: Vec<ModelFile>,
    /// What each name led to since its directory was synced; the first is synced.
    names: BTreeMap<String, Vec<Option<Id>>>,
}

impl Model {
    fn now(&self, name: &str) -> Option<Id> {
        *self.names[name].last().unwrap()
    }

    fn change(&mut self, name: &str, to: Option<Id>) {
        self.names.get_mut(name).unwrap().push(to);
    }

    /// Forgets what a name was before: it is synced.
    fn settle(&mut self, name: &str) {
        let versions = self.names.get_mut(name).unwrap();
        versions.drain(..versions.len() - 1);
    }
}

/// One random step, in the disk and in the model.
fn step(disk: &SimDisk, model: &mut Model, rng: &mut Rng) {
    let dir = DIRS[rng.below(2) as usize];
    let name = format!("{dir}/{}", NAMES[rng.below(3) as usize]);
    let path = Path::new(&name);
    let Some(id) = model.now(&name) else {
        let handle = disk.open(path, OpenMode::CreateNew).unwrap();
        model.files.push(ModelFile { handle, versions: vec![Vec::new()] });
        return model.change(&name, Some(model.files.len() - 1));
    };
    let file = &mut model.files[id];
    let mut content = file.versions.last().unwrap().clone();
    match rng.below(12) {
        0..=4 => {
            let at = if rng.coin() { content.len() as u64 } else { rng.below(FILE_LEN_MAX / 2) };
            let mut bytes = vec![0; 1 + rng.below(FILE_LEN_MAX / 2) as usize];
            rng.fill(&mut bytes);
            file.handle.write_at(&[IoSlice::new(&bytes)], at).unwrap();
            let at = at as usize;
            content.resize(content.len().max(at + bytes.len()), 0);
            content[at..at + bytes.len()].copy_from_slice(&bytes);
            file.versions.push(content);
        }
        5 => {
            let len = rng.below(FILE_LEN_MAX);
            file.handle.set_len(len).unwrap();
            content.resize(len as usize, 0);
            file.versions.push(content);
        }
        6 | 7 => {
            file.handle.sync_data().unwrap();
            file.versions = vec![content];
        }
        8 => {
            disk.remove_file(path).unwrap();
            model.change(&name, None);
        }
        9 => {
            let to = format!("{}/{}", DIRS[rng.below(2) as usize], NAMES[rng.below(3) as usize]);
            if to != name {
                disk.rename(path, Path::new(&to)).unwrap();
                model.change(&name, None);
                model.change(&to, Some(id));
            }
        }
        _ => {
            disk.sync_dir(Path::new(dir)).unwrap();
            for name in NAMES {
                model.settle(&format!("{dir}/{name}"));
            }
        }
    }
}

/// Whether `found` can be what is left of `file`.
fn is_remnant(found: &[u8], file: &ModelFile) -> bool {
    let versions = &file.versions;
    if let [synced] = &versions[..] {
        return found == synced;
    }
    let lens = || versions.iter().map(Vec::len);
    let fits = (lens().min().unwrap()..=lens().max().unwrap()).contains(&found.len());
    fits && found.iter().enumerate().all(|(at, byte)| {
        // A hole, where the length arrived and the bytes did not, shows only what is unsynced.
        let hole = *byte == 0 && versions.iter().any(|version| at >= version.len());
        hole || versions.iter().any(|version| version.get(at) == Some(byte))
    })
}

fn history(seed: u64) -> (SimDisk, Model) {
    let disk = SimDisk::new(seed);
    let mut model = Model::default();
    for dir in DIRS {
        disk.create_dir_all(Path::new(dir)).unwrap();
        for name in NAMES {
            model.names.insert(format!("{dir}/{name}"), vec![None]);
        }
    }
    disk.sync_dir(Path::new("/")).unwrap();
    let mut rng = Rng::new(seed).fork("history");
    for _ in 0..=rng.below(STEPS_MAX) {
        step(&disk, &mut model, &mut rng);
    }
    (disk, model)
}

#[test]
fn what_was_synced_survives_every_power_loss_and_the_rest_is_made_of_what_was_written() {
    for seed in 0..HISTORIES {
        for mode in [Crash::PowerLoss, Crash::PowerLossKeepingNothing] {
            let (disk, model) = history(seed);
            let after = disk.crash(mode);
            for (name, versions) in &model.names {
                let found = (&after as &dyn Disk).read_file(Path::new(name)).unwrap();
                let fits = versions.iter().any(|version| match (version, &found) {
                    (None, None) => true,
                    (Some(id), Some(bytes)) => is_remnant(bytes, &model.files[*id]),
                    (None, Some(_)) | (Some(_), None) => false,
                });
                assert!(fits, "seed {seed}, {mode:?}: {name} is none of what it was");
            }
        }
    }
}

#[test]
fn a_kill_leaves_every_name_and_every_byte() {
    for seed in 0..HISTORIES / 10 {
        let (disk, model) = history(seed);
        let after = disk.crash(Crash::Kill);
        for name in model.names.keys() {
            let found = (&after as &dyn Disk).read_file(Path::new(name)).unwrap();
            let expected = model.now(name).map(|id| model.files[id].versions.last().unwrap());
            assert_eq!(found.as_ref(), expected, "seed {seed}: {name}");
        }
    }
}

#[test]
fn a_disk_that_is_killed_and_then_loses_power_has_kept_its_promises() {
    for seed in 0..HISTORIES / 10 {
        let (disk, model) = history(seed);
        let after = disk.crash(Crash::Kill).crash(Crash::PowerLoss);
        for (name, versions) in &model.names {
            let [Some(id)] = versions[..] else { continue };
            let found = (&after as &dyn Disk).read_file(Path::new(name)).unwrap();
            let bytes = found.expect("a synced name");
            assert!(is_remnant(&bytes, &model.files[id]), "seed {seed}: {name}");
        }
    }
}
