#!/usr/bin/env python3
"""Compares the answers of two brokers field by field: Apache Kafka's, and those of the broker under test.

Both are fresh single nodes with id 1, without topics, with the same properties and auto.create.topics.enable=true. The
same requests, good and bad, go to both, in every version that both advertise (steps.py), and the same stories of
groups and transactions are told to both (stories.py). Each field that differs is a line:

    API STEP [versions] path: Kafka's value -> the other's

The list of allowed differences has such lines under headings, which are their reasons. The exit status is 1 if a
difference is not in the list, or if the list has one that did not occur.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

import directories
import steps
import stories
from brokers import PATIENCE_S, Broker, Closed, alike
from schema import Schemas

LABELS = (
    "Name ConfigKey ResourceName GroupId Feature Key TopicName Topic ApiKey PartitionIndex Partition BrokerId NodeId Index"
).split()
"""Fields that say which element of a list is which."""


def label(element, place):
    names = (str(element[name]) for name in LABELS if isinstance(element, dict) and element.get(name) not in (None, ""))
    return next(names, f"#{place}")


def short(value):
    if not isinstance(value, (dict, list)):
        return repr(value)[:160]
    return f"there, error {value['ErrorCode']}" if "ErrorCode" in value else "there"


def differences(kafka, other, path=""):
    """Path and both values of all that differs. Where error codes do, what they explain is left out."""
    if isinstance(kafka, dict) and isinstance(other, dict):
        if kafka.get("ErrorCode") != other.get("ErrorCode"):
            yield path + ".ErrorCode", kafka.get("ErrorCode"), other.get("ErrorCode")
            return
        for name in [*kafka, *(name for name in other if name not in kafka)]:
            yield from differences(kafka.get(name, "absent"), other.get(name, "absent"), f"{path}.{name}")
    elif isinstance(kafka, list) and isinstance(other, list):
        if len(kafka) != len(other):
            yield path + ".length", len(kafka), len(other)
        ours, theirs = ({label(one, place): one for place, one in enumerate(many)} for many in (other, kafka))
        for name in [*theirs, *(name for name in ours if name not in theirs)]:
            yield from differences(theirs.get(name, "absent"), ours.get(name, "absent"), f"{path}[{name}]")
    elif kafka != other:
        yield path, kafka, other


class Comparison:
    def __init__(self, kafka, other, only, verbose):
        self.brokers, self.only, self.verbose = (kafka, other), only, verbose
        self.found, self.steps, self.threads = {}, 0, ThreadPoolExecutor(len(self.brokers))

    def versions(self, api):
        """All versions that both advertise."""
        key = self.brokers[0].schemas.api_key(api)
        ranges = [broker.versions[key] for broker in self.brokers if key in broker.versions]
        if len(ranges) < 2:
            return range(0)
        return range(max(low for low, _ in ranges), min(high for _, high in ranges) + 1)

    def step(self, api, name, message, versions=range(100), patience=PATIENCE_S):
        """One request in each version. `message` may be a function of the broker and the version."""
        if self.only and api not in self.only:
            return
        for version in self.versions(api):
            if version in versions:

                def answer(broker):
                    body = message(broker, version) if callable(message) else message
                    return alike(broker, api, broker.call(api, version, body, patience))

                self.note(api, name, version, *self.on_both(answer))

    def on_both(self, act):
        """The results on both sides, which wait at the same time."""
        return list(self.threads.map(act, self.brokers))

    def story(self, name, versions, tell):
        """The same steps on each side, each of which goes on with what it was given."""
        if self.only and name.split()[0] not in self.only:
            return
        for version in versions:

            def tell_one(broker):
                broker.told, broker.version, broker.name = [], version, f"{name}-{version}".replace(" ", "-")
                try:
                    tell(self, broker)
                except (KeyError, TypeError, IndexError, Closed, OSError) as error:
                    broker.told.append((f"ended by {type(error).__name__}", {}))

            self.on_both(tell_one)
            for (step, one), (_, other) in zip(*(broker.told for broker in self.brokers)):
                self.note(name, step, version, *(alike(b, name, told) for b, told in zip(self.brokers, (one, other))))
            self.note(name, "number of steps", version, *(len(broker.told) for broker in self.brokers))

    def note(self, api, name, version, kafka, other):
        self.steps += 1
        if self.verbose:
            print(api, version, name, kafka)
        for path, one, another in differences(kafka, other):
            kind = (api, name, path.replace(f"-{version}]", "-V]"), short(one), short(another))
            self.found.setdefault(kind, []).append(version)

    def lines(self):
        for (api, name, path, kafka, other), versions in sorted(self.found.items()):
            span = f"{versions[0]}-{versions[-1]}" if len(versions) > 1 else versions[0]
            yield f"{api} {name} [{span}] {path}: {kafka} -> {other}"


def allowed(path):
    """The lines of the list, with their reasons."""
    reason, lines = None, {}
    for line in filter(None, map(str.strip, open(path, encoding="utf8"))):
        if line.startswith("# "):
            reason = line.removeprefix("# ")
        else:
            assert reason, f"{path}: no reason for {line}"
            lines[line] = reason
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jars", required=True, help="folder of the jars of the release that is compared with")
    parser.add_argument("--kafka", required=True, nargs=2, metavar=("PORT", "DATA"), help="port and log directory")
    parser.add_argument("--other", required=True, nargs=2, metavar=("PORT", "DATA"), help="the same of the other broker")
    parser.add_argument("--allowed", help="list of allowed differences")
    parser.add_argument("--verbose", action="store_true", help="print Kafka's answers")
    parser.add_argument("only", nargs="*", help="APIs and stories (all)")
    args = parser.parse_args()

    schemas = Schemas(args.jars)
    kafka, other = (Broker(schemas, int(port), data) for port, data in (args.kafka, args.other))
    comparison = Comparison(kafka, other, args.only, args.verbose)
    steps.prepare(comparison)
    steps.compare(comparison)
    steps.compare_last(comparison)
    stories.compare(comparison)
    directories.compare(comparison)

    missing = [schemas.api_names[key] for key in sorted(set(kafka.versions) - set(other.versions))]
    print("Kafka alone advertises:", ", ".join(missing) or "-")
    listed = allowed(args.allowed) if args.allowed else {}
    lines = list(comparison.lines())
    unlisted = [line for line in lines if line not in listed]
    unseen = [line for line in listed if line not in lines and not args.only]
    print(f"{comparison.steps} answers of each, {len(lines)} differences, of which {len(unlisted)} are not allowed")
    for line in unlisted:
        print(f"not allowed: {line}")
    for line in unseen:
        print(f"no longer seen, to be taken off the list: {line}")
    sys.exit(bool(unlisted or unseen))


if __name__ == "__main__":
    main()
