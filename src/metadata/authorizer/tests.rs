//! Tables of entries and of what they allow.

use super::*;
use crate::metadata::acls::LITERAL;
use crate::metadata::record::AccessControlEntryRecord;
use crate::types::Uuid;

const DENY: i8 = 2;

/// An entry as a row: permission, principal, host, operation, pattern, name.
type Row = (i8, &'static str, &'static str, i8, i8, &'static str);

const READ: i8 = Operation::Read as i8;
const WRITE: i8 = Operation::Write as i8;
const DESCRIBE: i8 = Operation::Describe as i8;

fn of_kind(kind: ResourceKind, rows: &[Row]) -> Acls {
    let mut acls = Acls::default();
    for (number, (permission, principal, host, operation, pattern, name)) in rows.iter().enumerate()
    {
        acls.insert(AccessControlEntryRecord {
            id: Uuid::from_halves(1, number as u64),
            resource_type: kind as i8,
            resource_name: (*name).to_owned(),
            pattern_type: *pattern,
            principal: (*principal).to_owned(),
            host: (*host).to_owned(),
            operation: *operation,
            permission_type: *permission,
        });
    }
    acls
}

fn topics(rows: &[Row]) -> Acls {
    of_kind(ResourceKind::Topic, rows)
}

fn closed() -> Authorizer {
    Authorizer { super_users: ["User:root".to_owned()].into(), allows_without_acl: false }
}

fn open() -> Authorizer {
    Authorizer { allows_without_acl: true, ..closed() }
}

/// What a user may do with topic "t" from 10.0.0.1.
fn may(authorizer: &Authorizer, acls: &Acls, user: &str, operation: Operation) -> bool {
    let principal = Principal::user(user);
    let requester = Requester { principal: &principal, host: [10, 0, 0, 1].into() };
    authorizer.allows(acls, requester, operation, Resource::Topic("t"))
}

fn may_write_any(authorizer: &Authorizer, rows: &[Row]) -> bool {
    let principal = Principal::user("ann");
    let requester = Requester { principal: &principal, host: [10, 0, 0, 1].into() };
    let acls = topics(rows);
    authorizer.allows_any(&acls, requester, Operation::Write, ResourceKind::Topic)
}

#[test]
fn without_an_entry_the_configuration_says_and_with_one_it_does_not() {
    let none = Acls::default();
    assert!(!may(&closed(), &none, "ann", Operation::Read));
    assert!(may(&open(), &none, "ann", Operation::Read));
    let other = topics(&[(ALLOW, "User:bob", "*", READ, LITERAL, "other")]);
    assert!(may(&open(), &other, "ann", Operation::Read), "the entry is for another topic");
    let of_bob = topics(&[(ALLOW, "User:bob", "*", READ, LITERAL, "t")]);
    assert!(!may(&open(), &of_bob, "ann", Operation::Read), "the topic has an entry");
    let of_group = of_kind(ResourceKind::Group, &[(ALLOW, "User:bob", "*", READ, LITERAL, "t")]);
    assert!(may(&open(), &of_group, "ann", Operation::Read), "the entry is for a group");
}

#[test]
fn a_super_user_may_what_is_denied_to_everyone() {
    let acls = topics(&[(DENY, EVERYONE, "*", ALL, LITERAL, WILDCARD)]);
    assert!(may(&closed(), &acls, "root", Operation::Write));
    assert!(!may(&closed(), &acls, "ann", Operation::Write));
    assert!(!may(&open(), &acls, "ann", Operation::Write));
}

#[test]
fn principals_hosts_and_patterns_decide_whom_an_entry_is_for() {
    let rows: &[(Row, bool)] = &[
        ((ALLOW, "User:ann", "*", READ, LITERAL, "t"), true),
        ((ALLOW, "User:*", "*", READ, LITERAL, "t"), true),
        ((ALLOW, "User:bob", "*", READ, LITERAL, "t"), false),
        ((ALLOW, "Group:ann", "*", READ, LITERAL, "t"), false),
        ((ALLOW, "User:ann", "10.0.0.1", READ, LITERAL, "t"), true),
        ((ALLOW, "User:ann", "10.0.0.2", READ, LITERAL, "t"), false),
        ((ALLOW, "User:ann", "10.0.0.0/24", READ, LITERAL, "t"), true),
        ((ALLOW, "User:ann", "10.0.1.0/24", READ, LITERAL, "t"), false),
        ((ALLOW, "User:ann", "*", ALL, LITERAL, "t"), true),
        ((ALLOW, "User:ann", "*", WRITE, LITERAL, "t"), false),
        ((ALLOW, "User:ann", "*", READ, LITERAL, WILDCARD), true),
        ((ALLOW, "User:ann", "*", READ, PREFIXED, WILDCARD), false),
        ((ALLOW, "User:ann", "*", READ, PREFIXED, "t"), true),
        ((ALLOW, "User:ann", "*", READ, PREFIXED, "tt"), false),
    ];
    for (row, expected) in rows {
        assert_eq!(may(&closed(), &topics(&[*row]), "ann", Operation::Read), *expected, "{row:?}");
    }
}

#[test]
fn whoever_denies_wins_however_he_named_the_topic() {
    let allow = (ALLOW, "User:ann", "*", READ, LITERAL, "t");
    for deny in [
        (DENY, "User:ann", "*", READ, LITERAL, "t"),
        (DENY, EVERYONE, "*", ALL, LITERAL, WILDCARD),
        (DENY, "User:ann", "10.0.0.0/8", READ, PREFIXED, "t"),
    ] {
        assert!(!may(&open(), &topics(&[allow, deny]), "ann", Operation::Read), "{deny:?}");
    }
    let elsewhere = (DENY, "User:ann", "10.0.0.2", READ, LITERAL, "t");
    assert!(may(&closed(), &topics(&[allow, elsewhere]), "ann", Operation::Read));
}

#[test]
fn some_operations_imply_that_a_resource_is_seen_and_none_implies_that_it_is_not() {
    use Operation::{Alter, AlterConfigs, Create, Delete, Describe, DescribeConfigs, Read, Write};
    for (allowed, implied) in [
        (Read, &[Read, Describe][..]),
        (Write, &[Write, Describe]),
        (Delete, &[Delete, Describe]),
        (Alter, &[Alter, Describe]),
        (Describe, &[Describe]),
        (Create, &[Create]),
        (AlterConfigs, &[AlterConfigs, DescribeConfigs]),
        (DescribeConfigs, &[DescribeConfigs]),
    ] {
        let acls = topics(&[(ALLOW, "User:ann", "*", allowed as i8, LITERAL, "t")]);
        for operation in ResourceKind::Topic.operations() {
            let expected = implied.contains(operation);
            let found = may(&closed(), &acls, "ann", *operation);
            assert_eq!(found, expected, "{allowed:?} and {operation:?}");
        }
    }
    let acls = topics(&[
        (ALLOW, "User:ann", "*", DESCRIBE, LITERAL, "t"),
        (DENY, "User:ann", "*", READ, LITERAL, "t"),
    ]);
    assert!(may(&closed(), &acls, "ann", Describe), "denied to read, she may see it");
    assert!(!may(&closed(), &acls, "ann", Read));
}

#[test]
fn what_may_be_done_is_told_as_bits() {
    let acls = topics(&[(ALLOW, "User:ann", "*", READ, LITERAL, "t")]);
    let principal = Principal::user("ann");
    let requester = Requester { principal: &principal, host: [10, 0, 0, 1].into() };
    let topic = Resource::Topic("t");
    assert_eq!(closed().operations(&acls, requester, topic), 1 << 3 | 1 << 8);
    assert_eq!(closed().operations(&acls, requester, Resource::Cluster), 0);
    let all = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;
    assert_eq!(open().operations(&acls, requester, Resource::Cluster), all);
}

#[test]
fn a_producer_may_be_idempotent_if_there_may_be_a_topic_for_it() {
    let ann = |permission, pattern, name| (permission, "User:ann", "*", WRITE, pattern, name);
    let tables: &[(&[Row], bool)] = &[
        (&[], false),
        (&[ann(ALLOW, LITERAL, "a")], true),
        (&[ann(ALLOW, PREFIXED, "a")], true),
        (&[(ALLOW, "User:bob", "*", WRITE, LITERAL, "a")], false),
        (&[(ALLOW, "User:ann", "10.0.0.2", WRITE, LITERAL, "a")], false),
        (&[(ALLOW, "User:ann", "*", READ, LITERAL, "a")], false),
        (&[(ALLOW, "User:ann", "*", ALL, LITERAL, "a")], true),
        (&[ann(ALLOW, LITERAL, "a"), ann(DENY, LITERAL, "a")], false),
        (&[ann(ALLOW, LITERAL, "a"), ann(DENY, LITERAL, "b")], true),
        (&[ann(ALLOW, LITERAL, "abc"), ann(DENY, PREFIXED, "ab")], false),
        (&[ann(ALLOW, LITERAL, "abc"), ann(DENY, PREFIXED, "abcd")], true),
        (&[ann(ALLOW, PREFIXED, "abc"), ann(DENY, PREFIXED, "ab")], false),
        (&[ann(ALLOW, PREFIXED, "ab"), ann(DENY, PREFIXED, "abc")], true),
        (&[ann(ALLOW, PREFIXED, "ab"), ann(DENY, LITERAL, "ab")], true),
        (&[ann(ALLOW, LITERAL, WILDCARD), ann(DENY, PREFIXED, "ab")], true),
        (&[ann(ALLOW, LITERAL, "a"), ann(DENY, LITERAL, WILDCARD)], false),
    ];
    for (rows, expected) in tables {
        assert_eq!(may_write_any(&closed(), rows), *expected, "{rows:?}");
    }
    assert!(may_write_any(&open(), &[]));
    assert!(may_write_any(&open(), &[ann(DENY, LITERAL, "a")]), "it is not the only topic");
    assert!(!may_write_any(&open(), &[ann(DENY, LITERAL, WILDCARD)]));
}
