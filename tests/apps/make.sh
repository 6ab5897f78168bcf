#!/usr/bin/env bash
# Creates the applications that the end-to-end tests deploy, each by its own official generator out of the
# package registries, or from the first example of its framework's documentation.
#
#   make.sh OUTDIR             create every application that is missing, in OUTDIR/<name>
#   make.sh OUTDIR name ...    create just these
#   make.sh --list             print the names
#
# A finished application is never touched again, so a second run costs nothing. Needs bash, node 20 or newer with
# npm, python3 with venv, go and cargo: each only for the applications that are written in it.
set -euo pipefail

APPS=(static express flask fastapi php dockerfile go django postgres vite-react nestjs nextjs rust)

usage() { sed -n '2,11s/^# \{0,1\}//p' "$0"; }
die() { echo "make.sh: $*" >&2; exit 1; }

case ${1-} in
  --list) printf '%s\n' "${APPS[@]}"; exit ;;
  -h | --help) usage; exit ;;
  '') usage >&2; exit 2 ;;
esac
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- "${APPS[@]}"

# Generators ask nothing, send nothing and colour nothing.
export CI=1 NO_COLOR=1 NEXT_TELEMETRY_DISABLED=1 npm_config_yes=true npm_config_fund=false npm_config_audit=false \
  npm_config_update_notifier=false PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

need() {
  local program
  for program; do command -v "$program" >/dev/null || die "$app: '$program' is not on this machine"; done
}

# The lock file, without the packages themselves: a repository has no node_modules.
npm_lock() { npm install --package-lock-only --ignore-scripts; }

# pip_freeze PACKAGE...: a throw-away environment, and in requirements.txt what a user's `pip freeze` says.
pip_freeze() {
  need python3
  python3 -m venv "$work/venv" || die "$app: python3 has no venv (Debian: apt-get install python3-venv)"
  "$work/venv/bin/pip" install "$@"
  "$work/venv/bin/pip" freeze >requirements.txt
}

# ---- one function an application; each runs in an empty folder and leaves the application in ./$app ----

make_vite-react() { # https://vite.dev/guide/
  need npm
  npm create vite@9 vite-react -- --template react --no-interactive
  cd vite-react && npm_lock
}

make_nextjs() { # https://nextjs.org/docs/app/api-reference/cli/create-next-app; --empty uses no web font
  need npm npx
  npx create-next-app@16 nextjs --empty --ts --app --no-src-dir --no-tailwind --no-eslint --no-react-compiler \
    --import-alias '@/*' --use-npm --skip-install --disable-git --yes
  cd nextjs && npm_lock
}

make_express() { # https://expressjs.com/en/starter/generator.html
  need npm npx
  npx express-generator@4 --view=pug express
  cd express && npm_lock
}

make_nestjs() { # https://docs.nestjs.com/first-steps
  need npm npx
  npx @nestjs/cli@12 new nestjs --package-manager npm --skip-git --skip-install
  cd nestjs && npm_lock
}

make_django() { # https://docs.djangoproject.com/en/stable/intro/tutorial01/ and howto/deployment/wsgi/gunicorn/
  mkdir django && cd django
  pip_freeze django gunicorn
  "$work/venv/bin/django-admin" startproject mysite .
  sed -i 's/^ALLOWED_HOSTS = \[\]$/ALLOWED_HOSTS = ["*"]/' mysite/settings.py
  grep -q '^ALLOWED_HOSTS = \["\*"\]$' mysite/settings.py || die "django: the settings look different from what was expected"
}

make_flask() { # https://flask.palletsprojects.com/en/stable/quickstart/
  mkdir flask && cd flask
  pip_freeze flask
  cat >hello.py <<'PY'
from flask import Flask

app = Flask(__name__)

@app.route("/")
def hello_world():
    return "<p>Hello, World!</p>"
PY
}

make_fastapi() { # https://fastapi.tiangolo.com/
  mkdir fastapi && cd fastapi
  pip_freeze 'fastapi[standard]'
  cat >main.py <<'PY'
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def read_root():
    return {"Hello": "World"}


@app.get("/items/{item_id}")
def read_item(item_id: int, q: str | None = None):
    return {"item_id": item_id, "q": q}
PY
}

make_static() { # https://startbootstrap.com/theme/landing-page: a real page of plain HTML, CSS and pictures
  need npm tar
  npm pack --silent startbootstrap-landing-page@6
  tar xzf startbootstrap-landing-page-6.*.tgz
  mv package/dist static
}

make_go() { # https://go.dev/doc/articles/wiki/
  need go
  mkdir go && cd go
  GOFLAGS='' GOWORK=off go mod init example.com/hello
  cat >main.go <<'GO'
package main

import (
	"fmt"
	"log"
	"net/http"
)

func handler(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "Hi there, I love %s!", r.URL.Path[1:])
}

func main() {
	http.HandleFunc("/", handler)
	log.Fatal(http.ListenAndServe(":8080", nil))
}
GO
}

make_rust() { # https://docs.rs/axum/latest/axum/#example
  need cargo
  mkdir -p rust/src
  cd rust
  # Not `cargo init`: it takes the edition from a workspace that happens to lie above the folder, and joins it.
  printf '[package]\nname = "hello"\nversion = "0.1.0"\nedition = "2024"\n\n[dependencies]\n\n[workspace]\n' >Cargo.toml
  echo 'fn main() {}' >src/main.rs
  cargo add --quiet axum@0.8
  cargo add --quiet tokio@1 --features full
  cat >src/main.rs <<'RS'
use axum::{
    routing::get,
    Router,
};

#[tokio::main]
async fn main() {
    // build our application with a single route
    let app = Router::new().route("/", get(|| async { "Hello, World!" }));

    // run our app with hyper, listening globally on port 3000
    let listener = tokio::net::TcpListener::bind("0.0.0.0:3000").await.unwrap();
    axum::serve(listener, app).await.unwrap();
}
RS
  cargo generate-lockfile --quiet
}

make_php() { # https://www.php.net/manual/en/introduction.php
  mkdir php
  cat >php/index.php <<'PHP'
<!DOCTYPE html>
<html>
    <head>
        <title>Example</title>
    </head>
    <body>

        <?php
            echo "Hi, I'm a PHP script!";
        ?>

    </body>
</html>
PHP
}

make_dockerfile() { # https://docs.docker.com/get-started/docker-concepts/building-images/writing-a-dockerfile/
  mkdir -p dockerfile/app && cd dockerfile
  pip_freeze fastapi uvicorn
  cat >Dockerfile <<'DOCKER'
FROM python:3.13-slim
WORKDIR /usr/local/app

# Install the application dependencies
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt

# Copy in the source code
COPY app ./app
EXPOSE 8080

# Setup an app user so the container doesn't run as the root user
RUN useradd app
USER app

CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8080"]
DOCKER
  cat >app/main.py <<'PY'
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def root():
    return {"message": "Hello from my own Dockerfile"}
PY
}

make_postgres() { # https://node-postgres.com/ on https://expressjs.com/en/starter/hello-world.html
  need npm
  mkdir postgres && cd postgres
  npm init -y >/dev/null
  npm pkg set main=app.js scripts.start='node app.js'
  npm pkg delete scripts.test type
  npm install --package-lock-only --ignore-scripts express@5 pg@8
  cat >app.js <<'JS'
const express = require('express')
const { Pool } = require('pg')

const app = express()
const port = process.env.PORT || 3000
const pool = new Pool({ connectionString: process.env.DATABASE_URL })

app.get('/', async (req, res) => {
  await pool.query('CREATE TABLE IF NOT EXISTS visits (id serial PRIMARY KEY, at timestamptz DEFAULT now())')
  await pool.query('INSERT INTO visits DEFAULT VALUES')
  const { rows } = await pool.query('SELECT count(*) FROM visits')
  res.send(`Visits in the database: ${rows[0].count}`)
})

app.listen(port, () => {
  console.log(`Example app listening on port ${port}`)
})
JS
}

# ---- all of them ----

work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
for app; do
  declare -F "make_$app" >/dev/null || die "there is no application named '$app' (make.sh --list prints them)"
  [ ! -e "$out/$app" ] || continue
  start=$SECONDS
  # The finished folder is moved into place at the end, so an interrupted run leaves no half application.
  work=$(mktemp -d "$out/.making.XXXXXX")
  log=$work/log
  # A plain subshell, not a condition: `set -e` does not hold inside `if` and `||`.
  set +e
  (
    set -e
    cd "$work"
    "make_$app"
  ) >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if [ $status -ne 0 ] || [ ! -d "$work/$app" ]; then
    tail -n 40 "$log" >&2
    die "the generator of '$app' failed with status $status (its last lines are above)"
  fi
  rm -rf "$work/$app/node_modules" "$work/$app/.git"
  mv "$work/$app" "$out/$app"
  rm -rf "$work"
  work=
  echo "made $app in $((SECONDS - start)) s"
done
