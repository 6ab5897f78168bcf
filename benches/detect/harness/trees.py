"""The two huge trees, made anew for each run: the same files every time."""

from pathlib import Path

WORKSPACES = 18
MODULE_PACKAGES = 900


def monorepo(folder):
    """A JavaScript monorepo: 18 workspaces with sources, and node_modules with most of its 57,000 files. Returns the count."""
    files = Files(folder)
    files.add("package.json", '{"name":"root","private":true,"workspaces":["apps/*","packages/*"]}')
    files.add("package-lock.json", '{"lockfileVersion":3}')
    for at in range(WORKSPACES):
        kind, name = ("apps", f"app{at}") if at < 6 else ("packages", f"lib{at}")
        scripts = '"scripts":{"start":"node src/m0/f0.js"},"dependencies":{"express":"^4.19.2"}' if at < 6 else '"main":"src/m0/f0.js"'
        files.add(f"{kind}/{name}/package.json", f'{{"name":"{name}",{scripts}}}')
        files.sources(f"{kind}/{name}/src", folders=8, each=19, extension="js")
    for at in range(MODULE_PACKAGES):
        base = f"node_modules/package{at}"
        files.add(f"{base}/package.json", f'{{"name":"package{at}","version":"1.0.0","main":"lib/m0/f0.js"}}')
        files.sources(f"{base}/lib", folders=4, each=15, extension="js")
    return files.count


def sources(folder):
    """One Node server with 50,000 source files in 1,000 folders. Returns the count."""
    files = Files(folder)
    files.add("package.json", '{"name":"large","scripts":{"start":"node src/m0/f0.js"},"dependencies":{"express":"^4.19.2"}}')
    files.sources("src", folders=1000, each=50, extension="js")
    return files.count


class Files:
    """Writes files below a folder and counts them."""

    def __init__(self, folder):
        self.folder, self.count, self.made = Path(folder), 0, set()

    def add(self, path, text):
        """One file with its folders."""
        target = self.folder / path
        if target.parent not in self.made:
            target.parent.mkdir(parents=True, exist_ok=True)
            self.made.add(target.parent)
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)
        self.count += 1

    def sources(self, base, folders, each, extension):
        """`folders` folders of `each` small source files."""
        for folder in range(folders):
            for at in range(each):
                self.add(f"{base}/m{folder}/f{at}.{extension}", f"module.exports = {folder * each + at};\n")
