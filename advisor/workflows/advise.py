"""The steps in their order: script and cluster in, recommendation and picks out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from advisor import slurm
from advisor.errors import InspectionError
from advisor.inspection.workload import Source, Workload
from advisor.inventory.commands import ask_config
from advisor.inventory.described import BACKEND as DESCRIBED
from advisor.inventory.model import Inventory
from advisor.inventory.read import default_cache_dir, read_inventory
from advisor.inventory.site_gpus import catalogue_with
from advisor.placement.candidates import candidate_placements
from advisor.prediction.model import load_model
from advisor.prediction.prediction import Prediction
from advisor.prediction.predictor import predict
from advisor.recommendation.ranking import Rates, rank
from advisor.recommendation.recommendation import RankedPlacement, Recommendation
from advisor.registry import Registry
from advisor.rendering.picks import Pick, choose_picks
from advisor.request.job import Job
from advisor.settings import Settings, data_path
from advisor.submission.ticket import TrainingFile
from advisor.workflows.inspect_job import inspect_job

# Any one of these says that the script trains something; without one, nothing is picked for it.
_SIGNS_OF_TRAINING = ("framework", "model_name", "parameters", "forward_flops_per_sample", "training_flops_per_sample")


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The recommendation, what of it goes into the header, the cluster it speaks of, and the file that trains."""

    recommendation: Recommendation
    picks: tuple[Pick, ...]
    inventory: Inventory
    training: TrainingFile | None

    def cluster_name(self) -> str:
        """The name of the Slurm cluster that jobs go to, which a described one need not bear.

        Raises:
            SlurmError: Slurm cannot be asked.
        """
        if self.inventory.backend != DESCRIBED:
            return self.inventory.cluster_name
        return ask_config(slurm.run).cluster_name

    def submitted_prediction(self, job: Job, *, accepted: bool) -> Prediction | None:
        """The prediction of the placement that the job was submitted to; None where Slurm may choose another.

        ``accepted`` is whether sbatch took the picks.
        """
        best = self.recommendation.recommended
        if best is None or job.asked.tied_by is not None or (self.picks and not accepted):
            return None
        placement = best.prediction.placement
        picked = {pick.name for pick in self.picks}
        if "partition" not in picked and job.asked.request.partitions != (placement.partition,):
            return None
        if "gres" not in picked and job.asked.request.gpu_type is None and len(self._gpus_of(placement.partition)) > 1:
            return None
        return best.prediction

    def _gpus_of(self, partition: str) -> set[str]:
        return {
            gres.gpu.name
            for found in self.inventory.partitions
            if found.name == partition
            for node in found.nodes
            for gres in node.gres
        }


def advise(job: Job, *, tell: Callable[[str], None]) -> Advice:
    """Inspect, read the cluster, place, predict, rank; ``tell`` is told what takes time.

    Raises:
        AdvisorError: a step could not be done.
    """
    settings = job.settings
    inspected = inspect_job(job, tell=tell)
    workload = inspected.workload
    if not is_training(workload):
        why = "".join(f" ({note})" for note in workload.notes)
        raise InspectionError(
            f"nothing is known of what {job.script.name} trains, so nothing is advised{why}.",
            hint="Say what is known, for example: --set framework=torch --set parameters=25e6 --set batch_size=64",
        )
    inventory = read_cluster(job)
    candidates = candidate_placements(workload, inventory, job.asked.request)
    model = load_model(site_registry(settings).promoted())
    recommendation = rank(
        workload,
        predict(workload, candidates.placements, model),
        candidates.rejections,
        objective=settings.objective,
        model=model.identity,
        rates=site_rates(settings),
        time_limit_s=job.asked.request.time_s,
    )
    best = recommendation.recommended
    picks = () if best is None else picks_for(job, best, inventory)
    return Advice(recommendation=recommendation, picks=picks, inventory=inventory, training=inspected.training)


def read_cluster(job: Job) -> Inventory:
    """The described cluster or Slurm's; a test submission leaves no copy of Slurm's answers behind.

    Raises:
        AdvisorError: see ``read_inventory``.
    """
    return read_inventory(
        described=job.settings.inventory,
        backend=job.settings.backend,
        user=job.user,
        catalogue=catalogue_with(job.settings.gpu_catalogue),
        cache_dir=None if job.is_test else default_cache_dir(job.environment),
        account=job.asked.request.account,
        qos=job.asked.request.qos,
        run=partial(slurm.run, timeout_s=job.settings.slurm_timeout_s),
    )


def site_registry(settings: Settings) -> Registry:
    """The site's models, and the prior that ships."""
    return Registry(root=settings.models_dir, shipped=data_path("models") / "prior")


def site_rates(settings: Settings) -> Rates:
    """What the site's energy and GPU time cost."""
    return Rates(
        carbon_intensity_g_per_kwh=settings.carbon_intensity_g_per_kwh,
        price_per_kwh=settings.price_per_kwh,
        price_per_gpu_hour=settings.price_per_gpu_hour,
        pue=settings.pue,
    )


def is_training(workload: Workload) -> bool:
    """Whether anything says that the script trains a network."""
    known = {name for name, fact in workload.facts() if fact.source is not Source.UNKNOWN}
    return not known.isdisjoint(_SIGNS_OF_TRAINING)


def picks_for(job: Job, ranked: RankedPlacement, inventory: Inventory) -> tuple[Pick, ...]:
    """What a header has to say for the job to run in that placement."""
    name = ranked.prediction.placement.partition
    default_time_s = next(found.default_time_s for found in inventory.partitions if found.name == name)
    return choose_picks(ranked, job.asked, default_time_s=default_time_s)
