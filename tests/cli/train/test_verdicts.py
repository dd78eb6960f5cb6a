"""The whole circle: a page, a person's verdicts in it, their table, what tune makes of it, and the page of that."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import samcli
from tests.training.tune.small_base import save_base, write_sounds

PAGE = Path(samcli.__file__).parent / "report" / "page"
# The page's own script makes the table; for the person it says that each first sound is what the folder is called.
JUDGE = """
const recordings = JSON.parse(require("fs").readFileSync(0, "utf8")), verdicts = new Verdicts("x");
for (const recording of recordings) {
  const sound = soundsOf(recording)[0];
  verdicts.give(recording, sound, { kind: "other", label: recording.path.split("/").at(-2) });
}
process.stdout.write(verdicts.table(recordings, process.argv[1]));
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_verdicts_of_a_page_teach_a_model_whose_page_says_so(here):
    save_base(here.folder / "base")
    write_sounds(here.folder / "birds")
    made = here("report", "birds", "--model", "base", "-o", "page.html")
    assert made.returncode == 0, made.stderr
    page = (here.folder / "page.html").read_text()
    assert 'id="learned"' not in page
    told = [json.loads(one) for one in re.findall(r'<script type="application/json" class="recording">(.*?)</', page)]
    assert len(told) == 12
    script = "\n".join((PAGE / name).read_text() for name in ("facts.js", "verdicts.js")) + JUDGE
    address = (here.folder / "page.html").as_uri()
    run = subprocess.run(["node", "-e", script, address], input=json.dumps(told).encode(), capture_output=True)
    assert run.returncode == 0, run.stderr
    (here.folder / "verdicts.csv").write_bytes(run.stdout)

    tune = ("train", "tune", "verdicts.csv", "-o", "mine", "--base", "base", "--method", "head", "--epochs", "40")
    done = here(*tune)
    assert (done.returncode, done.stdout) == (0, b"mine\n"), done.stderr
    about = json.loads((here.folder / "mine" / "adapter.json").read_text())
    assert {"hiss", "warble"} <= set(about["labels"]) and about["verdicts"] == about["recordings"] > 0
    again = here("report", "birds", "--model", "mine", "-o", "again.html")
    assert again.returncode == 0, again.stderr
    sentence = f"mine was taught from {about['verdicts']} verdicts: {', '.join(about['labels'])}."
    assert sentence in (here.folder / "again.html").read_text()
    tagged = here("tag", "birds", "--model", "mine", "--labels", "hiss,warble", "-f", "jsonl")
    records = [json.loads(line) for line in tagged.stdout.splitlines()]
    assert len(records) == 12
    assert all(record["tags"][0]["label"] == record["path"].split("/")[-2] for record in records)
