#!/usr/bin/env bash
# Measures stack detection: accuracy and speed of devopser and of the peers that package registries carry.
#   benches/detect/run.sh [LABELS.jsonl FOLDER] [options]     --help lists the options, README.md beside this file the format
#   benches/detect/run.sh --self-test                         the harness's own tests; needs no peer
# Installs the peers at fixed versions below this folder, once. DEVOPSER and DETECT_EXAMPLE name programs that are built already.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
nixpacks_version=1.41.0
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here

if [ "${1:-}" = --self-test ]; then
  python3 -m unittest discover -s "$here/tests" -t "$here"
  exec node --test "$here/tests/"
fi
harness() { exec python3 -m harness.bench "$@"; }
case " $* " in *' --help '* | *' -h '* | *' --render '*) harness "$@" ;; esac

if ! cmp -s "$here/package-lock.json" "$here/node_modules/.installed"; then
  (cd "$here" && npm ci --ignore-scripts --no-audit --no-fund)
  cp "$here/package-lock.json" "$here/node_modules/.installed"
fi
if ! "$here/.tools/bin/nixpacks" --version 2>/dev/null | grep -qw "$nixpacks_version"; then
  cargo install nixpacks --version "$nixpacks_version" --locked --root "$here/.tools"
fi
target=${CARGO_TARGET_DIR:-$repository/target}
if [ -z "${DEVOPSER:-}" ]; then
  (cd "$repository" && cargo build --locked --release -p devopser)
  DEVOPSER=$target/release/devopser
fi
if [ -z "${DETECT_EXAMPLE:-}" ]; then
  (cd "$repository" && cargo build --locked --release -p devopser-detect --example detect)
  DETECT_EXAMPLE=$target/release/examples/detect
fi
harness --devopser "$DEVOPSER" --example "$DETECT_EXAMPLE" "$@"
