#!/usr/bin/env bash
# `devopser up -d` against `docker-compose up -d --build` on the same Dockerfile and the same sources, side by side.
#
#   benches/compose/run.sh [ROUNDS]     default: 5 rounds; needs a Docker engine, docker-compose, npm, python3
#
# cold: the manifest differs in each round, so dependencies are installed again on both sides (from a warm npm cache).
# warm: nothing changed. Both are timed until the command returns; `answers` is the time until the first 200.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
rounds=${1:-5}
devopser=${DEVOPSER:-$root/target/release/devopser}
export COMPOSE_DOCKER_CLI_BUILD=1 DOCKER_BUILDKIT=1 PATH=/usr/bin:$PATH
work=$(mktemp -d)
export DEVOPSER_STATE=$work/state
cleanup() {
  "$devopser" rm express >/dev/null 2>&1 || true
  (cd "$work/compose" 2>/dev/null && docker-compose down --rmi all -v >/dev/null 2>&1) || true
  rm -rf "$work"
}
trap cleanup EXIT

"$root/tests/apps/make.sh" "$work/apps" express >/dev/null
cp -r "$work/apps/express" "$work/devopser"
cp -r "$work/apps/express" "$work/compose"
"$devopser" plan --json --provider docker --name express "$work/devopser" >"$work/plan.json"
python3 - "$work" <<'PY'
import json, sys
work = sys.argv[1]
build = json.load(open(f"{work}/plan.json"))["build"]
open(f"{work}/compose/Dockerfile", "w").write(build["dockerfile"])
open(f"{work}/compose/.dockerignore", "w").write(build["dockerignore"])
open(f"{work}/compose/docker-compose.yml", "w").write(
    'version: "3.8"\nservices:\n  app:\n    build: .\n    init: true\n    environment: {PORT: "3000"}\n    ports: ["127.0.0.1:18080:3000"]\n')
PY

now() { date +%s%N; }
ms() { echo $((($2 - $1) / 1000000)); }
until_answers() { until curl -sf -o /dev/null --max-time 2 "$1"; do sleep 0.02; done; }
# A manifest that differs in a word: the layer of the dependencies is made again.
touch_manifest() { sed -i "s/\"name\": \"[^\"]*\"/\"name\": \"express-$2\"/" "$1/package.json"; }

run_devopser() {
  local from to url; from=$(now)
  url=$("$devopser" up -d --provider docker --name express "$work/devopser" 2>/dev/null); to=$(now)
  until_answers "$url"; echo "devopser $1 $(ms "$from" "$to") $(ms "$from" "$(now)")"
}
run_compose() {
  local from to; from=$(now)
  (cd "$work/compose" && docker-compose up -d --build >/dev/null 2>&1); to=$(now)
  until_answers http://127.0.0.1:18080/; echo "compose $1 $(ms "$from" "$to") $(ms "$from" "$(now)")"
}

# One round that does not count: the base image is loaded, the npm cache filled, the worker left behind.
run_devopser first >/dev/null; run_compose first >/dev/null
for ((round = 1; round <= rounds; round++)); do
  tag=$RANDOM$RANDOM
  touch_manifest "$work/devopser" "a$tag"; touch_manifest "$work/compose" "b$tag"
  if ((round % 2)); then run_devopser cold; run_compose cold; else run_compose cold; run_devopser cold; fi
  run_devopser warm; run_compose warm
done | tee "$work/results"
python3 - "$work/results" <<'PY'
import statistics, sys
rows = [line.split() for line in open(sys.argv[1])]
print(f"{'':<10}{'case':<6}{'returns (ms): min':>20}{'median':>8}{'max':>8}{'answers, median':>18}")
for who in ("devopser", "compose"):
    for case in ("cold", "warm"):
        times = sorted(int(r[2]) for r in rows if r[0] == who and r[1] == case)
        answers = statistics.median(int(r[3]) for r in rows if r[0] == who and r[1] == case)
        print(f"{who:<10}{case:<6}{times[0]:>20}{statistics.median(times):>8.0f}{times[-1]:>8}{answers:>18.0f}")
PY
