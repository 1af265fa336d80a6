use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;

use super::{Call, Crash, Fault, SimDisk};
use crate::env::{Disk, File, OpenMode};

/// Enough seeds that each outcome that is asked for turns up.
const SEEDS: u64 = 200;

fn path(text: &str) -> &Path {
    Path::new(text)
}

fn create(disk: &SimDisk, name: &str) -> Arc<dyn File> {
    disk.open(path(name), OpenMode::CreateOrOpen).unwrap()
}

fn write(file: &Arc<dyn File>, bytes: &[u8], position: u64) {
    file.write_at(&[IoSlice::new(bytes)], position).unwrap();
}

fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    (disk as &dyn Disk).read_file(path(name)).unwrap()
}

/// A file `f` in `/`, synced with its name, holding `bytes`.
fn with_synced_file(seed: u64, bytes: &[u8]) -> (SimDisk, Arc<dyn File>) {
    let disk = SimDisk::new(seed);
    let file = create(&disk, "/f");
    write(&file, bytes, 0);
    file.sync_data().unwrap();
    disk.sync_dir(path("/")).unwrap();
    (disk, file)
}

/// All that `/f` may hold after a power loss, over many seeds.
fn outcomes(act: impl Fn(&SimDisk) -> Arc<dyn File>) -> BTreeSet<Option<Vec<u8>>> {
    (0..SEEDS)
        .map(|seed| {
            let disk = SimDisk::new(seed);
            let _file = act(&disk);
            content(&disk.crash(Crash::PowerLoss), "/f")
        })
        .collect()
}

#[test]
fn a_killed_process_leaves_everything_it_was_told_is_done() {
    let (disk, file) = with_synced_file(1, b"synced");
    write(&file, b"not synced", 6);
    disk.rename(path("/f"), path("/g")).unwrap();
    let after = disk.crash(Crash::Kill);
    assert_eq!(content(&after, "/g").unwrap(), b"syncednot synced");
    assert_eq!(content(&after, "/f"), None);
    // It is no safer than before.
    let later = after.crash(Crash::PowerLossKeepingNothing);
    assert_eq!(content(&later, "/f").unwrap(), b"synced");
}

#[test]
fn handles_from_before_a_crash_fail_and_change_nothing() {
    let (disk, file) = with_synced_file(1, b"old");
    let after = disk.crash(Crash::Kill);
    assert!(file.write_at(&[IoSlice::new(b"zombie")], 0).is_err());
    assert!(disk.info(path("/f")).is_err());
    assert_eq!(content(&after, "/f").unwrap(), b"old");
}

#[test]
fn a_file_whose_directory_was_not_synced_may_be_gone_with_all_its_bytes() {
    let seen = outcomes(|disk| {
        let file = create(disk, "/f");
        write(&file, b"bytes", 0);
        file.sync_all().unwrap();
        file
    });
    assert_eq!(seen, BTreeSet::from([None, Some(b"bytes".to_vec())]));
}

#[test]
fn a_later_write_may_survive_an_earlier_one_and_a_hole_reads_as_zeroes() {
    let seen = outcomes(|disk| {
        let file = create(disk, "/f");
        disk.sync_dir(path("/")).unwrap();
        for sector in 0..3u8 {
            write(&file, &[sector + 1; 512], u64::from(sector) * 512);
        }
        file
    });
    let three = |a, b, c| Some([[a; 512], [b; 512], [c; 512]].concat());
    assert!(seen.contains(&three(1, 2, 3)), "all");
    assert!(seen.contains(&Some(Vec::new())), "nothing");
    assert!(seen.contains(&three(0, 2, 3)), "the first lost, the later ones kept");
    assert!(seen.contains(&three(0, 0, 0)), "the length without the bytes");
    assert!(seen.contains(&Some(vec![1; 512])), "a beginning");
}

#[test]
fn a_write_within_one_sector_survives_whole_or_not_at_all() {
    let seen = outcomes(|disk| {
        let file = create(disk, "/f");
        disk.sync_dir(path("/")).unwrap();
        write(&file, &[1; 100], 0);
        file.sync_data().unwrap();
        write(&file, &[2; 100], 0);
        file
    });
    assert_eq!(seen, BTreeSet::from([Some(vec![1; 100]), Some(vec![2; 100])]));
}

#[test]
fn a_cut_file_never_shows_the_bytes_that_were_cut_off() {
    let seen = outcomes(|disk| {
        let file = create(disk, "/f");
        write(&file, &[1; 2048], 0);
        file.sync_data().unwrap();
        disk.sync_dir(path("/")).unwrap();
        file.set_len(700).unwrap();
        write(&file, &[2; 100], 1000);
        file
    });
    for bytes in seen.into_iter().flatten() {
        if bytes.len() == 2048 {
            assert_eq!(bytes, [1; 2048], "the cut did not happen, nor what followed");
        } else {
            assert_eq!(bytes[..700], [1; 700]);
            assert!(bytes[700..].iter().all(|byte| [0, 2].contains(byte)), "{:?}", &bytes[700..]);
        }
    }
}

#[test]
fn a_rename_happens_in_both_directories_or_in_neither() {
    for seed in 0..SEEDS {
        let disk = SimDisk::new(seed);
        disk.create_dir_all(path("/a")).unwrap();
        disk.create_dir_all(path("/b")).unwrap();
        let file = create(&disk, "/a/f");
        file.sync_all().unwrap();
        disk.sync_dir(path("/a")).unwrap();
        disk.sync_dir(path("/")).unwrap();
        disk.rename(path("/a/f"), path("/b/g")).unwrap();
        let after = disk.crash(Crash::PowerLoss);
        let places = ["/a/f", "/b/g"].map(|place| content(&after, place).is_some());
        assert_eq!(places.iter().filter(|there| **there).count(), 1, "seed {seed}: {places:?}");
    }
}

#[test]
fn replacing_a_small_file_leaves_the_old_bytes_or_the_new_ones_wherever_the_power_goes() {
    for cut in 1.. {
        let mut done = false;
        for seed in 0..20 {
            let (disk, _file) = with_synced_file(seed, b"old");
            disk.cut_power_after(cut);
            let replaced = (&disk as &dyn Disk).replace_file(path("/f"), b"new");
            done = !disk.is_without_power();
            let found = content(&disk.crash(Crash::PowerLoss), "/f").unwrap();
            if replaced.is_ok() {
                assert_eq!(found, b"new");
            } else {
                assert!(found == b"old" || found == b"new", "{found:?}");
            }
        }
        if done {
            assert!(cut > 4, "replacing takes five calls");
            break;
        }
    }
}

#[test]
fn a_failed_sync_may_lose_what_the_next_sync_claims_to_have_written() {
    let found: BTreeSet<Vec<u8>> = (0..SEEDS)
        .map(|seed| {
            let (disk, file) = with_synced_file(seed, &[1; 4096]);
            disk.inject(Fault::eio().on(Call::SyncData));
            write(&file, &[2; 4096], 0);
            assert!(file.sync_data().is_err());
            file.sync_data().unwrap();
            assert_eq!(content(&disk, "/f").unwrap(), [2; 4096], "the cache still has it");
            content(&disk.crash(Crash::PowerLossKeepingNothing), "/f").unwrap()
        })
        .collect();
    assert!(found.contains(&vec![1; 4096]) && found.contains(&vec![2; 4096]));
}

#[test]
fn faults_strike_the_call_and_path_they_name() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(path("/orders-0")).unwrap();
    let (orders, users) = (create(&disk, "/orders-0/log"), create(&disk, "/users-0"));
    disk.inject(Fault::eio().on(Call::SyncData).path("orders-0").after(1).times(2));
    users.sync_data().unwrap();
    orders.sync_all().unwrap();
    let results: Vec<_> = (0..4).map(|_| orders.sync_data().is_ok()).collect();
    assert_eq!(results, [true, false, false, true]);
    users.sync_data().unwrap();

    disk.inject(Fault::enospc().on(Call::Write).always());
    let error = users.write_at(&[IoSlice::new(b"x")], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    disk.clear_faults();
    write(&users, b"x", 0);
}

#[test]
fn an_unlinked_file_stays_readable_through_its_handles() {
    let (disk, file) = with_synced_file(1, b"bytes");
    disk.remove_file(path("/f")).unwrap();
    for round in 0..200 {
        drop(create(&disk, "/other"));
        disk.remove_file(path("/other")).unwrap();
        assert_eq!(file.len().unwrap(), 5, "round {round}");
    }
    let mut bytes = [0; 5];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 5);
    assert_eq!(&bytes, b"bytes");
}

#[test]
fn a_full_disk_refuses_what_does_not_fit() {
    let (disk, file) = with_synced_file(1, &[1; 4096]);
    disk.set_capacity(8192);
    let error = file.write_at(&[IoSlice::new(&[2; 8192])], 4096).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    let len = file.len().unwrap();
    assert!((4096..=8192).contains(&len), "{len}");
    write(&file, &[3; 4096], 0);
    disk.set_capacity(1 << 20);
    write(&file, &[2; 8192], 4096);
}

#[test]
fn a_lock_is_held_once_and_dies_with_its_holder() {
    let disk = SimDisk::new(1);
    let lock = disk.try_lock(path("/.lock")).unwrap();
    assert!(lock.is_some());
    assert!(disk.try_lock(path("/.lock")).unwrap().is_none());
    drop(lock);
    let lock = disk.try_lock(path("/.lock")).unwrap();
    assert!(lock.is_some());
    assert!(disk.crash(Crash::Kill).try_lock(path("/.lock")).unwrap().is_some());
}

#[test]
fn errors_are_those_of_a_file_system() {
    let (disk, file) = with_synced_file(1, b"x");
    disk.create_dir_all(path("/d/e")).unwrap();
    let kind = |result: std::io::Result<()>| result.unwrap_err().kind();
    let open = |at, mode| disk.open(path(at), mode).map(drop);
    assert_eq!(kind(open("/none", OpenMode::Read)), ErrorKind::NotFound);
    assert_eq!(kind(open("/none/f", OpenMode::CreateNew)), ErrorKind::NotFound);
    assert_eq!(kind(open("/f", OpenMode::CreateNew)), ErrorKind::AlreadyExists);
    assert_eq!(kind(open("/f/g", OpenMode::CreateNew)), ErrorKind::NotADirectory);
    assert_eq!(kind(open("/d", OpenMode::Write)), ErrorKind::IsADirectory);
    assert_eq!(kind(disk.create_dir_all(path("/f"))), ErrorKind::AlreadyExists);
    assert_eq!(kind(disk.rename(path("/f"), path("/d"))), ErrorKind::IsADirectory);
    assert_eq!(kind(disk.rename(path("/d"), path("/d/e/d"))), ErrorKind::InvalidInput);
    assert_eq!(kind(disk.remove_file(path("/d"))), ErrorKind::IsADirectory);
    assert_eq!(disk.info(path("/none")).unwrap(), None);
    let reader = disk.open(path("/f"), OpenMode::Read).unwrap();
    assert!(reader.write_at(&[IoSlice::new(b"y")], 0).is_err());
    assert_eq!(file.len().unwrap(), 1);
}

#[test]
fn the_same_seed_gives_the_same_outcome_and_the_same_trace() {
    let run = |seed| {
        let (disk, file) = with_synced_file(seed, &[1; 5000]);
        disk.set_cold_reads(3);
        for round in 0..50 {
            write(&file, &[round; 700], u64::from(round) * 450);
            file.is_cached(0, 1);
        }
        let after = disk.crash(Crash::PowerLoss);
        (content(&after, "/f"), after.trace().hash(), after.trace().events())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).1, run(6).1);
}

#[test]
fn a_damaged_byte_is_damaged_for_good() {
    let (disk, file) = with_synced_file(1, b"abc");
    disk.damage(path("/f"), 1, 0x20).unwrap();
    file.sync_all().unwrap();
    assert_eq!(content(&disk.crash(Crash::Kill), "/f").unwrap(), b"aBc");
}
