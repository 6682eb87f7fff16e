"""Names of files and folders, and texts of rules, which anybody may choose."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import strategies as st

from render.workers import leases
from render.workers.journal import read_journals
from render.workers.leases import holders
from render.workers.plan import Plan
from tests.fuzz.damage.specimens import RENDERING, draw
from tests.fuzz.hunting import repeat
from tests.fuzz.watching import watched
from tests.leaderboard.submissions import make_submission
from threedident import ThreeDIdent
from threedident.cli import main
from threedident.conditionals.rules.spelling import parse_rule, spell_rule
from threedident.latents.layout import Layout, layout_of, numbered_layout
from threedident.storage.folder import SplitFolder
from threedident.storage.origin import Origin

_SPECIAL = (
    *("-", "--help", "-x", "~", "$HOME", "%s", "{0}", "[red]x", "\x1b[2J", "a\nb", "a\rb"),
    *("\u202egnp.0", "0.png", "00.png", "\u0661.png", "\u00b2.png", "9" * 200 + ".png", "-1.png"),
    *("1.json", "\u0661\u0666.json", "\u00b2.json", "16.json", "0.json", "9" * 200 + ".json"),
    *(
        "seed-\u00b2.pt",
        "\udcff",
        "\udcff.png",
        " ",
        "con",
        ".hidden",
        "..x",
        "x" * 240,
        "a" * 100,
    ),
    *("x.1", "x.\u00b2", "x.\u0661", "x." + "9" * 200, "x.-1", ".1", "x.1.2", "dataset.json"),
    *("journal-0-x.jsonl", "journal-\n-x.jsonl", "journal--.jsonl", "trian", "tset", "metrics"),
    *("seal", "entries", "SHA256SUMS", "submission.json", "config.json", ".x.0a.tmp", "packed"),
)
_letters = st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
names: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(_SPECIAL),
    st.text(_letters, min_size=1, max_size=50).filter(lambda name: name not in (".", "..")),
)
_CONTENTS = (b"", b"{}", b"[]", b"x", b'{"a": 1}')


def said(*arguments: object) -> bool:
    """Run a command; whether it refused, in one line, and printed nothing for terminals."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        redirect_stdout(stdout),
        redirect_stderr(stderr),
        pytest.raises(SystemExit) as ended,
        watched(),
    ):
        main([str(argument) for argument in arguments])
    lines = stderr.getvalue().splitlines()
    for line in stdout.getvalue().split("\n") + stderr.getvalue().split("\n"):
        assert line.isprintable(), f"not printable: {line!r}"
    assert ended.value.code in (0, 1, 2), ended.value.code
    if ended.value.code == 2:
        assert len([line for line in lines if line.startswith("threedident: ")]) == 1, lines
    return ended.value.code != 0


def beside(folder: Path, read: Callable[[], bool]) -> Callable[[tuple[str, bytes, bool]], bool]:
    """Reads while a file or a folder of some name lies in ``folder``."""

    def example(drawn: tuple[str, bytes, bool]) -> bool:
        name, content, is_folder = drawn
        path = folder / name
        if os.path.lexists(path) or len(os.fsencode(name)) > 255:
            return False
        try:
            if is_folder:
                path.mkdir()
                (path / "config.json").write_bytes(content)
            else:
                path.write_bytes(content)
            return read()
        finally:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    return example


strangers = st.tuples(names, st.sampled_from(_CONTENTS), st.booleans())


@pytest.mark.parametrize("place", [".", "train", "train/images", "train/packed"])
def test_strangers_in_a_rendered_data_set(rendered: Path, place: str) -> None:
    for command in (("info",), ("verify", "--deep")):
        read = beside(rendered / place, lambda c=command: said(*c, rendered))  # type: ignore[misc]
        repeat(f"strangers in a data set, {place}", strangers, read, 25)


@pytest.mark.parametrize("place", [".", "train", "test/images"])
def test_strangers_in_a_published_data_set(published: Path, place: str) -> None:
    def read() -> bool:
        try:
            with watched():
                assert len(ThreeDIdent(published)) == 6
        except ValueError as error:
            assert "expected" in str(error)  # noqa: PT017
            return True
        return False

    name = f"strangers in a published one, {place}"
    repeat(name, strangers, beside(published / place, read), 40)


def test_data_sets_of_any_name(tmp_path: Path) -> None:
    def example(name: str) -> bool:
        return said("info", tmp_path / name) and said("verify", tmp_path / name / "set")

    repeat("names of data sets", names, example, 60)


def test_mistyped_names_beside_strange_ones(tmp_path: Path) -> None:
    """The name that is suggested is a stranger's."""

    def example(name: str) -> bool:
        path = tmp_path / (name + "x")[:200]
        if len(os.fsencode(path.name)) > 255:
            return False
        (path / "train").mkdir(parents=True)
        try:
            return said("info", tmp_path / name)
        finally:
            shutil.rmtree(path)

    repeat("suggested names", names, example, 60)


def test_runs_of_any_name(tmp_path: Path) -> None:
    read = beside(tmp_path, lambda: said("compare", tmp_path))
    repeat("names of runs", strangers, read, 60)


def test_strangers_in_a_submission(tmp_path: Path) -> None:
    folder, board = make_submission(tmp_path / "s", trainer="own"), tmp_path / "board"
    read = beside(folder, lambda: said("leaderboard", "check", folder, "--board", board))
    example = lambda drawn: True if drawn[0].endswith(".onnx") else read(drawn)  # noqa: E731
    repeat("strangers in a submission", strangers, example, 40)


def test_strangers_on_a_board(tmp_path: Path) -> None:
    (tmp_path / "entries").mkdir()
    (tmp_path / "seasons.json").write_text("[]")
    out = tmp_path.with_name("page.html")
    line = ("leaderboard", "build", "--board", tmp_path, "--out", out)
    for place in (".", "entries"):
        read = beside(tmp_path / place, lambda: said(*line))
        repeat(f"strangers on a board, {place}", strangers, read, 30)


def test_strangers_among_leases_and_journals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "EXPIRY_S", 0.004)
    monkeypatch.setattr(leases, "_pause", lambda: leases.time.sleep(0.002))
    folder = SplitFolder(tmp_path, "train")
    origin = Origin(split="train", seed=0)
    draw(folder, Plan(origin=origin, rendering=RENDERING), origin.draw(2))

    def read() -> bool:
        with watched():
            assert len(read_journals(folder, RENDERING.annotations)) == 2
            try:
                holders(folder.scratch)
            except ValueError as error:
                return "expected a lease, found a folder" in str(error)
        return False

    repeat("names of leases and journals", strangers, beside(folder.scratch, read), 60)


_RULE_PIECES = (
    *("x", "y", "hue", "hues", "position", "rest", "sphere", "z1", "z2..z4", "alpha", "", "a\nb"),
    *("keep", "marginal", "normal:0.1", "gennorm:", "gennorm3:1e999", "vmf:0", "laplace:-1"),
    *("=", ";", ",", "@", "/", "..", ":", "0.5", "2", "nan", "\u0663", "\x1b[2J", "9" * 5000),
    *("position=keep", "rest=normal:0.1", "hue=marginal/2", "rest=marginal@0.5", ";" * 3),
)
_rules = st.tuples(
    st.sampled_from(
        [
            layout_of("box"),
            layout_of("box", {"x": 0.0, "alpha": 0.5}),
            layout_of("periodic"),
            numbered_layout("box", 5),
            numbered_layout("sphere", 3),
        ]
    ),
    st.lists(st.sampled_from(_RULE_PIECES), max_size=12).map("".join)
    | st.lists(st.sampled_from(_RULE_PIECES), max_size=8).map(";".join)
    | st.text(max_size=30),
)


def test_rules_of_pairs() -> None:
    def example(drawn: tuple[Layout, str]) -> bool:
        layout, text = drawn
        try:
            with watched():
                rule = parse_rule(text, layout)
        except ValueError as error:
            assert str(error).isprintable()  # noqa: PT017
            assert str(error).startswith("--pairs: expected ")  # noqa: PT017
            assert len(str(error)) < 1000  # noqa: PT017
            return True
        assert parse_rule(spell_rule(rule), layout) == rule
        return False

    repeat("rules of pairs", _rules, example, 300)
