"""The rules of the scorer, each with an answer that must count and one that must not."""

import unittest

from harness import scoring


def verdict(field, expected, answer, **label):
    """What `judge` says of one answer."""
    return scoring.judge(field, {"id": "x", "expected": expected, **label}, answer)


RIGHT, WRONG, SILENT = (True, True), (True, False), (False, False)


class Judge(unittest.TestCase):
    def test_a_field_without_a_label_is_not_counted(self):
        for field in scoring.FIELDS:
            self.assertIsNone(verdict(field, {}, {field: "anything"}), field)
        self.assertIsNone(verdict("framework", {"framework": None}, {"framework": "next"}))
        self.assertIsNone(verdict("start_command", {"start_contains": []}, {"start_command": "node a.js"}))

    def test_silence_is_unanswered_and_never_right(self):
        expected = {
            "runtime": "node", "framework": "next", "package_manager": "npm", "start_contains": ["next"], "port": 3000,
            "databases": [], "static": False, "version": "20", "output_dir": "dist",
        }  # fmt: skip
        for field in scoring.FIELDS:
            self.assertEqual(verdict(field, expected, {}), SILENT, field)
            self.assertEqual(verdict(field, expected, {field: None}), SILENT, field)

    def test_names_have_one_spelling_and_labels_may_allow_several(self):
        self.assertEqual(verdict("framework", {"framework": "next"}, {"framework": "nextjs"}), RIGHT)
        self.assertEqual(verdict("framework", {"framework": "svelte|vite"}, {"framework": "Vite"}), RIGHT)
        self.assertEqual(verdict("framework", {"framework": "svelte|vite"}, {"framework": "vitepress"}), WRONG)
        self.assertEqual(verdict("runtime", {"runtime": "go"}, {"runtime": "golang"}), RIGHT)
        self.assertEqual(verdict("package_manager", {"package_manager": "composer"}, {"package_manager": "phpcomposer"}), RIGHT)

    def test_a_start_command_holds_one_of_the_texts_whatever_the_spaces(self):
        expected = {"start_contains": ["gunicorn app:app", "flask run"]}
        self.assertEqual(verdict("start_command", expected, {"start_command": "exec  gunicorn\n app:app -b :80"}), RIGHT)
        self.assertEqual(verdict("start_command", expected, {"start_command": "gunicorn main:app"}), WRONG)

    def test_ports_are_compared_as_numbers_are_written(self):
        self.assertEqual(verdict("port", {"port": 3000}, {"port": "3000"}), RIGHT)
        self.assertEqual(verdict("port", {"port": 3000}, {"port": 300}), WRONG)

    def test_databases_are_a_set_and_none_is_an_answer(self):
        self.assertEqual(verdict("databases", {"databases": []}, {"databases": []}), RIGHT)
        self.assertEqual(verdict("databases", {"databases": []}, {"databases": ["redis"]}), WRONG)
        self.assertEqual(verdict("databases", {"databases": ["mysql", "redis"]}, {"databases": ["redis", "mariadb"]}), RIGHT)
        self.assertEqual(verdict("databases", {"databases": ["mysql", "redis"]}, {"databases": ["redis"]}), WRONG)

    def test_false_is_an_answer_for_static(self):
        self.assertEqual(verdict("static", {"static": False}, {"static": False}), RIGHT)
        self.assertEqual(verdict("static", {"static": True}, {"static": False}), WRONG)

    def test_versions_are_compared_as_far_as_a_release_line_goes(self):
        node = {"runtime": "node", "version": "20.11.1"}
        self.assertEqual(verdict("version", node, {"runtime": "node", "version": "20"}), RIGHT)
        self.assertEqual(verdict("version", node, {"runtime": "node", "version": "20.9"}), RIGHT)
        self.assertEqual(verdict("version", node, {"runtime": "node", "version": "18"}), WRONG)
        self.assertEqual(verdict("version", node, {"runtime": "python", "version": "20"}), WRONG)
        python = {"runtime": "python", "version": "3.11"}
        self.assertEqual(verdict("version", python, {"runtime": "python", "version": "3.11.7"}), RIGHT)
        self.assertEqual(verdict("version", python, {"runtime": "python", "version": "3.12"}), WRONG)
        self.assertEqual(verdict("version", python, {"runtime": "python", "version": "latest"}), WRONG)
        self.assertIsNone(verdict("version", python, {"runtime": "python", "version": "3.11"}, version_signal=False))

    def test_an_output_folder_is_a_path(self):
        self.assertEqual(verdict("output_dir", {"output_dir": "dist/app"}, {"output_dir": "./dist/app/"}), RIGHT)
        self.assertEqual(verdict("output_dir", {"output_dir": ".output/public"}, {"output_dir": "output/public"}), WRONG)


class Score(unittest.TestCase):
    def test_accuracy_counts_labels_and_precision_counts_answers(self):
        label = {"id": "x", "expected": {"runtime": "node"}}
        answers = [{"runtime": "node"}, {"runtime": "go"}, {}, {}]
        tally = scoring.score((label, answer) for answer in answers)["runtime"]
        self.assertEqual((tally.labelled, tally.answered, tally.correct), (4, 2, 1))
        self.assertEqual((tally.accuracy(), tally.precision()), (25.0, 50.0))

    def test_services_are_counted_by_directory(self):
        label = {"id": "x", "expected": {"services": ["apps/api", "apps/web", "worker"]}}
        tally = scoring.score([(label, {"services": ["./apps/api", {"path": "apps/web/"}, "docs"]})])["services"]
        self.assertEqual((tally.labelled, tally.answered, tally.correct), (3, 3, 2))
        self.assertEqual(scoring.score([(label, {})])["services"].answered, 0)


if __name__ == "__main__":
    unittest.main()
