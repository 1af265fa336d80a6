#!/usr/bin/env bash
# Writes tests/golden/metadata: metadata logs and snapshots made by Apache Kafka itself, and beside
# each what Kafka reads in it. Takes the folder of Kafka 4.4's jars (`libs` of a distribution), an
# empty folder to work in, and the first of ten free ports:
#
#   scripts/golden-metadata.sh KAFKA/libs WORK 19581
#
# Ids, salts and times differ from run to run. GoldenMetadata.java holds what is asked of Kafka.
set -euo pipefail
libs=$1 work=$2 port=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
golden=$here/../tests/golden/metadata
mkdir -p "$work" "$golden"
rm -f "$golden"/*
at=localhost:$port
started=

class() { java -Xmx512m -cp "$work/classes:$libs/*" "$@"; }
ask() { class GoldenMetadata "$@" 2>> "$work/errors"; }

# NODE ROLES KEY=VALUE...: settings of a node, whose own listeners follow from its number.
settings() {
  local node=$1 roles=$2 listeners=(); shift 2
  case $roles in *broker*) listeners+=("PLAINTEXT://localhost:$((port + 2 * node - 2))") ;; esac
  case $roles in *controller*) listeners+=("CONTROLLER://localhost:$((port + 2 * node - 1))") ;; esac
  mkdir -p "$work/$run"
  { printf '%s\n' "node.id=$node" "process.roles=$roles" "log.dirs=$work/$run/$node" \
      "listeners=$(IFS=,; echo "${listeners[*]}")" controller.listener.names=CONTROLLER \
      listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT \
      inter.broker.listener.name=PLAINTEXT "broker.rack=rack-$node" \
      offsets.topic.replication.factor=1 metadata.max.idle.interval.ms=0 \
      metadata.log.max.snapshot.interval.ms=4000
    printf '%s\n' "$@"; } > "$work/$run/$node.properties"
}
dynamic=controller.quorum.bootstrap.servers=localhost:$((port + 1))
static=controller.quorum.voters=1@localhost:$((port + 1))

format() { local node=$1; shift; class kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAA -c "$work/$run/$node.properties" "$@" >> "$work/errors" 2>&1; }
start() {
  (exec java -Xmx512m -cp "$libs/*" kafka.Kafka "$work/$run/$1.properties") >> "$work/$run/$1.out" 2>&1 &
  pids[$1]=$!
  started="$started ${pids[$1]}"
}
stop() { kill "${2:--TERM}" "${pids[$1]}"; wait "${pids[$1]}" || true; }
trap '[ -z "$started" ] || kill $started 2>/dev/null || true; wait' EXIT
declare -A pids

# FILE NAME: keeps a file, with what Kafka reads in it.
keep() {
  cat "$1" > "$golden/$2"
  ask dump "$1" | gzip -9n > "$golden/$2.json.gz"
}
keep_log() { keep "$work/$run/1/__cluster_metadata-0/00000000000000000000.log" "$run.log"; }
keep_last_snapshot() {
  local last; last=$(ls "$work/$run/1/__cluster_metadata-0/"*.checkpoint | tail -1)
  keep "$last" "$run-${last##*/}"
}

mkdir -p "$work/classes"
javac -cp "$libs/*" -d "$work/classes" "$here/GoldenMetadata.java"

# One node, every kind of record that a request writes; restarted cleanly, then killed.
run=kinds
settings 1 broker,controller "$dynamic" \
  "listeners=PLAINTEXT://$at,CONTROLLER://localhost:$((port + 1)),SASL://localhost:$((port + 2))" \
  "log.dirs=$work/$run/1,$work/$run/other" "metadata.log.dir=$work/$run/1" \
  sasl.enabled.mechanisms=PLAIN \
  'listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="golden";' \
  delegation.token.secret.key=golden \
  authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer \
  'super.users=User:ANONYMOUS;User:alice' \
  metadata.max.idle.interval.ms=1000
format 1 --standalone
keep_last_snapshot
start 1
ask await "$at" 1
ask kinds "$at" "localhost:$((port + 2))" "$work/$run/other"
stop 1
start 1
ask await "$at" 1
stop 1 -KILL
start 1
ask await "$at" 1
stop 1
keep_log
keep_last_snapshot

# A controller and two brokers more, one of them killed: ISR, ELR, elections, registrations gone.
run=outage
settings 1 broker,controller "$dynamic"
settings 2 broker "$dynamic"
settings 3 broker "$dynamic"
settings 4 controller "$dynamic"
format 1 --standalone
for node in 2 3 4; do format $node --no-initial-controllers; done
for node in 1 2 3 4; do start $node; done
ask await "$at" 3
ask outage-prepare "$at"
stop 4
stop 3
stop 2 -KILL
ask outage-lose "$at"
start 2
ask await "$at" 2
stop 2
start 3
ask await "$at" 2
ask outage-elect "$at"
stop 3
ask outage-finish "$at"
stop 1
keep_log
keep_last_snapshot

# The oldest format, and every later one in the same log.
run=releases
settings 1 broker,controller "$static"
format 1 --release-version 3.3-IV3
start 1
for level in 7 8 13 17 23 30 33; do
  ask await "$at" 1
  ask release "$at" $level
  # The node registers again, in the format of the level.
  stop 1
  [ $level = 7 ] && keep_last_snapshot
  start 1
done
ask await "$at" 1
stop 1
keep_log
keep_last_snapshot

# What is finalized at first, in a transaction: so formats every release from 3.6 to 4.3.
run=transaction
settings 1 broker,controller "$dynamic"
format 1 --standalone --release-version 4.3
start 1
ask await "$at" 1
stop 1
keep_log
started=
ls -l "$golden"
