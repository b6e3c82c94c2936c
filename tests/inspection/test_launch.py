"""The training inside a batch script: found behind launchers where its words are plain, and never guessed."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest

from advisor.inspection.batch_script import script_of_batch
from advisor.inspection.inspect import ScriptToInspect, inspect
from advisor.inspection.launch.interpreters import interpreter_path
from advisor.inspection.launch.launches import Launch, find_launches
from advisor.inspection.shell.state import HOLE
from advisor.inspection.workload import Fact, Source
from tests.capabilities import frameworks_python

TRAINING = "import torch\nfor epoch in range(3):\n    loss = torch.ones(1)\n    loss.backward()\n"

DISTRIBUTED = """\
import os
import torch
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

torch.distributed.init_process_group("nccl")
rank, world = int(os.environ["LOCAL_RANK"]), int(os.environ["WORLD_SIZE"])
network = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(30, 4).cuda(rank), device_ids=[rank])
data = TensorDataset(torch.randn(640, 30), torch.randint(0, 4, (640,)))
loader = DataLoader(data, 32, sampler=DistributedSampler(data, num_replicas=world, rank=rank))
optimizer = torch.optim.SGD(network.parameters(), 0.1)
for epoch in range(2):
    for samples, labels in loader:
        torch.nn.functional.cross_entropy(network(samples.cuda(rank)), labels.cuda(rank)).backward()
        optimizer.step()
"""


def launches(body: str, *arguments: str, **variables: str) -> list[Launch]:
    """The Python commands of a body, given these arguments."""
    return list(find_launches(body, arguments=arguments, variables=variables).found)


@pytest.mark.parametrize(
    ("body", "interpreter", "script", "arguments"),
    [
        ("python train.py\n", ("python",), "train.py", ()),
        ("module load x\nsrun -n1 python3 -u a/b.py --lr 1e-3 # go\n", ("python3", "-u"), "a/b.py", ("--lr", "1e-3")),
        ('/opt/bin/python3.11 train.py "$@"\n', ("/opt/bin/python3.11",), "train.py", ("a b", "c")),
        ("exec python train.py $1\n", ("python",), "train.py", ("a", "b")),
        ("python \\\n  train.py \\\n  --x 'y z'\n", ("python",), "train.py", ("--x", "y z")),
        ("python train.py --x 1 > log 2>&1\n", ("python",), "train.py", ("--x", "1")),
        ("python train.py 2>&1 | tee log\n", ("python",), "train.py", ()),
        ("cd x && A=1 time nice -n 5 env B=2 python -W ignore t.py & wait\n", ("python", "-W", "ignore"), "t.py", ()),
        (
            'E=30\nexport LR="${LR:-0.1}"\npython t.py --e $E --lr "$LR"\n',
            ("python",),
            "t.py",
            ("--e", "30", "--lr", "0.1"),
        ),
        ("run() {\n  python t.py --id $1\n}\nrun 5\n", ("python",), "t.py", ("--id", "5")),
        ("cat <<EOF > x.sh\npython no.py\nEOF\npython t.py\n", ("python",), "t.py", ()),
        ("timeout --signal=INT 3h mpirun -np 1 -x A --mca a b python t.py\n", ("python",), "t.py", ()),
        ("if [ -f x ]; then echo yes; fi\npython t.py $USER\n", ("python",), "t.py", ("ann",)),
        ("conda run --no-capture-output -n env python t.py\n", ("python",), "t.py", ()),
        ('A=(\n  --lr 1  # rate\n  "x y"\n)\nA+=(-v)\npython t.py "${A[@]}"\n', ("python",), "t.py",
         ("--lr", "1", "x y", "-v")),
        ('A=(--lr 1)\nsrun bash -c "python t.py ${A[*]}"\n', ("python",), "t.py", ("--lr", "1")),
        ("(cd x; python t.py --lr 1)\n", ("python",), "t.py", ("--lr", "1")),
        ("main () {\n  python t.py $1\n}\nmain 3\n", ("python",), "t.py", ("3",)),
        ("cd x &&\n  A=1 python t.py ||\n  exit 1\n", ("python",), "t.py", ()),
        ('C="python t.py --lr 1"\neval "$C" > log\n', ("python",), "t.py", ("--lr", "1")),
        ('srun bash -c "export RANK=\\$SLURM_PROCID && python t.py"\n', ("python",), "t.py", ()),
        ("srun -n2 ./select_gpu python t.py\n", ("python",), "t.py", ()),
        ("S=./t.py\neval $S --x\n", ("python",), "./t.py", ("--x",)),
        ("srun apptainer_wrapper exec python t.py\n", ("python",), "t.py", ()),
        ("python t.py || exit 1\n", ("python",), "t.py", ()),
        ("nohup python t.py > log 2>&1 &\nwait\n", ("python",), "t.py", ()),
        ("timeout 3h python -u t.py > out.txt\n", ("python", "-u"), "t.py", ()),
        ("E=${3:-3}\npython t.py $E\n", ("python",), "t.py", ("3",)),
        ("kernprof -l -v t.py --x 1\n", ("python",), "t.py", ("--x", "1")),
        ("python -m cProfile -o p.out t.py\n", ("python",), "t.py", ()),
        ("nsys profile -t cuda -o x --stats=true python t.py\n", ("python",), "t.py", ()),
        ("ncu --set full -o y python t.py\n", ("python",), "t.py", ()),
        ("perf stat -e x -- python t.py\n", ("python",), "t.py", ()),
        ("numactl --cpunodebind=0 --membind=0 python t.py\n", ("python",), "t.py", ()),
        ("horovodrun -np 4 -H a:2,b:2 python t.py\n", ("python",), "t.py", ()),
        ("poetry run python t.py\n", ("python",), "t.py", ()),
        ("uv run --with x t.py --a\n", ("python",), "t.py", ("--a",)),
        ("docker run --rm -it --gpus all -v /a:/b img python t.py\n", ("python",), "t.py", ()),
        ("ch-run -b /a:/b img -- python t.py\n", ("python",), "t.py", ()),
        ("podman-hpc run --rm --nccl img python t.py\n", ("python",), "t.py", ()),
        ("srun --container-image=i --container-mounts=a:b python t.py\n", ("python",), "t.py", ()),
    ],
)  # fmt: skip
def test_a_command_is_found(body: str, interpreter: tuple[str, ...], script: str, arguments: tuple[str, ...]) -> None:
    """Launchers, flags, continued lines, redirections, functions, here-documents and literal variables are read."""
    (found,) = launches(body, "a b", "c", USER="ann")

    assert (interpreter, script, arguments) == (found.interpreter, found.script, found.arguments)
    assert found.is_whole


@pytest.mark.parametrize(
    "body",
    [
        "echo hello\n", "# python train.py\n", "echo python train.py\n", "python $SCRIPT\n",
        "python $(ls *.py)\n", "cat <<'END'\npython t.py\nEND\n", "f() { python t.py; }\n", "python -\n",
        "which python\n", "bash run.sh\n", "X='eval $X'\neval $X\n", 'bash -c "python $N"\n',
    ],
)  # fmt: skip
def test_what_starts_no_known_file_is_no_launch(body: str) -> None:
    """No dry run is better than one of the wrong words; a function that is not called starts nothing."""
    assert [] == launches(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("python t.py --data $DATA\n", "$DATA, which is set nowhere that can be seen"),
        ("python t.py $(cat arguments)\n", "$(cat arguments), which only running it would tell"),
        ("python t.py --id $SLURM_ARRAY_TASK_ID\n", "which differs for each task of the array"),
        ("for s in $SEEDS; do python t.py --seed $s; done\n", "which differs in each round of a loop"),
        ("E=1\nif [ -f x ]; then E=2; fi\npython t.py $E\n", "which is set under a condition"),
        ("python t.py *.yaml\n", "which the shell expands"),
        ("[ -f x ] && E=2 || E=3\npython t.py $E\n", "which is set under a condition"),
        ("A=(1)\nif [ -f x ]; then A+=(2); fi\npython t.py ${A[@]}\n", "which is set under a condition"),
    ],
)
def test_what_only_a_shell_could_tell_is_said(body: str, reason: str) -> None:
    """The command is known, one of its words is not: the user is told which and why."""
    (found,) = launches(body)

    assert [] != [text for text in found.unknown if reason in text]
    assert not found.is_whole


@pytest.mark.parametrize(
    ("body", "processes", "launcher"),
    [
        ("torchrun --nproc_per_node=4 t.py", 4, "torchrun"),
        ("torchrun --standalone --nproc-per-node 2 --nnodes 2 t.py --nproc 9", 4, "torchrun"),
        ("srun torchrun --nproc_per_node=$SLURM_GPUS_ON_NODE t.py", 8, "torchrun"),
        ("torchrun --nproc_per_node=gpu t.py", 8, "torchrun"),
        ("torchrun --nproc_per_node=$N t.py", None, "torchrun"),
        ("python -u -m torch.distributed.run --nproc_per_node 2 t.py", 2, "torchrun"),
        ("accelerate launch --multi_gpu --num_processes 8 --num_machines 2 t.py", 8, "accelerate"),
        ("accelerate launch --config_file a.yaml t.py", None, "accelerate"),
        ("deepspeed --num_gpus=4 t.py --deepspeed ds.json", 4, "deepspeed"),
        ("srun -n 4 --gpus-per-task 1 python t.py", 4, "srun"),
        ("srun python t.py", 2, "srun"),
        ("mpirun -np 3 -H a,b python t.py", 3, "mpirun"),
    ],
)
def test_launchers_say_how_many_processes(body: str, processes: int | None, launcher: str) -> None:
    """A batch is as many times larger; where a file or a variable decides, the number is unknown."""
    (found,) = launches(body, SLURM_NTASKS="2", SLURM_GPUS_ON_NODE="8")

    assert (processes, launcher, "t.py") == (found.processes, found.launcher, found.script)


def test_accelerate_says_the_precision() -> None:
    """It reaches the script by a variable, which no source shows."""
    (found,) = launches("accelerate launch --mixed_precision=bf16 t.py")

    assert "mixed_bfloat16" == found.precision


def executable(path: Path) -> Path:
    """A file that could be an interpreter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_job_s_interpreter_is_found(tmp_path: Path) -> None:
    """An activated environment decides, then conda's, then PATH; what is not here is None."""
    venv = executable(tmp_path / "venv" / "bin" / "python")
    conda = executable(tmp_path / "miniconda3" / "envs" / "dl" / "bin" / "python")
    plain = executable(tmp_path / "bin" / "python3")
    environment = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}

    def found(body: str) -> Path | None:
        (launch,) = find_launches(body, arguments=(), variables=environment).found
        return interpreter_path(launch, environment=environment, folder=tmp_path)

    assert venv == found("source venv/bin/activate\npython t.py")
    assert conda == found("conda activate dl\npython t.py")
    assert conda == found("conda run -n dl python t.py")
    assert plain == found("python t.py")
    assert plain == found(f"export PATH={tmp_path}/bin:$PATH\npython3 t.py")
    assert found("conda activate other\npython t.py") is None


def of_batch(folder: Path, body: str, *arguments: str, **slurm: str) -> ScriptToInspect | str:
    """What is found in a batch script of this folder."""
    environment = {"PATH": str(Path(sys.executable).parent)}
    return script_of_batch(body, arguments=arguments, environment=environment, slurm=slurm, folder=folder)


def test_of_several_scripts_the_one_that_trains_is_taken(tmp_path: Path) -> None:
    """Preparing data before a training is none; two trainings are not guessed between."""
    for name in ("train.py", "again.py"):
        (tmp_path / name).write_text(TRAINING, encoding="utf-8")
    (tmp_path / "prepare.py").write_text("import torch\n", encoding="utf-8")
    found = of_batch(tmp_path, "python prepare.py\npython train.py --a 1\n")
    several = of_batch(tmp_path, "python again.py\npython train.py\n")

    assert isinstance(found, ScriptToInspect)
    assert (tmp_path / "train.py", ("--a", "1"), None) == (found.path, found.arguments, found.opaque)
    assert isinstance(several, str)
    assert "several trainings (again.py, train.py)" in several


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("singularity exec --nv -B /x image.sif python train.py", "container image.sif"),
        ("srun --container-image=nvcr#torch python train.py", "container nvcr#torch"),
        ("uv run python train.py", "uv run chooses its Python"),
        ("conda activate none\npython train.py", "environment none is not here"),
        ("python train.py --d $D", "$D"),
    ],
)
def test_why_it_cannot_be_dry_run_is_said(tmp_path: Path, body: str, reason: str) -> None:
    """A dry run in another Python than the job's would tell of another training; its source can still be read."""
    (tmp_path / "train.py").write_text(TRAINING, encoding="utf-8")
    found = of_batch(tmp_path, body)

    assert isinstance(found, ScriptToInspect)
    assert found.opaque is not None
    assert reason in found.opaque


def test_a_launcher_s_processes_are_devices(tmp_path: Path) -> None:
    """Processes of torchrun train together; those of srun where the scripts let them know of each other."""
    (tmp_path / "train.py").write_text(TRAINING, encoding="utf-8")
    together = of_batch(tmp_path, "torchrun --nproc_per_node=4 train.py")
    alone = of_batch(tmp_path, "srun -n4 python train.py")
    ranked = of_batch(tmp_path, "srun -n4 bash -c 'RANK=$SLURM_PROCID WORLD_SIZE=4 python train.py'")
    (tmp_path / "lit.py").write_text("import lightning\n" + TRAINING, encoding="utf-8")
    lightning = of_batch(tmp_path, "srun -n4 python lit.py")

    assert isinstance(ranked, ScriptToInspect)
    assert isinstance(lightning, ScriptToInspect)
    assert (4, 4) == (ranked.processes, lightning.processes)
    assert {"RANK": "0", "WORLD_SIZE": "1"}.items() <= dict(ranked.variables).items()
    assert isinstance(together, ScriptToInspect)
    assert isinstance(alone, ScriptToInspect)
    assert ({"devices": Fact(4, Source.LAUNCHER)}, 4) == (together.facts, together.processes)
    assert ({}, 1) == (alone.facts, alone.processes)


def test_a_script_finds_its_rank_in_a_dry_run(tmp_path: Path) -> None:
    """The launcher's variables are those of one that is alone; what such a one cannot know is the launcher's."""
    python = frameworks_python("torch")
    if python is None:
        pytest.skip("no interpreter with PyTorch: tests/frameworks.sh makes it")
    (tmp_path / "train.py").write_text(DISTRIBUTED, encoding="utf-8")
    found = of_batch(tmp_path, "torchrun --nproc_per_node=4 train.py")

    assert isinstance(found, ScriptToInspect)
    workload = inspect(
        dataclasses.replace(found, interpreter=(python,), opaque=None),
        options={},
        directives={},
        probe="on",
        environment=dict(os.environ),
        tell=lambda _message: None,
    )
    assert (4 * 32, Source.PROBE) == (workload.batch_size.value, workload.batch_size.source)
    assert Fact(4, Source.LAUNCHER) == workload.devices
    assert (640, 2, None) == (workload.train_samples.value, workload.epochs.value, workload.steps.value)


def test_modules_and_packages_are_found(tmp_path: Path) -> None:
    """``python -m package.train`` runs a file below the working folder; what is loaded by module is said."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "train.py").write_text(TRAINING, encoding="utf-8")
    found = of_batch(tmp_path, "module load cuda/12\npython -m package.train")

    assert isinstance(found, ScriptToInspect)
    assert (tmp_path / "package" / "train.py", "package.train") == (found.path, found.module)
    assert "module load cuda/12" in found.notes[0]


def test_accelerate_s_configuration_says_processes_and_precision(tmp_path: Path) -> None:
    """The file that the command names, else one process for each GPU of the node; what cannot be read is said."""
    (tmp_path / "train.py").write_text(TRAINING, encoding="utf-8")
    (tmp_path / "a.yaml").write_text("num_processes: 6\nmixed_precision: bf16\n", encoding="utf-8")
    told = of_batch(tmp_path, "accelerate launch --config_file a.yaml train.py")
    untold = of_batch(tmp_path, "accelerate launch train.py", SLURM_GPUS_ON_NODE="4")
    absent = of_batch(tmp_path, "accelerate launch --config_file none.yaml train.py", SLURM_GPUS_ON_NODE="4")

    assert isinstance(told, ScriptToInspect)
    assert isinstance(untold, ScriptToInspect)
    assert isinstance(absent, ScriptToInspect)
    assert (6, "mixed_bfloat16") == (told.processes, told.facts["precision"].value)
    assert (4, {"devices": Fact(4, Source.LAUNCHER)}) == (untold.processes, untold.facts)
    assert (1, {}) == (absent.processes, absent.facts)
    assert "how many processes its launcher starts is not known" in absent.notes[-1]


def test_a_loop_over_seeds_is_told_by_its_first_round(tmp_path: Path) -> None:
    """The first round can be dry-run; a note says how many more there are."""
    (tmp_path / "train.py").write_text(TRAINING, encoding="utf-8")
    found = of_batch(tmp_path, "for s in 7 8 9; do python train.py --seed $s; done\n")

    assert isinstance(found, ScriptToInspect)
    assert (("--seed", "7"), None) == (found.arguments, found.opaque)
    assert ("the batch script starts it 3 times in a loop: the facts are those of the first (--seed 7)",) == found.notes


def test_arms_of_one_condition_are_one_training(tmp_path: Path) -> None:
    """Resumed or not, it is the same script; what the arms do not agree about is unknown, not guessed."""
    (tmp_path / "train.py").write_text(TRAINING, encoding="utf-8")
    body = "if [ -f last.pt ]; then python train.py --lr 1 --resume; else python train.py --lr 1; fi\n"
    found = of_batch(tmp_path, body)

    assert isinstance(found, ScriptToInspect)
    assert ("--lr", "1", HOLE) == found.arguments
    assert found.opaque is not None
    assert "an if of the batch script decides" in found.opaque


def test_what_the_script_exports_reaches_the_dry_run(tmp_path: Path) -> None:
    """Variables and the folder are the job's; of a list of folders the known ones are kept; ranks are those of one."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "train.py").write_text(TRAINING, encoding="utf-8")
    body = (
        "export EPOCHS=3 PYTHONPATH=/lib/mine:$PYTHONPATH DATA=$(find_data)\nLOCAL=1\ncd sub\n"
        "srun bash -c 'RANK=$SLURM_PROCID python train.py'\n"
    )
    found = of_batch(tmp_path, body)

    assert isinstance(found, ScriptToInspect)
    assert {"EPOCHS": "3", "PYTHONPATH": "/lib/mine", "RANK": "0"} == dict(found.variables)
    assert tmp_path / "sub" == found.folder


def test_of_an_array_the_first_task_is_told(tmp_path: Path) -> None:
    """Its number chooses among settings; the script may read it from the environment too."""
    (tmp_path / "train.py").write_text(TRAINING, encoding="utf-8")
    body = "RATES=(0.1 0.2)\npython train.py --lr ${RATES[$SLURM_ARRAY_TASK_ID]}\n"
    found = of_batch(tmp_path, body, SLURM_ARRAY_TASK_ID="1")

    assert isinstance(found, ScriptToInspect)
    assert ("--lr", "0.2") == found.arguments
    assert {"SLURM_ARRAY_TASK_ID": "1"} == dict(found.variables)
    assert "first task (1)" in found.notes[-1]


def test_values_that_no_training_depends_on_are_stood_in_for(tmp_path: Path) -> None:
    """A job's number in the name of a folder is no reason not to try the script; the user is told."""
    (tmp_path / "train.py").write_text(TRAINING, encoding="utf-8")
    found = of_batch(tmp_path, "export ID=$SLURM_JOB_ID\npython train.py --out runs/$SLURM_JOB_ID --data $DATA\n")

    assert isinstance(found, ScriptToInspect)
    assert ("--out", "runs/1000001", "--data", HOLE) == found.arguments
    assert {"ID": "1000001"} == dict(found.variables)
    assert "any value stands for $SLURM_JOB_ID" in found.notes[0]


def test_one_process_sees_all_gpus_of_its_node(tmp_path: Path) -> None:
    """``nn.DataParallel`` uses them all; CUDA_VISIBLE_DEVICES says otherwise, and a launcher's process has its own."""
    (tmp_path / "train.py").write_text(TRAINING, encoding="utf-8")

    def gpus(body: str) -> int:
        found = of_batch(tmp_path, body, SLURM_GPUS_ON_NODE="4")
        assert isinstance(found, ScriptToInspect)
        return found.gpus

    assert 4 == gpus("python train.py\n")
    assert 2 == gpus("CUDA_VISIBLE_DEVICES=0,1 python train.py\n")
    assert 1 == gpus("torchrun --nproc_per_node=4 train.py\n")


def test_a_program_that_is_given_as_text_is_read(tmp_path: Path) -> None:
    """A here-document, ``-c`` and a notebook are trainings too; a check of the versions before it is none."""
    (tmp_path / "train.py").write_text(TRAINING, encoding="utf-8")
    notebook = {"cells": [{"cell_type": "code", "source": ["%matplotlib inline\n", TRAINING]}]}
    (tmp_path / "train.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    given = of_batch(tmp_path, "python - <<EOF\nimport train\nEOF\n")
    checked = of_batch(tmp_path, "python -c 'import torch; print(torch.__version__)'\npython train.py\n")
    executed = of_batch(tmp_path, "jupyter nbconvert --to notebook --execute train.ipynb\n")

    assert isinstance(given, ScriptToInspect)
    assert isinstance(checked, ScriptToInspect)
    assert isinstance(executed, ScriptToInspect)
    assert ("import train\n", str(tmp_path)) == (given.path.read_text(encoding="utf-8"), given.variables["PYTHONPATH"])
    assert tmp_path / "train.py" == checked.path
    assert "pass\n" + TRAINING == executed.path.read_text(encoding="utf-8").rstrip("\n") + "\n"


def test_scripts_that_the_batch_script_starts_are_read(tmp_path: Path) -> None:
    """``bash FILE``, ``./FILE`` with a shebang, a sourced file, and one that the batch script itself writes."""
    (tmp_path / "train.py").write_text("#!/usr/bin/env python3\n" + TRAINING, encoding="utf-8")
    (tmp_path / "run.sh").write_text("#!/bin/bash\npython train.py --a $1 $B\n", encoding="utf-8")
    (tmp_path / "settings.sh").write_text("B=set\nexport B\n", encoding="utf-8")
    bodies = {
        "bash run.sh 1\n": ("--a", "1", HOLE),
        "source settings.sh\nsrun ./run.sh 1\n": ("--a", "1", "set"),
        "./train.py --x\n": ("--x",),
        "cat > made.sh <<'EOF'\nexec \"$@\"\nEOF\nchmod +x made.sh\n./made.sh python train.py 5\n": ("5",),
    }
    for body, arguments in bodies.items():
        found = of_batch(tmp_path, body)

        assert isinstance(found, ScriptToInspect), body
        assert (tmp_path / "train.py", arguments) == (found.path, found.arguments)


def test_one_script_started_twice_is_two_trainings(tmp_path: Path) -> None:
    """Two seeds side by side are not one training; the reason says which script, and how often."""
    (tmp_path / "train.py").write_text(TRAINING, encoding="utf-8")
    found = of_batch(tmp_path, "python train.py --seed 1 &\npython train.py --seed 2 &\nwait\n")

    assert isinstance(found, str)
    assert "several trainings (train.py 2 times)" in found


def test_the_folder_at_hand_counts_where_pwd_names_another(tmp_path: Path) -> None:
    """A process that was started in another folder inherits an old PWD; bash sets it anew, and so do we."""
    (tmp_path / "train.py").write_text("import torch\n", encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "PWD": "/"}

    found = script_of_batch("python3 train.py", arguments=(), environment=environment, slurm={}, folder=tmp_path)

    assert isinstance(found, ScriptToInspect)
    assert tmp_path / "train.py" == found.path
