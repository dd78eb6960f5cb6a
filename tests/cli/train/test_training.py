"""`sam train`: the flags become a recipe; what cannot work is refused before it starts."""

import pytest

from samcli.cli.train.app import NanoFlags, complete_variant, recipe_of
from samcli.cli.train.shared import describe
from samcli.errors import UsageError
from samcli.training.nano.settings import NanoRecipe


def test_without_flags_it_is_the_shipped_recipe():
    assert recipe_of(NanoFlags()) == NanoRecipe()


def test_fewer_steps_keep_the_shares_of_the_stages():
    whole = NanoRecipe()
    tenth = recipe_of(NanoFlags(steps=whole.steps // 10))
    assert tenth.steps * 10 == whole.steps
    for stage in ("ear_steps", "ear_steps_again", "read_steps", "word_steps"):
        assert getattr(tenth, stage) == pytest.approx(getattr(whole, stage) / 10, abs=1)


@pytest.mark.parametrize("steps", [10, 11, 97, 1000])
@pytest.mark.parametrize("flags", [{}, {"tags_only": True}, {"ears": "sam-nano"}, {"start": "sam-nano"}])
def test_the_steps_asked_for_are_the_steps_made(steps, flags):
    """Whatever stages are left of them, and however they are rounded."""
    recipe = recipe_of(NanoFlags(steps=steps, **flags))
    assert recipe.steps == steps
    assert (recipe.ear_steps > 0) == (recipe.ear_steps_again > 0) == ("ears" not in flags)
    assert (recipe.word_steps > 0) == ("tags_only" not in flags)


def test_sources_to_leave_out_are_named_with_commas():
    assert recipe_of(NanoFlags(without="game/one, talk")).without == ("game/one", "talk")


def test_a_bigger_size_is_bigger():
    assert recipe_of(NanoFlags(size="small")).language_width > NanoRecipe().language_width


def test_a_line_of_the_log_reads_as_words():
    line = {"step": 50, "of": 200, "stage": "words", "loss": 1.23456, "examples/s": 20.0, "seconds": 100.0}
    assert describe(line) == "words  step 50 of 200  loss 1.235  20 examples/s"
    assert describe(line | {"left": 100.0}) == "words  step 50 of 200  loss 1.235  20 examples/s  1m40s left"
    assert describe({"clips": 3, "of": 7}) == "scoring the clips again, 3 of 7"


@pytest.mark.parametrize("arguments", [(".", "out"), ("missing", "out")])
def test_what_is_no_corpus_is_refused(here, arguments):
    done = here("train", "nano", *arguments)
    assert done.returncode == 2 and b"manifest.csv" in done.stderr and not (here.folder / "out").exists()


def test_a_size_that_does_not_exist_is_refused(here):
    (here.folder / "manifest.csv").touch()
    done = here("train", "nano", ".", "out", "--size", "giant")
    assert done.returncode == 2 and b"base" in done.stderr


def test_a_variant_that_does_not_exist_is_refused(here):
    (here.folder / "manifest.csv").touch()
    done = here("train", "nano", ".", "out", "--variant", "plain,no-ears")
    assert done.returncode == 2 and b"connector-b" in done.stderr and not (here.folder / "out").exists()
    assert complete_variant("plain,connector-c") == ["plain,connector-c", "plain,connector-convolution"]


@pytest.mark.parametrize("variant", ["no-scan", "mambaout"])
def test_ears_that_stay_are_no_others(variant):
    assert recipe_of(NanoFlags(variant=variant)).encoder != NanoRecipe().encoder
    with pytest.raises(UsageError, match="--ears keeps an encoder"):
        recipe_of(NanoFlags(variant=variant, ears="sam-nano"))


def test_what_goes_on_as_it_is_takes_no_other_choice(here):
    (here.folder / "manifest.csv").touch()
    for more in (("--ears", "sam-nano"), ("--variant", "no-scan")):
        done = here("train", "nano", ".", "out", "--from", "sam-nano", *more)
        assert done.returncode == 2 and b"--from" in done.stderr and not (here.folder / "out").exists()


def test_nothing_to_learn_is_refused(here):
    (here.folder / "manifest.csv").touch()
    done = here("train", "nano", ".", "out", "--ears", "sam-nano", "--tags-only")
    assert done.returncode == 2 and b"--tags-only" in done.stderr and not (here.folder / "out").exists()


def test_a_short_training_warms_up_within_a_tenth():
    assert recipe_of(NanoFlags(steps=100)).pace.warm_up == 10
    assert recipe_of(NanoFlags(steps=10)).pace.warm_up == 1
