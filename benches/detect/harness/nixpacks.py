"""Reads a Nixpacks plan: its provider, start command, and the packages and commands of its phases."""

import re

ANSWERS = frozenset("runtime framework package_manager start_command static version".split())

# Providers under another name than their runtime.
PROVIDERS = {"staticfile": "static", "nodejs": "node", "golang": "go", "c#": "dotnet", "f#": "dotnet", "scala": "java", "clojure": "java"}
# Frameworks that a plan tells in its metadata; what else stands there are languages, package managers and client libraries.
FRAMEWORKS = ("django",)
# The package that brings a runtime, its version in the name.
PACKAGES = {
    "node": r"nodejs(?:-slim)?[-_](\d[\d_.]*)",
    "python": r"python(\d+)",
    "php": r"php(\d+)",
    "ruby": r"ruby[-_](\d[\d_.]*)",
    "go": r"go[-_](\d[\d_.]*)",
    "java": r"(?:jdk|temurin-bin-)(\d+)",
    "dotnet": r"dotnet-sdk[-_](\d[\d_.]*)",
    "elixir": r"elixir[-_](\d[\d_.]*)",
    "deno": r"deno[-_](\d[\d_.]*)",
    "bun": r"bun[-_](\d[\d_.]*)",
}
JAVASCRIPT = (
    ("bun", r"\bbun i(nstall)?\b"),
    ("pnpm", r"\bpnpm i(nstall)?\b"),
    ("yarn", r"\byarn install\b"),
    ("npm", r"\bnpm (ci|i|install)\b"),
)
INSTALLERS = {
    "node": JAVASCRIPT,
    "bun": JAVASCRIPT,
    "python": (
        ("poetry", r"\bpoetry install\b"),
        ("pdm", r"\bpdm install\b"),
        ("pipenv", r"\bpipenv (install|sync)\b"),
        ("uv", r"\buv sync\b"),
        ("pip", r"\bpip install\b"),
    ),
    "ruby": (("bundler", r"\bbundle install\b"),),
    "php": (("composer", r"\bcomposer install\b"),),
    "java": (("maven", r"\bmvnw?\b"), ("gradle", r"\bgradlew?\b")),
    "rust": (("cargo", r"\bcargo (build|install)\b"),),
    "go": (("gomod", r"\bgo (mod|build)\b"),),
    "elixir": (("mix", r"\bmix deps"),),
    "dotnet": (("nuget", r"\bdotnet restore\b"),),
}


def normalise(plan, detected):
    """The fields of a plan; `detected` is what `nixpacks detect` prints: the names of the providers, the first one leading."""
    provider = detected.strip().split(",")[0].strip().lower()
    if not provider or not plan:
        return {}
    phases = (plan.get("phases") or {}).values()
    commands = "\n".join(command for phase in phases for command in phase.get("cmds") or [])
    packages = [package for phase in phases for package in phase.get("nixPkgs") or []]
    start = (plan.get("start") or {}).get("cmd")
    runtime = _runtime(PROVIDERS.get(provider, provider), commands, packages, start)
    return {
        "runtime": runtime,
        "framework": next((name for name in FRAMEWORKS if name in _metadata(plan)), None),
        "package_manager": _installer(runtime, commands),
        "start_command": start,
        "static": _static(runtime, start),
        "version": _version(runtime, packages, commands),
    }


def _metadata(plan):
    return (plan.get("variables") or {}).get("NIXPACKS_METADATA", "").split(",")


def _runtime(provider, commands, packages, start):
    """Bun projects go by the provider of Node; only a plan that runs `bun` means the runtime."""
    if provider == "node" and "bun" in packages:
        runs_bun = start.startswith("bun") if start else _installer("node", commands) == "bun"
        return "bun" if runs_bun else "node"
    return provider


def _installer(runtime, commands):
    return next((name for name, pattern in INSTALLERS.get(runtime, ()) if re.search(pattern, commands)), None)


def _static(runtime, start):
    """A plan that starts a file server serves files (PHP has one in front of the program); without a start command it says nothing."""
    if runtime == "static":
        return True
    return runtime != "php" and bool(re.search(r"\b(caddy|nginx|serve -s)\b", start)) if start else None


def _version(runtime, packages, commands):
    if runtime == "ruby" and (found := re.search(r"\bruby-(\d+\.\d+(?:\.\d+)?)", commands)):
        return found[1]
    pattern = PACKAGES.get(runtime)
    matches = (re.match(pattern, package) for package in packages) if pattern else ()
    version = next((match[1].replace("_", ".") for match in matches if match), None)
    # The package of .NET without a number is that of its release 6.
    if runtime == "dotnet" and version is None and "dotnet-sdk" in packages:
        return "6"
    # Nix writes Python 3.11 as python311 and PHP 8.3 as php83.
    if version and runtime in ("python", "php") and len(version) > 1:
        return f"{version[0]}.{version[1:]}"
    return version
