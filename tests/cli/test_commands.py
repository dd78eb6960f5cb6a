"""The commands beside caption, tag and ask: models, doctor, bench, eval, completion."""

import json
import re

import pytest

from samcli.checkpoints import catalogue
from samcli.records import Record
from tests.terminal import on_a_terminal


def test_models_are_listed_for_people_and_machines(here):
    table = here("models", "list", "--all")
    rows = [line.split("\t") for line in table.stdout.decode().splitlines()]
    assert rows[0][:3] == ["name", "where", "tasks"]
    names = [row[0] for row in rows[1:]]
    assert set(catalogue.entries()) <= set(names) and "tiny-random" not in names
    values = json.loads(here("models", "list", "--all", "--json").stdout)
    assert [value["name"] for value in values] == names
    assert here("models", "ls", "--all").stdout == table.stdout


def test_models_that_can_be_used_are_listed_first_and_the_others_when_asked(here):
    short, whole = here("models", "list"), here("models", "list", "--all")
    rows = [line.split("\t") for line in short.stdout.decode().splitlines()[1:]]
    assert rows[0][:2] == ["sam-nano", "bundled"] and all(row[2] for row in rows)
    assert whole.stdout.startswith(short.stdout) and len(whole.stdout) > len(short.stdout)
    assert b"--all" in short.stderr and whole.stderr == b""
    assert len(json.loads(here("models", "list", "--json").stdout)) == len(rows)


@pytest.mark.parametrize("columns", [60, 100, 400])
def test_the_list_of_models_fits_the_terminal(sam, here, columns):
    code, seen = on_a_terminal(sam, "models", "list", "--all", TERM="xterm", NO_COLOR="1", COLUMNS=str(columns))
    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    lines = [line.rstrip() for line in seen.splitlines() if line.strip() and not line.startswith("sam:")]
    assert code == 0 and max(map(len, lines)) <= columns
    # No cell is broken over lines where only the first columns are shown.
    assert columns > 60 or len(lines) == 1 + len(json.loads(here("models", "list", "--all", "--json").stdout))
    assert ("licence" in lines[0]) == (columns >= 100) and ("note" in lines[0]) == (columns >= 400)


def test_a_model_is_shown_without_the_network(here):
    done = here("models", "show", "dass-small")
    facts = dict(line.split("\t", 1) for line in done.stdout.decode().splitlines())
    assert (done.returncode, facts["name"], facts["tasks"]) == (0, "dass-small", "tag")
    assert json.loads(here("models", "show", "dass-small", "--json").stdout)["name"] == "dass-small"


@pytest.mark.parametrize("verb", ["show", "path", "pull", "rm"])
def test_models_that_are_not_there_end_with_3_and_a_way_out(sam, verb):
    done = sam("models", verb, "dass-smal")
    assert (done.returncode, done.stdout) == (3, b"")
    assert b"dass-small" in done.stderr and b"Traceback" not in done.stderr


def test_pulling_offline_says_so(sam):
    done = sam("models", "pull", "dass-small")
    assert done.returncode == 3 and b"HF_HUB_OFFLINE" in done.stderr


def test_doctor_reports_everything_it_looked_at(sam):
    (sam.folder / "file").touch()
    done = sam("doctor", "--json", environment={"HF_HOME": str(sam.folder / "file")})
    report = json.loads(done.stdout)
    groups = {finding["group"] for finding in report["findings"]}
    assert groups == {"version", "machine", "kernel", "model", "cache", "decoder"}
    found = {finding["name"]: finding for finding in report["findings"]}
    assert "torch" in found and "state-space duality on cpu" in found
    assert found["state-space duality on cpu"]["ok"] and found["selective scan on cpu"]["ok"]
    assert report["healthy"] is (done.returncode == 0)
    # A cache that cannot be written is a finding with a way out.
    assert not found["folder"]["ok"] and done.returncode == 1 and "HF_HOME" in found["folder"]["advice"]


def test_doctor_reads_as_a_table(here):
    done = here("doctor")
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert rows[0] == ["group", "name", "value", "ok"] and {row[3] for row in rows[1:]} <= {"ok", "WRONG"}
    assert done.returncode == (1 if any(row[3] == "WRONG" for row in rows) else 0)


def test_bench_prints_rows_with_limits(here):
    done = here("bench", "audio", "--quick", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["machine"]["cores"] >= 1
    assert report["machine"]["device"] == "cpu"  # what computed, whatever else is there
    parts = ("filter bank", "decode wav", "decode flac", "decode mp3", "decode ogg", "decode m4a")
    assert [row["name"].split(",")[0] for row in report["rows"]] == list(parts)
    for row in report["rows"]:
        assert list(row) == ["name", "value", "unit", "limit", "ratio", "target"] and row["unit"] == "s/s"
        assert row["value"] > 0 and row["ratio"] == pytest.approx(row["value"] / row["limit"], rel=1e-3)
    assert here("bench", "soup").returncode == 2


def test_eval_compares_records_with_references(here):
    said = [{"path": f"{name}.wav", "caption": text} for name, text in (("a", "a dog barks"), ("b", "rain falls"))]
    records = [Record(task="caption", **row).to_dict() for row in said]
    (here.folder / "said.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (here.folder / "truth.jsonl").write_bytes((here.folder / "said.jsonl").read_bytes())
    done = here("eval", "said.jsonl", "truth.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    figures = {figure["key"]: figure["value"] for figure in json.loads(done.stdout)["figures"]}
    assert figures["bleu_1"] == figures["rouge_l"] == 1
    (here.folder / "truth.jsonl").write_text(json.dumps(records[0]) + "\n")
    less = here("eval", "said.jsonl", "truth.jsonl")
    assert less.returncode == 2 and b"no reference: b" in less.stderr
    assert here("eval", "said.jsonl", "missing.csv").returncode == 2


def test_python_m_samcli_is_sam(sam, environment):
    import subprocess
    import sys
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-m", "samcli", "--version"], cwd=root, env=environment, capture_output=True)
    assert done.stdout == sam("--version").stdout and re.fullmatch(rb"sam \d+\.\d+\.\d+\n", done.stdout)


def test_bench_model_shows_where_the_time_goes(here):
    done = here("bench", "model", "--quick", "--json", "--model", "tiny-random")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [row["name"].split()[0] for row in rows] == ["filter", "encoder,", "language", "language"]
    assert all(row["value"] > 0 for row in rows)
