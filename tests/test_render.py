"""The renderer, with a real Blender in real processes."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from render.launch import chunks, devices
from render.libraries import missing_packages
from render.settings import GPUS
from render.worker import parse_indices, spell_indices
from tests.conftest import DRAFT, can_mount, cli, command, contents, pixels, refused, start
from threedident.latents import sample_raw
from threedident.storage import sha256

REFERENCE = Path(__file__).parent / "reference"
ROWS = np.load(REFERENCE / "raw_latents.npy")


def psnr(image: Path, reference: Path) -> float:
    a, b = (pixels(path).astype(np.float64) for path in (image, reference))
    return float(10 * np.log10(255**2 / ((a - b) ** 2).mean()))


def reference_psnr(tmp_path: Path, rows: list[int], hue: str, quality: str) -> list[float]:
    latents, out = tmp_path / "rows.npy", tmp_path / hue
    np.save(latents, ROWS[rows])
    settings = ("--hue", hue, "--quality", quality, "--device", "cpu")
    result = cli("render", "--latents", latents, "--out", out, *settings)
    assert result.returncode == 0, result.stderr
    suffix = "" if hue == "wrapped" else "_published"
    return [
        psnr(out / "train" / "images" / f"{i:06d}.png", REFERENCE / f"{row:02d}{suffix}.png")
        for i, row in enumerate(rows)
    ]


def test_standard_quality_matches_the_published_scene(tmp_path: Path) -> None:
    wrapped = reference_psnr(tmp_path, list(range(10)), "wrapped", "standard")
    published = reference_psnr(tmp_path, [1, 5], "published", "standard")
    assert np.mean(wrapped + published) >= 43
    assert min(wrapped + published) >= 41


def test_paper_quality_matches_the_published_scene(tmp_path: Path) -> None:
    assert min(reference_psnr(tmp_path, [5], "wrapped", "paper")) >= 50
    assert min(reference_psnr(tmp_path, [1], "published", "paper")) >= 50


def test_hue_modes_differ_where_hues_are_negative(tmp_path: Path) -> None:
    crossed = psnr(REFERENCE / "01.png", REFERENCE / "01_published.png")
    [same] = reference_psnr(tmp_path, [1], "published", "draft")
    assert same > crossed + 3


def test_layout_and_prefix(rendered: Path) -> None:
    for split, n in (("train", 12), ("test", 6)):
        folder = rendered / split
        assert sorted(path.name for path in folder.iterdir()) == [
            "SHA256SUMS",
            "dataset.json",
            "images",
            "latents.npy",
            "raw_latents.npy",
        ]
        names = sorted(path.name for path in (folder / "images").iterdir())
        assert names == [f"{i:06d}.png" for i in range(n)]
        raw = np.load(folder / "raw_latents.npy")
        assert raw.dtype == np.float32
        assert (raw == sample_raw(0, split, n)).all()
        assert (np.load(folder / "latents.npy")[:, 0] == 3 * raw[:, 0]).all()
    with Image.open(rendered / "train" / "images" / "000000.png") as image:
        assert (image.mode, image.size, image.info) == ("RGB", (32, 32), {})


def test_growing_renders_only_what_is_missing(rendered: Path, tmp_path: Path) -> None:
    small = shutil.copytree(rendered, tmp_path / "data")
    before = {p: p.stat().st_mtime_ns for p in (small / "train" / "images").iterdir()}
    result = cli("render", "--n", 15, "--n-test", 6, "--out", small, *DRAFT)
    assert "15 train images (3 new), 6 test images (0 new)" in result.stdout
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    fresh = cli("render", "--n", 15, "--n-test", 6, "--out", tmp_path / "fresh", *DRAFT)
    assert fresh.returncode == 0
    assert contents(small) == contents(tmp_path / "fresh")


def test_fewer_images_than_there_are_change_nothing(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    result = cli("render", "--n", 3, "--out", data, *DRAFT)
    assert "12 train images (0 new)" in result.stdout
    assert contents(data) == contents(rendered)


@pytest.mark.parametrize("workers", [2, 3])
def test_worker_count_does_not_change_a_byte(rendered: Path, tmp_path: Path, workers: int) -> None:
    arguments = ("--n", 12, "--n-test", 6, "--out", tmp_path, "--workers", workers, *DRAFT)
    assert cli("render", *arguments).returncode == 0
    assert contents(tmp_path) == contents(rendered)


def test_given_rows_are_rendered_as_they_are(rendered: Path, tmp_path: Path) -> None:
    rows = sample_raw(0, "train", 12)[[7, 2]]
    np.save(tmp_path / "rows.npy", rows.astype(np.float64))
    out = tmp_path / "out"
    assert cli("render", "--latents", tmp_path / "rows.npy", "--out", out, *DRAFT).returncode == 0
    assert (np.load(out / "train" / "raw_latents.npy") == rows).all()
    for i, row in enumerate((7, 2)):
        ours = out / "train" / "images" / f"{i:06d}.png"
        theirs = rendered / "train" / "images" / f"{row:06d}.png"
        assert ours.read_bytes() == theirs.read_bytes()
    np.save(tmp_path / "rows.npy", rows[::-1])
    line = refused("render", "--latents", tmp_path / "rows.npy", "--out", out, *DRAFT)
    assert "rows" in line
    assert "is asked for" in line


def test_given_rows_can_have_a_test_split(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", sample_raw(3, "train", 2))
    out = tmp_path / "out"
    shared = ("--latents", tmp_path / "rows.npy", "--out", out, *DRAFT)
    assert cli("render", *shared).returncode == 0
    result = cli("render", *shared, "--n-test", 2, "--seed", 4)
    assert "2 train images (0 new), 2 test images (2 new)" in result.stdout
    assert (np.load(out / "test" / "raw_latents.npy") == sample_raw(4, "test", 2)).all()
    assert "--n-test" in refused("render", *shared, "--seed", 4)


def test_a_folder_in_the_way_of_an_image_is_named(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    (data / "train" / "images" / "000002.png").unlink()
    (data / "train" / "images" / "000002.png").mkdir()
    line = refused("render", "--n", 12, "--n-test", 6, "--out", data, *DRAFT)
    assert "images/000002.png: expected a file there, found a folder; move it away" in line


def test_repair_restores_exactly_the_bad_files(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    images = data / "train" / "images"
    (images / "000001.png").unlink()
    (images / "000004.png").write_bytes(b"\x89PNG")
    content = bytearray((images / "000009.png").read_bytes())
    content[100] ^= 255
    (images / "000009.png").write_bytes(content)
    (data / "test" / "latents.npy").unlink()
    before = {p: p.stat().st_mtime_ns for p in images.iterdir()}
    result = cli("render", "--n", 12, "--n-test", 6, "--out", data, *DRAFT)
    assert "12 train images (3 new), 6 test images (0 new)" in result.stdout
    assert contents(data) == contents(rendered)
    kept = [p for p, stamp in before.items() if p.stat().st_mtime_ns == stamp]
    assert len(kept) == 9


def test_lost_digests_are_restored_without_rendering(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    (data / "train" / "SHA256SUMS").unlink()
    result = cli("render", "--n", 12, "--n-test", 6, "--out", data, *DRAFT)
    assert "12 train images (0 new)" in result.stdout
    assert contents(data) == contents(rendered)


def test_an_image_altered_together_with_its_digest_is_rendered_again(
    rendered: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    train = data / "train"
    old, new = (train / "images" / f"{i:06d}.png" for i in (3, 4))
    sums = (train / "SHA256SUMS").read_text()
    swapped = sums.replace(sha256(old.read_bytes()), sha256(new.read_bytes()))
    (train / "SHA256SUMS").write_text(swapped)
    shutil.copy(new, old)
    assert cli("render", "--n", 12, "--n-test", 6, "--out", data, *DRAFT).returncode == 0
    assert contents(data) == contents(rendered)


def test_a_growth_whose_scratch_was_lost_renders_what_it_cannot_vouch_for(
    rendered: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    arguments = ("render", "--n", 14, "--n-test", 6, "--out", data, *DRAFT)
    assert cli(*arguments).returncode == 0
    grown = contents(data)
    shutil.copy(rendered / "train" / "dataset.json", data / "train")
    assert "14 train images (2 new)" in cli(*arguments).stdout
    assert contents(data) == grown


def test_other_peoples_files_stay_and_leftovers_go(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    images = data / "train" / "images"
    (images / "notes.txt").write_text("mine")
    (images / ".checkpoints").mkdir()
    for folder in (images, data / "train"):
        (folder / ".dataset.json.123.tmp").write_text("half")
    assert cli("render", "--n", 13, "--n-test", 6, "--out", data, *DRAFT).returncode == 0
    assert (images / "notes.txt").read_text() == "mine"
    assert not list(data.rglob("*.tmp"))
    assert cli("verify", data).returncode == 0


def test_a_split_made_just_before_a_kill_is_taken_up(rendered: Path, tmp_path: Path) -> None:
    (tmp_path / "train" / ".render").mkdir(parents=True)
    assert cli("render", "--n", 12, "--n-test", 6, "--out", tmp_path, *DRAFT).returncode == 0
    assert contents(tmp_path) == contents(rendered)


def test_modules_of_the_current_folder_stay_out(tmp_path: Path) -> None:
    (tmp_path / "render.py").write_text("print('not a message')")
    script = Path(sys.executable).with_name("threedident")
    line = [str(script), "render", "--n", "1", "--n-test", "0", "--out=-odd", *DRAFT]
    result = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "-odd" / "train" / "dataset.json").is_file()


def test_order_in_memory_does_not_identify_rows(tmp_path: Path) -> None:
    rows = sample_raw(0, "train", 3)
    for order in ("C", "F"):
        np.save(tmp_path / "rows.npy", np.array(rows, order=order))  # type: ignore[call-overload]
        arguments = ("--latents", tmp_path / "rows.npy", "--out", tmp_path / "out", *DRAFT)
        result = cli("render", *arguments)
        assert result.returncode == 0, result.stderr
    assert "(0 new)" in result.stdout


def test_splits_of_other_settings_do_not_mix(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    shutil.rmtree(data / "train")
    before = contents(data)
    line = refused("render", "--n", 3, "--n-test", 0, "--hue", "published", "--out", data, *DRAFT)
    assert "hue_mode wrapped where published is asked for" in line
    assert contents(data) == before


def children(process: subprocess.Popen[str]) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def start_render(out: Path, *arguments: object) -> subprocess.Popen[str]:
    return start("render", "--out", out, *arguments, *DRAFT)


def images_in(out: Path) -> int:
    return len(list(out.glob("train/images/0*.png")))


@pytest.mark.parametrize("kills", [1, 2, 3])
def test_kill_at_any_moment_loses_nothing(rendered: Path, tmp_path: Path, kills: int) -> None:
    out = tmp_path / "data"
    for _ in range(kills):
        process = start_render(out, "--n", 12, "--n-test", 6, "--workers", 2)
        time.sleep(random.Random().uniform(0.2, 3.0))
        workers = children(process)
        process.kill()
        for worker in workers:
            try:
                os.kill(worker, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.communicate()
    result = cli("render", "--n", 12, "--n-test", 6, "--out", out, *DRAFT)
    assert result.returncode == 0, result.stderr
    assert cli("verify", out).returncode == 0
    assert contents(out) == contents(rendered)


def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    process = start_render(tmp_path / "data", "--n", 400, "--n-test", 0)
    wait_for(lambda: images_in(tmp_path / "data") > 2)
    workers = children(process)
    assert workers
    process.kill()
    process.communicate()
    wait_for(lambda: not any(Path(f"/proc/{worker}/exe").exists() for worker in workers), 30)


def test_a_killed_worker_costs_only_its_images_in_flight(tmp_path: Path) -> None:
    out = tmp_path / "data"
    process = start_render(out, "--n", 60, "--n-test", 0, "--workers", 1)
    wait_for(lambda: images_in(out) > 2)
    os.kill(children(process)[0], signal.SIGKILL)
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert "60 train images (60 new)" in stdout
    assert cli("verify", out).returncode == 0


def test_interrupt_ends_quickly_and_says_how_to_go_on(tmp_path: Path) -> None:
    process = start_render(tmp_path / "data", "--n", 400, "--n-test", 0)
    wait_for(lambda: images_in(tmp_path / "data") > 2)
    workers = children(process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "of 400 train images are safe; the same command again goes on" in stderr
    assert "Traceback" not in stderr
    assert not any(Path(f"/proc/{worker}/exe").exists() for worker in workers)
    assert "interrupted; give the same render command" in refused("info", tmp_path / "data")


def test_an_interrupted_growth_can_be_given_up(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    process = start_render(data, "--n", 400, "--n-test", 6)
    wait_for(lambda: images_in(data) > 14)
    process.send_signal(signal.SIGINT)
    process.communicate()
    result = cli("render", "--n", 12, "--n-test", 6, "--out", data, *DRAFT)
    assert "12 train images (0 new)" in result.stdout
    assert contents(data) == contents(rendered)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (("--seed", 1), "seed 0 where 1 is asked for"),
        (("--hue", "published"), "hue_mode wrapped where published is asked for"),
        (("--resolution", 48), "resolution 32 where 48 is asked for"),
        (("--quality", "standard"), "quality draft where standard is asked for"),
    ],
)
def test_other_settings_are_refused_and_named(
    rendered: Path, changed: tuple[str, object], words: str
) -> None:
    before = contents(rendered)
    assert words in refused("render", "--n", 20, "--out", rendered, *DRAFT, *changed)
    assert contents(rendered) == before


def test_an_unfinished_run_refuses_other_settings_too(tmp_path: Path) -> None:
    out = tmp_path / "data"
    process = start_render(out, "--n", 400, "--n-test", 0)
    wait_for(lambda: images_in(out) > 2)
    process.send_signal(signal.SIGINT)
    process.communicate()
    line = refused("render", "--n", 400, "--n-test", 0, "--out", out, *DRAFT, "--seed", 5)
    assert "seed 0 where 5 is asked for" in line


def test_strange_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "thesis.tex").write_text("years of work")
    assert "thesis.tex" in refused("render", "--n", 3, "--out", tmp_path, *DRAFT)
    assert contents(tmp_path) == {"train/thesis.tex": b"years of work"}


def test_out_cannot_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refused("render", "--n", 3, "--out", tmp_path / "file", *DRAFT)
    assert "expected a folder" in line
    assert "found a file" in line


def test_a_second_run_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        assert "no other run" in refused("render", "--n", 3, "--out", tmp_path, *DRAFT)
    finally:
        os.close(handle)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--n", 0), "--n"),
        (("--n", -3), "--n"),
        (("--n", "many"), "--n"),
        (("--n", 10**13), "--n"),
        (("--n", 3, "--n-test", -1), "--n-test"),
        (("--n", 3, "--quality", "best"), "'paper', 'standard', 'draft'"),
        (("--n", 3, "--device", "abacus"), "'auto', 'cpu', 'optix'"),
        (("--n", 3, "--hue", "green"), "'wrapped', 'published'"),
        (("--n", 3, "--resolution", 0), "--resolution"),
        (("--n", 3, "--workers", 0), "--workers"),
        (("--n", 3, "--seed", -1), "--seed"),
        ((), "--n: expected a number of images or --latents FILE"),
        (("--n", 3, "--latents", "rows.npy"), "--n: expected none beside --latents"),
        (("--latents", "rows.npy"), "rows.npy: expected an npy file, found nothing"),
    ],
)
def test_bad_arguments_are_refused(
    tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    assert words in refused("render", "--out", tmp_path / "data", *arguments)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.zeros((3, 9)), "found shape (3, 9)"),
        (np.full((3, 10), np.nan), "found nan in row 0"),
        (np.full((3, 10), 1.5), "found 1.5 in row 0"),
    ],
)
def test_bad_latents_are_refused(tmp_path: Path, rows: np.ndarray, words: str) -> None:
    np.save(tmp_path / "rows.npy", rows)
    out = tmp_path / "data"
    assert words in refused("render", "--latents", tmp_path / "rows.npy", "--out", out)
    assert not out.exists()


def test_an_absent_gpu_is_named_with_what_there_is(tmp_path: Path) -> None:
    found = devices()
    assert found[-1] == "cpu"
    absent = next(gpu for gpu in GPUS if gpu not in found)
    line = refused("render", "--n", 3, "--device", absent, "--out", tmp_path / "data")
    assert f"expected one of {', '.join(found)} here, found {absent}" in line
    assert not (tmp_path / "data").exists()


def test_a_missing_library_is_named_with_its_package(tmp_path: Path) -> None:
    (tmp_path / "libXi.so.6").write_bytes(b"")
    broken = {"LD_LIBRARY_PATH": str(tmp_path)}
    line = refused("render", "--n", 3, "--out", tmp_path / "data", *DRAFT, env=broken)
    assert "apt-get install libxi6" in line
    assert not (tmp_path / "data").exists()
    listed = subprocess.run(
        [sys.executable, "-m", "render.libraries"],
        env={**os.environ, **broken},
        capture_output=True,
        text=True,
    )
    assert (listed.returncode, listed.stdout) == (1, "libxi6\n")
    assert missing_packages() == []


def test_missing_blender_is_named(tmp_path: Path) -> None:
    site = Path(np.__file__).parents[1]
    others = tmp_path / "site"
    others.mkdir()
    for entry in site.iterdir():
        if not entry.name.startswith("bpy"):
            (others / entry.name).symlink_to(entry)
    script = "import sys; from threedident.cli import main; main(sys.argv[1:])"
    result = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            script,
            "render",
            "--n",
            "3",
            "--out",
            str(tmp_path / "data"),
        ],
        env={**os.environ, "PYTHONPATH": f"{others}{os.pathsep}{Path(__file__).parents[1]}"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2, result.stderr
    assert "pip install 'bpy==4.5.*'" in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(not can_mount(), reason="this machine lets no test mount a small disk")
def test_a_full_disk_is_named_and_nothing_is_half_written(tmp_path: Path) -> None:
    script = f"""
set -u
mount -t tmpfs -o size=64k tmpfs {tmp_path}
{" ".join(command("render", "--n", 200, "--out", tmp_path / "data", *DRAFT))}
echo "status $?"
cd {tmp_path}/data/train
find . -name "*.tmp" -o -name dataset.json
find . -name "0*.png" -size 0
"""
    result = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    assert result.stdout == "status 2\n", result
    [line] = [line for line in result.stderr.splitlines() if line.startswith("threedident: ")]
    assert "expected room on the disk, found it full" in line
    assert "the same command again goes on" in line


def test_chunks_cover_every_index_once() -> None:
    for count, workers in [(1, 4), (7, 2), (1000, 3), (0, 2)]:
        cut = chunks(list(range(count)), workers)
        assert [i for chunk in cut for i in chunk] == list(range(count))


def test_indices_survive_being_spelled() -> None:
    for indices in ([0], [0, 1, 2, 5], [3, 5, 7, 8, 9, 250_000]):
        assert parse_indices(spell_indices(indices)) == indices


def test_traversal_moves_one_factor_a_column(tmp_path: Path) -> None:
    from render.figures import VALUES, traversal_rows

    rows = traversal_rows().reshape(len(VALUES), 10, 10)
    for column in range(10):
        others = np.delete(rows[:, column], column, axis=1)
        assert (others == others[0]).all()
        assert rows[:, column, column] == pytest.approx(VALUES)
    out = tmp_path / "traversal.png"
    assert cli("traverse", out, *DRAFT).returncode == 0
    drawn = pixels(out)
    assert drawn.shape[1] > 10 * 32
    assert drawn.std() > 10
    assert [path.name for path in tmp_path.iterdir()] == ["traversal.png"]
    assert "create" in refused("traverse", tmp_path / "no" / "t.png", *DRAFT)
    assert "ends in .png" in refused("traverse", tmp_path / "t.jpg", *DRAFT)
