"""The package on real folders."""

import pathlib
import pickle
import tempfile
import threading
import unittest

import devopser


class Detect(unittest.TestCase):
    def setUp(self) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = pathlib.Path(self.scratch.name)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def test_a_flask_app_is_told_with_its_evidence(self) -> None:
        self.write("requirements.txt", "flask==3.1.0\ngunicorn\n")
        self.write("app.py", "from flask import Flask\napp = Flask(__name__)\n")
        self.write("Procfile", "release: flask db upgrade\n")
        self.write("fly.toml", "[[http_service.checks]]\npath = '/healthz'\n")
        stack = devopser.detect(self.folder)
        self.assertEqual((stack["runtime"], stack["framework"]), ("python", "flask"))
        self.assertEqual(stack["release_command"], "flask db upgrade")
        self.assertEqual(stack["health_path"], "/healthz")
        proofs = {proof["path"] for proof in stack["evidence"]["framework"]}
        self.assertLessEqual(proofs, {"app.py", "requirements.txt"})
        self.assertTrue(proofs)
        self.assertIn("flask", devopser.explain(str(self.folder)))
        files = devopser.generate(self.folder)
        self.assertRegex(files["dockerfile"], r"(?m)^FROM python:")
        self.assertIn("gunicorn", files["dockerfile"])

    def test_the_pages_of_a_program_are_told_with_what_builds_them(self) -> None:
        self.write("go.mod", "module example.test/pages\n\ngo 1.26\n")
        self.write("main.go", "package main\n\n//go:embed dist\nvar pages embed.FS\n\nfunc main() {}\n")
        self.write("package.json", '{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "7"}}')
        stack = devopser.detect(self.folder)
        self.assertEqual(stack["runtime"], "go")
        self.assertEqual(stack["pages"]["build_command"], "npm run build")
        self.assertEqual(stack["pages"]["outputs"], ["dist"])

    def test_what_is_no_folder_is_an_error_that_names_it(self) -> None:
        with self.assertRaises(devopser.DevopserError) as caught:
            devopser.detect(self.folder / "missing")
        self.assertIn("missing", str(caught.exception))
        again = pickle.loads(pickle.dumps(caught.exception))
        self.assertEqual(
            (type(again), again.kind, str(again)),
            (type(caught.exception), caught.exception.kind, str(caught.exception)),
        )

    def test_a_folder_without_a_stack_cannot_be_generated_for(self) -> None:
        self.write("notes.txt", "hello")
        self.assertIsNone(devopser.detect(self.folder)["runtime"])
        with self.assertRaises(devopser.InvalidInputError) as caught:
            devopser.generate(self.folder)
        self.assertEqual(caught.exception.kind, "invalid_input")

    def test_threads_work_side_by_side(self) -> None:
        self.write("index.html", "<h1>hello</h1>")
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(devopser.detect(self.folder)["static"]))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, [True] * 8)


if __name__ == "__main__":
    unittest.main()
