#!/usr/bin/env bash
# The main job on the embedded default: the folder `site` goes online on this machine, without Docker and without an
# account; what its address answers is shown; then all of it is removed. `make demo` builds the command and runs this.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
devopser=${DEVOPSER:-$here/../../target/debug/devopser}
command -v curl >/dev/null || { echo "demo: curl is not on this machine" >&2; exit 1; }

state=$(mktemp -d)
worker=
cleanup() {
  local status=$?
  # Ctrl-C, as a person would end it: the app stops with the command.
  if [ -n "$worker" ]; then kill -INT "$worker" 2>/dev/null || true; wait "$worker" || true; fi
  "$devopser" rm quickstart --state "$state" >/dev/null || status=1
  rm -rf "$state"
  exit $status
}
trap cleanup EXIT

echo "\$ devopser up examples/quickstart/site --provider local"
exec 3< <(exec "$devopser" up "$here/site" --provider local --name quickstart --state "$state")
worker=$!
read -r -t 120 url <&3 || { echo "demo: no address was printed" >&2; exit 1; }

echo
echo "\$ curl $url"
curl --fail --silent --show-error --max-time 20 "$url" | tee "$state/answer.html"
grep -q 'Hello from devopser' "$state/answer.html"
echo
echo "It works. Stopping and removing it again:"
