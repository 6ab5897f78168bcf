#!/usr/bin/env bash
# Fuzzes what reads a repository's files, on the stable compiler: `fuzz/run.sh [SECONDS]`, or `fuzz/run.sh FILE` to try one
# input again. Settings of libFuzzer may follow (-jobs=2). Why it is built like this: docs/decisions/0009-fuzzing.md.
set -euo pipefail
cd "$(dirname "$0")"
what=${1:-60}
[ $# -eq 0 ] || shift

# What `cargo fuzz build --sanitizer none` gives the compiler, for the target only and not for build scripts.
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
# Not locked: the lock file follows the dependencies of the project, which change without it.
cargo build --release --target "$host" --bin trees
program=target/$host/release/trees
limits=(-timeout=10 -rss_limit_mb=2048)

if ! [[ $what =~ ^[0-9]+$ ]]; then
  exec "$program" "${limits[@]}" "$@" "$(cd "$OLDPWD" && realpath "$what")"
fi
mkdir -p corpus/trees artifacts/trees
status=0
"$program" corpus/trees -dict=corpus/trees.dict -artifact_prefix=artifacts/trees/ -max_total_time="$what" -max_len=8192 \
  "${limits[@]}" -print_final_stats=1 "$@" || status=$?
if [ $status -ne 0 ]; then
  echo "The input that failed is named above ('Test unit written to'). As base64 it stands there too." >&2
  echo "Try it again with: fuzz/run.sh fuzz/artifacts/trees/NAME" >&2
  exit $status
fi
