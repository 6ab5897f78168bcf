"""Label files, the reading of Nixpacks plans, the trees and what is drawn."""

import json
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

from harness import chart, labels, nixpacks, report, timing, trees


class Labels(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        self.file = self.root / "labels.jsonl"

    def write(self, *lines):
        self.file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")

    def test_labels_without_a_folder_are_told_and_later_ones_take_the_place_of_earlier_ones(self):
        (self.root / "a").mkdir()
        self.write({"id": "a", "expected": {"port": 1}}, "", {"id": "b", "expected": {}}, {"id": "a", "expected": {"port": 2}})
        found, missing = labels.read(self.file, self.root)
        self.assertEqual([(label["expected"], folder.name) for label, folder in found], [({"port": 2}, "a")])
        self.assertEqual(missing, ["b"])

    def test_errors_name_the_line_and_the_field(self):
        for line, words in (("{", "line 2: not JSON"), ('{"id":"x"}', "'expected'"), ('{"id":"../x","expected":{}}', "leads out")):
            self.write({"id": "a", "expected": {}}, line)
            with self.assertRaises(labels.LabelError) as caught:
                labels.read(self.file, self.root)
            self.assertIn(words, str(caught.exception))
            self.assertIn("line 2", str(caught.exception))

    def test_the_fixtures_of_the_repository_are_labels_too(self):
        folder = Path(__file__).resolve().parents[3] / "devopser-detect" / "fixtures"
        pairs = labels.fixtures(folder, self.root / "copies")
        self.assertGreater(len(pairs), 20)
        by_id = {label["id"]: (label["expected"], copy) for label, copy in pairs}
        expected, copy = by_id["node-express"]
        self.assertEqual((expected["runtime"], expected["framework"]), ("node", "express"))
        self.assertTrue(expected["start_contains"])
        self.assertTrue((copy / "package.json").is_file())


class Nixpacks(unittest.TestCase):
    def plan(self, *, packages=(), commands=(), start=None):
        return {"phases": {"setup": {"nixPkgs": list(packages)}, "install": {"cmds": list(commands)}}, "start": {"cmd": start}}

    def test_a_node_plan(self):
        plan = self.plan(packages=["nodejs_18", "npm-9_x"], commands=["npm ci"], start="npm run start")
        self.assertEqual(
            nixpacks.normalise(plan, "node\n"),
            {"runtime": "node", "framework": None, "package_manager": "npm", "start_command": "npm run start", "static": False, "version": "18"},
        )

    def test_bun_is_the_runtime_only_where_the_plan_runs_it(self):
        packages = ["nodejs_18", "bun"]
        runs = nixpacks.normalise(self.plan(packages=packages, commands=["bun i"], start="bun index.ts"), "node")
        installs = nixpacks.normalise(self.plan(packages=packages, commands=["bun i"], start="node index.js"), "node")
        self.assertEqual((runs["runtime"], installs["runtime"], installs["package_manager"]), ("bun", "node", "bun"))

    def test_frameworks_stand_in_the_metadata(self):
        plan = self.plan(start="gunicorn app.wsgi") | {"variables": {"NIXPACKS_METADATA": "python,django,postgres"}}
        self.assertEqual(nixpacks.normalise(plan, "python")["framework"], "django")

    def test_a_file_server_means_static_files_but_not_before_php(self):
        start = self.plan(start="exec caddy run --config Caddyfile")
        self.assertEqual((nixpacks.normalise(start, "node")["static"], nixpacks.normalise(start, "php")["static"]), (True, False))

    def test_versions_out_of_package_names(self):
        self.assertEqual(nixpacks.normalise(self.plan(packages=["python312", "gcc"]), "python")["version"], "3.12")
        self.assertEqual(nixpacks.normalise(self.plan(packages=["go_1_22"]), "go")["version"], "1.22")
        self.assertIsNone(nixpacks.normalise(self.plan(packages=["gcc"]), "go")["version"])
        dotnet = nixpacks.normalise(self.plan(packages=["dotnet-sdk_8"]), "c#")
        self.assertEqual((dotnet["runtime"], dotnet["version"]), ("dotnet", "8"))
        self.assertEqual(nixpacks.normalise(self.plan(packages=["dotnet-sdk"]), "c#")["version"], "6")

    def test_no_provider_is_no_answer(self):
        self.assertEqual(nixpacks.normalise(self.plan(start="x"), "\n"), {})
        self.assertIsNone(nixpacks.normalise(self.plan(), "node")["static"])


class Trees(unittest.TestCase):
    def test_a_tree_holds_as_many_files_as_it_says(self):
        with tempfile.TemporaryDirectory() as scratch:
            files = trees.Files(scratch)
            files.add("package.json", "{}")
            files.sources("src", folders=3, each=4, extension="js")
            there = [path for path in Path(scratch).rglob("*") if path.is_file()]
            self.assertEqual((files.count, len(there)), (13, 13))


class Drawn(unittest.TestCase):
    def setUp(self):
        none = {"labelled": 4, "answered": 0, "correct": 0}
        fields = (*report.FIELDS, "services")
        self.results = {
            "date": "1 January 2026, 00:00", "labels": "4 labelled directories <& more>", "settings": {"rounds": 1, "sample": 1},
            "machine": {"cores": 2, "cpu": "some", "load_before": "0.1", "load_after": "0.2"},
            "contestants": [
                {"key": "devopser", "title": "devopser", "version": "1", "answers": list(fields)},
                {"key": "netlify", "title": "@netlify/build-info", "version": "2", "answers": ["runtime"]},
            ],
            "accuracy": {
                "devopser": {field: {"labelled": 4, "answered": 4, "correct": 3} for field in fields},
                "netlify": {field: none for field in fields},
            },
            "speed": {
                "baselines": {"nothing": 0.5}, "folders": {
                    "devopser": {"in_process": {"fastest": 0.125, "median": 0.25}, "process": {"fastest": 2.5, "median": 2.75}},
                    "netlify": {"in_process": None, "process": {"fastest": 340.0, "median": 1500.0}},
                },
            },
        }  # fmt: skip

    def test_what_a_contestant_does_not_answer_is_a_dash_and_what_it_misses_is_a_nought(self):
        text = report.markdown(self.results)
        self.assertIn("| runtime (4 labels) | 75.0 (75.0) | 0.0 |", text)
        self.assertIn("| port (4 labels) | 75.0 (75.0) | – |", text)
        self.assertIn("| in process, mean of a folder | 0.125 (0.250) | – |", text)
        self.assertIn("| whole process, median | 2.5 (2.8) | 340 (1,500) |", text)

    def test_the_chart_is_well_formed_and_says_the_same(self):
        root = ElementTree.fromstring(chart.svg(self.results))
        texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
        for words in ("runtime", "75.0", "0.125", "340", "–"):
            self.assertIn(words, texts)
        self.assertTrue(any("<& more>" in text for text in texts))
        width = float(root.get("width"))
        for bar in root.iter("{http://www.w3.org/2000/svg}rect"):
            self.assertLessEqual(float(bar.get("x", 0)) + float(bar.get("width")), width)


class Timing(unittest.TestCase):
    def test_a_sample_is_spread_over_the_list(self):
        self.assertEqual(timing.sample(list(range(10)), 5), [0, 2, 4, 6, 8])
        self.assertEqual(timing.sample([1, 2], 5), [1, 2])

    def test_rounds_and_folders_are_told_apart(self):
        by_folder = [[1.0, 9.0, 2.0], [4.0, 3.0, 8.0]]
        self.assertEqual(timing.over_folders(by_folder, max), {"fastest": 3.0, "median": 4.0})

    def test_everyone_is_timed_on_every_folder(self):
        class One:
            key = "one"

            def command(self, folder):
                return ["true", folder]

        times = timing.whole_process([One()], ["a", "b"], 2)
        self.assertEqual(len(times["one"]), 2)
        self.assertTrue(all(len(each) == 2 and min(each) > 0 for each in times["one"]))


if __name__ == "__main__":
    unittest.main()
