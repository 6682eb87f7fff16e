"""Training, scoring and reporting, on small pictures whose colours are their positions."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.metrics import score
from tests.conftest import can_mount, cli, command, contents, make_images, refused, start
from threedident import Normal, PositivePairs, ThreeDIdent
from threedident.locking import locked
from threedident.storage import sha256

SMALL = ("--batch-size", 32, "--learning-rate", "1e-3", "--device", "cpu", "--workers", 0)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Exactness is a law for one thread; with several, sums may be formed in another order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("images"), n=400, n_test=120)


def run(data: Path, out: Path, *arguments: object) -> dict[str, Any]:
    result = cli("benchmark", "--data", data, "--out", out, *SMALL, *arguments)
    assert result.returncode == 0, result.stderr
    scores: dict[str, Any] = json.loads((out / "scores.json").read_text())
    return scores


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    run(data, out, "--steps", 40, "--seeds", "0,3")
    return out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--loss", "l2"),
        ("--loss", "l1", "--output-space", "unbounded", "--conditional", "laplace"),
        ("--loss", "dot"),
        ("--loss", "supervised"),
    ],
    ids=str,
)
def test_training_recovers_what_the_images_show(
    data: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    scores = run(data, tmp_path / "run", "--steps", 60, *arguments)
    [seed] = scores["seeds"]
    shown = [np.mean(seed[stage]["r2_per_factor"][:3]) for stage in ("untrained", "trained")]
    hidden = np.mean(seed["trained"]["r2_per_factor"][3:])
    assert shown[1] > shown[0] + 0.05
    assert shown[1] > 0.6
    assert hidden < 0.1


def test_scores_are_those_of_the_representations(data: Path, finished: Path) -> None:
    scores = json.loads((finished / "scores.json").read_text())
    latents = np.load(data / "test" / "raw_latents.npy")
    for entry in scores["seeds"]:
        codes = np.load(finished / "representations" / f"seed-{entry['seed']}.npy")
        assert score(latents, codes).r2 == pytest.approx(entry["trained"]["r2"], abs=1e-12)
        assert score(latents, codes).mcc == pytest.approx(entry["trained"]["mcc"], abs=1e-12)
    values = [entry["trained"]["mcc"] for entry in scores["seeds"]]
    assert [entry["seed"] for entry in scores["seeds"]] == [0, 3]
    assert scores["mcc"] == pytest.approx(np.mean(values))
    assert scores["mcc_sd"] == pytest.approx(np.std(values, ddof=1))


def test_scores_are_taken_in_eval_mode_and_in_the_order_of_rows(
    data: Path, finished: Path
) -> None:
    from benchmark.config import Config, Law
    from benchmark.evaluation import represent
    from benchmark.image_source import ImageSource
    from benchmark.objective import Objective
    from benchmark.ranks import Ranks
    from benchmark.sources import Machine

    config = Config.model_validate_json((finished / "config.json").read_bytes())
    split = ThreeDIdent(data, "test")
    source = ImageSource((ThreeDIdent(data), split), "nearest", Law(name="normal", sigma=0.1))
    objective = Objective(config, source, 0, Ranks())
    state = torch.load(finished / "checkpoints" / "seed-0.pt")["objective"]
    objective.load_state_dict(state)
    model = objective.model
    codes = represent(model, config, source, 0, Machine(torch.device("cpu")))
    assert model.training
    assert codes == pytest.approx(np.load(finished / "representations" / "seed-0.npy"), abs=1e-6)
    with torch.no_grad():
        alone = torch.cat([model.eval()(split[i][0][None]) for i in (5, 0)])
    assert alone.numpy() == pytest.approx(codes[[5, 0]], abs=1e-4)


def test_run_folder_is_complete(finished: Path) -> None:
    config = json.loads((finished / "config.json").read_text())
    assert config["seeds"] == [0, 3]
    assert (config["loss"], config["output_space"], config["steps"]) == ("l2", "box", 40)
    records = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    for seed in (0, 3):
        steps = [r["step"] for r in records if r["seed"] == seed and "loss" in r]
        assert steps == list(range(1, 41))
        scored = [r["step"] for r in records if r["seed"] == seed and "r2" in r]
        assert scored[0] == 0
        assert scored[-1] == 40
    figures = {path.name for path in (finished / "figures").iterdir()}
    assert figures == {
        "curves.png",
        "correlation.png",
        "scatter.png",
        "traversal.png",
        "delivered.png",
    }


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


def test_report_needs_no_network(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    links = Links()
    links.feed(page)
    assert len(links.sources) == len(list((finished / "figures").iterdir())) == 5
    assert all(source.startswith("data:image/png;base64,") for source in links.sources)
    assert not links.tags & {"script", "link", "iframe"}
    scores = json.loads((finished / "scores.json").read_text())
    for value in (scores["r2"], scores["mcc"], scores["untrained"]["r2"]):
        assert f"{value:.3f}" in page


def test_report_shows_the_rendered_traversal_where_there_is_one(
    data: Path, finished: Path, tmp_path: Path
) -> None:
    drawn = shutil.copytree(data, tmp_path / "data")
    shutil.copy(finished / "figures" / "curves.png", drawn / "traversal.png")
    run(drawn, tmp_path / "run", "--steps", 1)
    shown = (tmp_path / "run" / "figures" / "traversal.png").read_bytes()
    assert shown == (drawn / "traversal.png").read_bytes()
    assert "Rendered traversal" in (tmp_path / "run" / "report.html").read_text()


def results(out: Path) -> dict[str, str]:
    """Digests of everything that a run computes."""
    state = torch.load(out / "checkpoints" / "seed-0.pt")
    tensors = {f"model {name}": tensor for name, tensor in state["objective"].items()}
    for index, moments in state["optimizer"]["state"].items():
        tensors |= {f"adam {index} {name}": value for name, value in moments.items()}
    digests = {name: sha256(tensor.numpy().tobytes()) for name, tensor in tensors.items()}
    for name in ("metrics.jsonl", "scores.json", "representations/seed-0.npy"):
        digests[name] = sha256((out / name).read_bytes())
    return digests


LOSSES = [("--loss", "l2"), ("--loss", "supervised")]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_resume_after_a_kill_equals_an_undisturbed_run(
    data: Path, tmp_path: Path, loss: tuple[str, str]
) -> None:
    arguments = ("--data", data, *SMALL, "--steps", 30, *loss)
    run(data, tmp_path / "whole", "--steps", 30, *loss)
    out = tmp_path / "killed"
    script = (
        "import sys, benchmark.loop as t; t.CHECKPOINT_PERIOD_S = 0.3;"
        "from threedident.cli import main; main(sys.argv[1:])"
    )
    line = [sys.executable, "-c", script, *map(str, ("benchmark", *arguments, "--out", out))]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = out / "checkpoints" / "seed-0.pt"
    wait_for_step(checkpoint, 3)
    process.kill()
    process.wait()
    assert 3 <= torch.load(checkpoint)["step"] < 30
    run(data, out, "--steps", 30, *loss, "--resume")
    assert results(out) == results(tmp_path / "whole")


def wait_for_step(checkpoint: Path, step: int) -> None:
    end = time.monotonic() + 300
    while not checkpoint.is_file() or torch.load(checkpoint)["step"] < step:
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_save_between_two_steps(data: Path, tmp_path: Path, number: int) -> None:
    run(data, tmp_path / "whole", "--steps", 40)
    out = tmp_path / "run"
    process = start("benchmark", "--data", data, *SMALL, "--steps", 40, "--out", out)
    wait_for_step(out / "checkpoints" / "seed-0.pt", 0)
    time.sleep(0.5)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    name = "interrupted" if number == signal.SIGINT else signal.Signals(number).name
    assert f"threedident: {name}: seed 0 is saved at step" in stderr
    assert "with --resume goes on from there" in stderr
    run(data, out, "--steps", 40, "--resume")
    assert results(out) == results(tmp_path / "whole")


def test_loader_processes_do_not_change_a_bit(data: Path, tmp_path: Path) -> None:
    for workers in (0, 2):
        run(data, tmp_path / str(workers), "--steps", 5, "--workers", workers)
    assert results(tmp_path / "0") == results(tmp_path / "2")


def test_packs_do_not_change_a_bit(data: Path, tmp_path: Path) -> None:
    packed = shutil.copytree(data, tmp_path / "data")
    assert cli("pack", packed, "--resolution", 8).returncode == 0
    for loss in ("l2", "supervised"):
        for root in (data, packed):
            out = tmp_path / loss / root.parent.name
            run(root, out, "--steps", 5, "--resolution", 8, "--loss", loss)
        ours, theirs = (results(out) for out in (tmp_path / loss).iterdir())
        assert ours == theirs


def test_a_run_says_what_its_pairs_delivered(data: Path, finished: Path) -> None:
    delivered = json.loads((finished / "delivered.json").read_text())
    expected = PositivePairs(ThreeDIdent(data), Normal(0.1), seed=0).delivered()
    assert delivered == expected.to_json()
    assert all(delivered["delivered"][name] > 0.1 for name in delivered["requested"])


def test_a_finished_run_resumes_to_the_same_results(data: Path, finished: Path) -> None:
    before = results(finished)
    run(data, finished, "--steps", 40, "--seeds", "0,3", "--resume")
    assert results(finished) == before


def test_a_loss_that_explodes_stops_the_run(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    line = refused(
        "benchmark", "--data", data, "--out", out, *SMALL, "--learning-rate", "1e30", "--steps", 50
    )
    assert "loss: expected a finite number" in line
    assert "after step" in line
    assert torch.load(out / "checkpoints" / "seed-0.pt")["step"] == 0
    assert not (out / "scores.json").exists()


def test_codes_that_explode_stop_the_run(data: Path, tmp_path: Path) -> None:
    arguments = ("--output-space", "unbounded", "--learning-rate", "1e15", "--steps", 1)
    line = refused("benchmark", "--data", data, "--out", tmp_path / "run", *SMALL, *arguments)
    assert "lower --learning-rate" in line


def test_interrupt_during_the_first_scores_can_be_resumed(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start("benchmark", "--data", data, *SMALL, "--steps", 2, "--out", out)
    while not (out / "metrics.jsonl").is_file():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "--resume goes on from there" in stderr
    run(data, out, "--steps", 2, "--resume")
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps == [0, 1, 1, 2, 2]


def test_too_few_test_images_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    images = make_images(tmp_path / "images", n=20, n_test=3)
    line = refused("benchmark", "--data", images, "--out", tmp_path / "run", "--batch-size", 4)
    assert "expected at least 4 test images" in line
    assert not (tmp_path / "run").exists()


def test_a_damaged_image_is_named_in_one_line_by_loader_processes(
    rendered: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    image = data / "test" / "images" / "000004.png"
    content = bytearray(image.read_bytes())
    content[60:90] = bytes(30)
    image.write_bytes(content)
    arguments = ("--batch-size", 4, "--steps", 1, "--device", "cpu", "--workers", 2)
    line = refused("benchmark", "--data", data, "--out", tmp_path / "run", *arguments)
    assert "000004.png: expected an image, found a damaged file" in line
    assert "Caught" not in line


def test_damaged_logs_and_foreign_checkpoints_are_named(
    data: Path, finished: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(finished, tmp_path / "run")
    shared = ("benchmark", "--data", data, "--out", out, *SMALL, "--steps", 40)
    (out / "metrics.jsonl").write_text("[1]\n")
    assert "metrics.jsonl: expected the scores" in refused(*shared, "--seeds", "0,3", "--resume")
    torch.save({"x": 1}, out / "checkpoints" / "seed-0.pt")
    line = refused(*shared, "--seeds", "0,3", "--resume")
    assert "expected a checkpoint of this run, found another" in line


@pytest.mark.skipif(not can_mount(), reason="this machine lets no test mount a small disk")
def test_a_full_disk_is_named(data: Path, tmp_path: Path) -> None:
    line = " ".join(command("benchmark", "--data", data, *SMALL, "--steps", 3))
    script = f"mount -t tmpfs -o size=20m tmpfs {tmp_path} && exec {line} --out {tmp_path}/run"
    result = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)
    assert result.returncode == 2, result.stderr
    assert "expected room on the disk, found it full" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_is_not_overwritten(data: Path, finished: Path) -> None:
    before = results(finished)
    shared = ("benchmark", "--data", data, "--out", finished, *SMALL)
    assert "add --resume" in refused(*shared, "--steps", 40, "--seeds", "0,3")
    line = refused(*shared, "--steps", 41, "--seeds", "0,3", "--resume")
    assert "steps 40 where 41 is asked for" in line
    assert results(finished) == before


def test_two_runs_do_not_share_a_folder(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ("benchmark", "--data", data, *SMALL, "--steps", 500, "--out", out)
    process = start(*arguments, "--workers", 1)
    wait_for_step(out / "checkpoints" / "seed-0.pt", 0)
    assert "expected no other run at work" in refused(*arguments, "--resume")
    process.kill()
    process.communicate()
    with locked(out):  # loader processes do not hold on to it
        assert (out / "config.json").is_file()


def test_a_killed_loader_process_is_named(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start("benchmark", "--data", data, "--steps", 500, "--out", out, *SMALL[:-1], 1)
    wait_for_step(out / "checkpoints" / "seed-0.pt", 0)
    while process.poll() is None:
        pgrep = ["pgrep", "-P", str(process.pid)]
        for child in subprocess.run(pgrep, capture_output=True, text=True).stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        time.sleep(0.5)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2, stderr
    assert "expected its processes to live, but" in stderr
    assert "Traceback" not in stderr


def test_strange_folders_and_damaged_files_are_refused(
    data: Path, finished: Path, tmp_path: Path
) -> None:
    shared = ("benchmark", "--data", data, *SMALL, "--steps", 40, "--seeds", "0,3", "--resume")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "love.txt").write_text("dear")
    (tmp_path / "letters" / ".draft.1.tmp").write_text("dearest")
    assert "found other files" in refused(*shared, "--out", tmp_path / "letters")
    assert len(contents(tmp_path / "letters")) == 2
    copy = shutil.copytree(finished, tmp_path / "copy")
    os.truncate(copy / "checkpoints" / "seed-0.pt", 1000)
    assert "expected a checkpoint, found a damaged file" in refused(*shared, "--out", copy)
    (copy / "config.json").write_text("{}")
    assert "config.json: expected the configuration" in refused(*shared, "--out", copy)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--encoder", "vgg"), "resnet18, resnet34"),
        (("--encoder", "no_such:Net"), "ModuleNotFoundError"),
        (("--encoder", "mlp", "--loss", "l0.5"), "exponent of at least 1"),
        (("--loss", "hinge"), "l1, l2, l3, dot, cosine, supervised"),
        (("--output-space", "torus"), "'unbounded', 'sphere'"),
        (("--loss", "dot", "--output-space", "box"), "fits the loss dot (sphere, learned-sphere)"),
        (("--conditional", "cauchy"), "normal, laplace, gennorm3"),
        (("--conditional", "vmf", "--loss", "dot"), "normal, laplace, gennorm3, uniform"),
        (("--loss", "supervised", "--sigma", 1), "which has no pairs"),
        (("--loss", "supervised", "--symmetric"), "which has no pairs"),
        (("--factors", 3), "expected with --source mixing"),
        (("--source", "rendered"), "render with --pairs"),
        (("--warmup", 5, "--steps", 5), "fewer than the 5 steps"),
        (("--protocol", "published"), "expected at least 4096 test rows"),
        (("--jobs", 2), "expected beside --suite"),
        (("--sigma", 0), "--sigma"),
        (("--sigma", "nan"), "--sigma"),
        (("--learning-rate", "inf"), "--learning-rate"),
        (("--seeds", "²"), "distinct integers"),
        (("--seeds", 10**20), "distinct integers"),
        (("--steps", -1), "--steps"),
        (("--batch-size", 1), "--batch-size"),
        (("--batch-size", 500), "expected at most 400, the images of the train split, found 500"),
        (("--seeds", "0,0"), "distinct integers"),
        (("--seeds", "a"), "distinct integers"),
    ],
)
def test_bad_arguments_are_refused(
    data: Path, tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    shared = ("--data", data, "--batch-size", 32, "--out", tmp_path / "run")
    assert words in refused("benchmark", *shared, *arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_an_absent_gpu_is_named(data: Path) -> None:
    assert "no CUDA GPU" in refused("benchmark", "--data", data, "--device", "cuda")


def test_bad_data_is_refused_before_training(rendered: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "run", "--batch-size", 2)
    assert "no folder" in refused("benchmark", "--data", tmp_path / "nothing", *out)
    data = shutil.copytree(rendered, tmp_path / "data")
    image = data / "test" / "images" / "000002.png"
    os.truncate(image, image.stat().st_size - 1)
    assert "000002.png" in refused("benchmark", "--data", data, *out)
    image.unlink()
    assert "1 missing, first 000002.png" in refused("benchmark", "--data", data, *out)
    shutil.rmtree(data / "test")
    assert "test/dataset.json" in refused("benchmark", "--data", data, *out)
    (data / "train" / "dataset.json").unlink()
    assert "train/dataset.json" in refused("benchmark", "--data", data, *out)
    assert not (tmp_path / "run").exists()
