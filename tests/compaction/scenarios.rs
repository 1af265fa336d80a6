//! What went wrong in the history of Kafka's cleaner, one story each: C2 to C9.

use blumfeld::log::{Marker, Verification};

use super::*;

/// A log that is written by hand, on a clock of its own.
struct Story {
    disk: SimDisk,
    log: Log,
    sequences: BTreeMap<i64, i32>,
}

impl Story {
    fn new() -> Self {
        let disk = SimDisk::new(1);
        let log = open(&disk);
        Self { disk, log, sequences: BTreeMap::new() }
    }

    /// Appends one batch of a producer; `None` is a producer without an id.
    fn write(&mut self, producer: Option<i64>, in_transaction: bool, records: &[(&str, &str)]) {
        let mut builder = BatchBuilder::new(0);
        if let Some(producer) = producer {
            let sequence = self.sequences.entry(producer).or_default();
            builder = builder.producer(producer, 0, *sequence);
            *sequence += records.len() as i32;
        }
        if in_transaction {
            builder = builder.transactional();
        }
        for (key, value) in records {
            // Nothing in quotes is a tombstone.
            let value = Some(value.as_bytes()).filter(|value| !value.is_empty());
            builder.push(Timestamp(self.log.end()), Some(key.as_bytes()), value);
        }
        let mut bytes = builder.build().unwrap();
        let header = *BatchView::first(&bytes).unwrap().header();
        let verified = Verification::NotNeeded;
        self.log.append_in_transaction(&mut bytes, &header, verified, 0, Timestamp(0)).unwrap();
        self.settle();
    }

    fn end(&mut self, producer_id: i64, committed: bool) {
        let marker = Marker {
            producer_id,
            producer_epoch: 0,
            coordinator_epoch: 0,
            committed,
            transaction_version: 1,
        };
        self.log.append_marker(&marker, 0, Timestamp(0)).unwrap();
        self.settle();
    }

    fn settle(&mut self) {
        self.log.set_high_watermark(self.log.end());
        self.log.publish();
    }

    fn roll(&mut self) {
        self.log.roll(Timestamp(0)).unwrap();
        let job = self.log.begin_flush(FlushKind::RecoveryPoint).unwrap();
        let synced = job.sync(&self.disk);
        self.log.finish_flush(&job, synced, Timestamp(0));
        self.log.publish();
    }

    fn clean(&mut self, now: i64) {
        clean(&mut self.log, 0, BUDGET, now).unwrap();
    }

    /// What a read_committed consumer is given, as text.
    fn read(&self) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let records = read(&self.log).into_iter();
        records.map(|(_, key, value, _)| (text(&key), text(&value.unwrap_or_default()))).collect()
    }

    /// Base offset, count of records, and whether it is a control batch, of every batch there is.
    fn batches(&self) -> Vec<(Offset, i32, bool)> {
        let view = self.log.views().load_full();
        let mut found = Vec::new();
        for segment in view.segments.iter() {
            let mut bytes = vec![0; segment.size() as usize];
            segment.file().unwrap().read_at(&mut bytes, 0).unwrap();
            for batch in batch::batches(&bytes).map(Result::unwrap) {
                let header = batch.header();
                let is_control = header.attributes.is_control();
                found.push((header.base_offset, header.records_count, is_control));
            }
        }
        found
    }

    fn markers(&self) -> usize {
        self.batches().iter().filter(|(_, records, control)| *control && *records > 0).count()
    }

    /// A power loss, and a start without the indexes of aborted transactions and the snapshots:
    /// what they said is found again in what is left of the log.
    fn restart_from_records_alone(&mut self) {
        let disk = self.disk.crash(Crash::PowerLoss);
        for entry in disk.list(Path::new(DIR)).unwrap() {
            if entry.name.ends_with(".txnindex") || entry.name.ends_with(".snapshot") {
                disk.remove_file(&Path::new(DIR).join(entry.name)).unwrap();
            }
        }
        self.log = open(&disk);
        self.disk = disk;
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// C1: the horizon is counted from the first cleaning that could have removed it, is written into the
/// batch, and neither a later cleaning nor a start moves it.
#[test]
fn a_tombstone_stays_for_its_time_from_the_first_cleaning_on_and_is_not_kept_longer_by_the_next() {
    let mut story = Story::new();
    story.write(None, false, &[("a", "1"), ("gone", "1")]);
    story.write(None, false, &[("gone", "")]);
    story.write(None, false, &[("b", "1")]);
    story.roll();
    let kept = pairs(&[("a", "1"), ("gone", ""), ("b", "1")]);
    // However old its record is, it waits for a cleaning first.
    story.clean(500_000);
    assert_eq!(story.read(), kept);
    story.restart_from_records_alone();
    story.clean(500_600);
    assert_eq!(story.read(), kept, "looked at again, not counted again");
    story.clean(500_999);
    assert_eq!(story.read(), kept);
    story.clean(501_000);
    assert_eq!(story.read(), pairs(&[("a", "1"), ("b", "1")]));
}

/// C2: all markers of a kind have one key.
#[test]
fn markers_share_a_key_and_none_of_them_takes_anothers_place() {
    let mut story = Story::new();
    for (round, committed) in [true, false, true, false, true].into_iter().enumerate() {
        story.write(Some(7), true, &[(&format!("k{round}"), "x")]);
        story.end(7, committed);
    }
    story.roll();
    let committed = pairs(&[("k0", "x"), ("k2", "x"), ("k4", "x")]);
    assert_eq!(story.read(), committed);
    story.clean(10_000);
    assert_eq!(story.read(), committed);
    assert_eq!(story.markers(), 5, "those of aborted ones go no sooner than their horizon");
    story.restart_from_records_alone();
    assert_eq!(story.read(), committed);
    story.clean(10_000);
    story.clean(11_000);
    assert_eq!((story.read(), story.markers()), (committed.clone(), 3));
    story.restart_from_records_alone();
    assert_eq!(story.read(), committed);
}

/// C3, C4, C5.
#[test]
fn a_marker_stays_while_any_segment_has_records_of_its_transaction() {
    let mut story = Story::new();
    for (key, plain) in [("a", "p"), ("b", "q"), ("c", "r")] {
        story.write(Some(7), true, &[(key, "aborted")]);
        story.write(Some(8), true, &[(key, "committed")]);
        story.write(None, false, &[(plain, "x")]);
        story.roll();
    }
    story.end(7, false);
    story.end(8, true);
    // Else its last batch would stay, if without records, and with it what says that it is aborted.
    story.write(Some(7), true, &[("d", "later")]);
    story.end(7, true);
    story.roll();
    let expected = story.read();
    assert_eq!(expected.len(), 7);
    // Only the first segment is cleaned: the rest of the transaction is still there, and hidden.
    let second = story.log.views().load().segments[1].base_offset;
    let pass = story.log.begin_cleaning(0, second, BUDGET, Timestamp(10_000));
    pass.run(&mut story.log).unwrap();
    assert_eq!((story.read(), story.markers()), (expected.clone(), 3));
    story.restart_from_records_alone();
    assert_eq!((story.read(), story.markers()), (expected.clone(), 3));
    // What committed is left in its place, what was aborted goes, and so does what ends it, later.
    story.clean(20_000);
    assert_eq!((story.read(), story.markers()), (expected.clone(), 3));
    story.restart_from_records_alone();
    assert_eq!(story.read(), expected);
    story.clean(20_000);
    assert_eq!(story.markers(), 3, "its horizon has only been set");
    story.clean(20_999);
    assert_eq!(story.markers(), 3);
    story.clean(21_000);
    assert_eq!((story.read(), story.markers()), (expected.clone(), 2));
    story.restart_from_records_alone();
    assert_eq!(story.read(), expected);
}

/// C6.
#[test]
fn the_last_batch_of_a_producer_stays_without_records_until_it_writes_again() {
    let mut story = Story::new();
    story.write(Some(5), false, &[("a", "1"), ("b", "1")]);
    story.write(Some(6), false, &[("a", "2"), ("b", "2")]);
    story.roll();
    story.clean(10_000);
    assert_eq!(story.batches(), [(0, 0, false), (2, 2, false)]);
    story.restart_from_records_alone();
    let sequence = |story: &Story| story.log.producers().get(5).map(|p| p.last_sequence());
    assert_eq!(sequence(&story), Some(1), "told by the offsets of a batch without records");
    story.write(Some(5), false, &[("c", "3")]);
    assert_eq!(sequence(&story), Some(2));
    story.roll();
    story.clean(20_000);
    assert_eq!(story.batches(), [(2, 2, false), (4, 1, false)]);
    assert_eq!(story.read(), pairs(&[("a", "2"), ("b", "2"), ("c", "3")]));
}

/// C7.
#[test]
fn what_is_cleaned_keeps_its_last_batch_so_that_its_end_is_known() {
    let mut story = Story::new();
    story.write(None, false, &[("a", "1")]);
    story.write(None, false, &[("a", "")]);
    story.roll();
    story.clean(10_000);
    assert_eq!(story.read(), pairs(&[("a", "")]), "a tombstone, for a while");
    story.clean(11_000);
    assert_eq!(story.batches(), [(1, 0, false)]);
    assert_eq!(story.read(), []);
    let end = story.log.end();
    // As a follower or a start sees it that has nothing but the cleaned segment.
    let active = story.log.views().load().segments.last().unwrap().path();
    story.disk.remove_file(&active).unwrap();
    story.restart_from_records_alone();
    assert_eq!(story.log.end(), end);
}

/// C8: a segment of a log that was cleaned may span more offsets than an index can tell apart.
#[test]
fn offsets_beyond_what_an_index_tells_from_the_first_get_a_segment_of_their_own() {
    const FAR: Offset = 3_000_000_000;
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    let batch = |base: Offset, key: &str, value: &str| {
        let mut builder = BatchBuilder::new(base);
        builder.push(Timestamp(base), Some(key.as_bytes()), Some(value.as_bytes()));
        builder.build().unwrap()
    };
    for (base, bytes) in [
        (0, [batch(0, "a", "1"), batch(1, "b", "1")].concat()),
        (FAR, [batch(FAR, "a", "2"), batch(FAR + 1, "c", "1")].concat()),
        (FAR + 2, batch(FAR + 2, "active", "1")),
    ] {
        let path = Path::new(DIR).join(format!("{base:020}.log"));
        let file = disk.open(&path, OpenMode::CreateNew).unwrap();
        file.write_at(&[IoSlice::new(&bytes)], 0).unwrap();
        file.sync_all().unwrap();
    }
    disk.sync_dir(Path::new(DIR)).unwrap();
    let log = open(&disk);
    let mut story = Story { disk, log, sequences: BTreeMap::new() };
    story.settle();
    story.roll();
    story.clean(10_000);
    let bases: Vec<_> = story.log.views().load().segments.iter().map(|s| s.base_offset).collect();
    assert_eq!(bases, [0, FAR, FAR + 3], "what fits together is together");
    let expected = pairs(&[("b", "1"), ("a", "2"), ("c", "1"), ("active", "1")]);
    assert_eq!(story.read(), expected);
    story.restart_from_records_alone();
    assert_eq!(story.read(), expected);
}

/// C8: cleaning may begin in the middle of a segment, of a batch even, and before the log.
#[test]
fn a_cleaning_begins_at_any_offset() {
    for from in 0..6 {
        let mut story = Story::new();
        story.write(None, false, &[("a", "1"), ("b", "1"), ("a", "2")]);
        story.write(None, false, &[("b", "2"), ("a", "3"), ("b", "3")]);
        story.roll();
        story.log.increment_log_start_offset(from / 2).unwrap();
        story.log.publish();
        let end = clean(&mut story.log, from, BUDGET, 10_000).unwrap();
        assert_eq!(end, 6);
        // Below where it began every record is clean already, or seems to be.
        let last: BTreeMap<_, _> = story.read().into_iter().collect();
        assert_eq!(last, pairs(&[("a", "3"), ("b", "3")]).into_iter().collect(), "from {from}");
    }
}

/// C9.
#[test]
fn segments_that_went_while_they_were_cleaned_do_not_come_back() {
    let write = |story: &mut Story| {
        for round in 0..3 {
            story.write(None, false, &[("a", &format!("{round}")), ("b", "x")]);
            story.roll();
        }
    };
    // Retention waits for the end of a cleaning.
    let mut story = Story::new();
    write(&mut story);
    let config = LogConfig { delete: true, retention_ms: Some(0), ..(*config()).clone() };
    story.log.set_config(Arc::new(config));
    let end = story.log.views().load().segments.last().unwrap().base_offset;
    let pass = story.log.begin_cleaning(0, end, BUDGET, Timestamp(10_000));
    assert!(story.log.apply_retention(Timestamp(1 << 40)).unwrap().is_none());
    pass.run(&mut story.log).unwrap();
    assert!(story.log.apply_retention(Timestamp(1 << 40)).unwrap().is_some());

    // A log that was cut meanwhile is left as it is.
    let mut story = Story::new();
    write(&mut story);
    let end = story.log.views().load().segments.last().unwrap().base_offset;
    let pass = story.log.begin_cleaning(0, end, BUDGET, Timestamp(10_000));
    story.log.truncate_to(1).unwrap();
    story.settle();
    assert!(matches!(pass.run(&mut story.log), Err(CleanError::Changed)));
    assert_eq!((story.log.end(), story.log.offline()), (0, None), "the batch of two is cut whole");
    story.write(None, false, &[("a", "new")]);
    assert_eq!(story.read(), pairs(&[("a", "new")]));
    let names = story.disk.list(Path::new(DIR)).unwrap();
    assert!(!names.iter().any(|entry| entry.name.ends_with(".cleaned")), "nothing is left of it");
}
