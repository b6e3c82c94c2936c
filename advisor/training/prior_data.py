"""Reads the public measurements that the prior is fitted from (../shared/data; not part of the project) into runs.

What a study does not say about its networks (parameters, FLOPs, activations, layers) we computed ourselves by building
them: network_facts.csv, nasbench.py for the cells of EC-NAS-Bench, transformers.py for language models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from advisor.errors import ConfigurationError
from advisor.training.runs import TrainingRun
from advisor.training.studies import language, nvidia, vision

Reader = Callable[[Path], Iterator[TrainingRun]]

STUDIES: Mapping[str, tuple[str, Reader]] = {
    "delrey": ("delrey2024_runs.csv", vision.delrey),
    "gaissa": ("gaissa_seaa2023.csv", vision.gaissa),
    "raphischer": ("raphischer_imagenet.csv", vision.raphischer),
    "ecnas": ("ecnas_rtx6000.csv", vision.ecnas),
    "deepgreen": ("deepgreen_l40s_pytorch.csv", vision.deepgreen),
    "ryujaehun": ("ryujaehun_step_time.csv", vision.ryujaehun),
    "pepr": ("pepr_medimg.csv", vision.pepr),
    "timm": ("timm_train_rtx3090.csv", vision.timm),
    "mayaki": ("mayaki_transformer_steptime.csv", language.mayaki),
    "llm_foundry": ("llm_foundry_training.csv", language.llm_foundry),
    "flagperf": ("flagperf_training.csv", language.flagperf),
    "nvidia_dle": ("nvidia_dle_training.csv", nvidia.nvidia_dle),
    "transformer_layers": ("transformer_layers.csv", language.transformer_layers),
    "miso": ("miso_a100.csv", language.miso),
}


def read_prior(folder: Path, studies: tuple[str, ...] = tuple(STUDIES)) -> list[TrainingRun]:
    """Read the named studies. A study whose file is not there is left out.

    Raises:
        ConfigurationError: the folder holds none of them.
    """
    runs: list[TrainingRun] = []
    for study in studies:
        name, read = STUDIES[study]
        if (folder / name).is_file():
            runs.extend(read(folder / name))
    if not runs:
        raise ConfigurationError(f"No prior data in {folder}.", hint="Give the folder of the measured runs' CSV files.")
    return runs
