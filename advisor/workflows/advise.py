"""Advice: the steps from a script and a cluster to a recommendation and picks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from advisor import slurm
from advisor.errors import InspectionError
from advisor.inspection.workload import Source, Workload
from advisor.inventory.commands import ask_config
from advisor.inventory.described import BACKEND as DESCRIBED
from advisor.inventory.measured import settled
from advisor.inventory.model import Inventory
from advisor.inventory.read import default_cache_dir
from advisor.inventory.site_gpus import catalogue_with
from advisor.placement.candidates import candidate_placements
from advisor.prediction.comparison import joint_of
from advisor.prediction.methods import load_regressors, with_methods
from advisor.prediction.model import load_model
from advisor.prediction.prediction import Prediction
from advisor.prediction.predictor import foresee
from advisor.recommendation.ranking import rank
from advisor.recommendation.recommendation import RankedPlacement, Recommendation
from advisor.registry import StoredModel
from advisor.rendering.picks import Pick, choose_picks
from advisor.request.job import Job
from advisor.submission.ticket import TrainingFile
from advisor.workflows.cluster import read_cluster
from advisor.workflows.inspect_job import inspect_job
from advisor.workflows.site import site_rates, site_registry
from advisor.workflows.time_limit import OutOfTime, time_limit

# Any one of these says that the script trains something; without one, nothing is picked for it.
_SIGNS_OF_TRAINING = ("framework", "model_name", "parameters", "forward_flops_per_sample", "training_flops_per_sample")


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The recommendation, the picks, the cluster it is for, the job as asked for there, and the file that trains.

    ``rank_again`` ranks the ``predictions`` anew when more is known of their placements, such as their expected start.
    """

    recommendation: Recommendation
    picks: tuple[Pick, ...]
    inventory: Inventory
    job: Job
    training: TrainingFile | None
    predictions: tuple[Prediction, ...]
    model: StoredModel
    rank_again: Callable[[Sequence[Prediction]], Recommendation]

    def with_methods(self) -> Advice:
        """The advice with what every other method says of each placement.

        Raises:
            ModelError: the paper's regressors that were stored with the model cannot be read.
        """
        ranked = self.recommendation.ranked
        said = self.other_methods([item.prediction for item in ranked])
        found = tuple(replace(item, prediction=prediction) for item, prediction in zip(ranked, said, strict=True))
        return replace(self, recommendation=replace(self.recommendation, ranked=found))

    def other_methods(self, predictions: Sequence[Prediction]) -> tuple[Prediction, ...]:
        """These predictions with what every other method says of the same run.

        Raises:
            ModelError: the paper's regressors that were stored with the model cannot be read.
        """
        return with_methods(self.recommendation.workload, predictions, load_regressors(self.model))

    def cluster_name(self) -> str:
        """The name of the Slurm cluster that jobs go to; a described cluster may have another name.

        Raises:
            SlurmError: Slurm cannot be asked.
        """
        if self.inventory.backend != DESCRIBED:
            return self.inventory.cluster_name
        return ask_config(slurm.run).cluster_name

    def submitted_prediction(self, submitted: RankedPlacement | None, picks: Sequence[Pick]) -> Prediction | None:
        """The prediction of the placement that the job was submitted to; None where Slurm may choose another.

        Args:
            submitted: the placement that the picks stand for, or that the user's own options name.
            picks: those that sbatch took.
        """
        asked = self.job.asked
        if submitted is None or asked.tied_by is not None:
            return None
        placement = submitted.prediction.placement
        picked = {pick.name for pick in picks}
        if "partition" not in picked and asked.request.partitions != (placement.partition,):
            return None
        if "gres" not in picked and asked.request.gpu_type is None and len(self._gpus_of(placement.partition)) > 1:
            return None
        return submitted.prediction

    def _gpus_of(self, partition: str) -> set[str]:
        return {
            gres.gpu.name
            for found in self.inventory.partitions
            if found.name == partition
            for node in found.nodes
            for gres in node.gres
        }


def advise_in_time(job: Job, *, tell: Callable[[str], None], watch: Callable[[str], None] | None = None) -> Advice:
    """``advise``, within the time that the setting ``advice_timeout_s`` allows.

    Raises:
        AdvisorError: a step could not be done, or not in time.
    """
    limit_s = job.settings.advice_timeout_s
    try:
        with time_limit(limit_s):
            return advise(job, tell=tell, watch=watch)
    except OutOfTime:
        raise InspectionError(
            f"Advice took longer than {limit_s:g} s (advice_timeout_s).",
            hint="Give facts with --set and --no-probe, or set GSBATCH_ADVICE_TIMEOUT_S.",
        ) from None


def advise(job: Job, *, tell: Callable[[str], None], watch: Callable[[str], None] | None = None) -> Advice:
    """Inspect, read the cluster, place, predict, rank; ``tell`` is told what takes time, ``watch`` how it goes on.

    Raises:
        AdvisorError: a step could not be done.
    """
    settings = job.settings
    inspected = inspect_job(job, tell=tell, watch=watch)
    workload = inspected.workload
    if not is_training(workload):
        why = "".join(f" ({note})" for note in workload.notes)
        raise InspectionError(
            f"nothing is known of what {job.script.name} trains, so nothing is advised{why}.",
            hint="Say what is known, for example: --set framework=torch --set parameters=25e6 --set batch_size=64",
        )
    inventory = read_cluster(
        settings,
        cache_dir=None if job.is_test else default_cache_dir(job.environment),  # a test leaves nothing behind
        request=job.asked.request,
    )
    stored = site_registry(settings).promoted()
    model = load_model(stored)
    inventory = settled(inventory, model.measured_gpus(), catalogue_with(settings.gpu_catalogue))
    job = replace(job, asked=job.asked.on_cluster(inventory.cluster_name))
    candidates = candidate_placements(workload, inventory, job.asked.request)
    outlook = foresee(workload, candidates.placements, model)
    joint = joint_of(model, outlook)

    def rank_again(predictions: Sequence[Prediction]) -> Recommendation:
        return rank(
            workload,
            predictions,
            candidates.rejections,
            objective=settings.objective,
            joint=joint,
            model=model.identity,
            rates=site_rates(settings),
            time_limit_s=job.asked.request.time_s,
        )

    recommendation = rank_again(outlook.predictions)
    best = recommendation.recommended
    return Advice(
        recommendation=recommendation,
        picks=() if best is None else picks_for(job, best, inventory),
        inventory=inventory,
        job=job,
        training=inspected.training,
        predictions=outlook.predictions,
        model=stored,
        rank_again=rank_again,
    )


def is_training(workload: Workload) -> bool:
    """Whether anything says that the script trains a network."""
    known = {name for name, fact in workload.facts() if fact.source is not Source.UNKNOWN}
    return not known.isdisjoint(_SIGNS_OF_TRAINING)


def picks_for(job: Job, ranked: RankedPlacement, inventory: Inventory) -> tuple[Pick, ...]:
    """The picks that make the job run in that placement."""
    name = ranked.prediction.placement.partition
    default_time_s = next(found.default_time_s for found in inventory.partitions if found.name == name)
    return choose_picks(ranked, job.asked, default_time_s=default_time_s)
