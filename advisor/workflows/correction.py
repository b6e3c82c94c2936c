"""A job's prediction, repeated with the facts that a dry run beside its training found."""

from __future__ import annotations

from dataclasses import replace

from advisor.corpus.run import Run
from advisor.errors import AdvisorError
from advisor.inventory.site_gpus import catalogue_with
from advisor.prediction.model import load_model
from advisor.prediction.predictor import predict
from advisor.settings import Settings
from advisor.training.corpus_runs import placement_of
from advisor.workflows.site import site_registry


def predicted_anew(run: Run, settings: Settings) -> Run:
    """The run with a prediction from all its facts; unchanged if a dry run found none.

    The corpus keeps the prediction that the job was submitted with; errors are computed from that one.
    """
    if run.found_in_job is None or (run.predicted is None and run.gpu_model is None):
        return run
    try:
        catalogue = catalogue_with(settings.gpu_catalogue)
        placement = run.predicted.placement if run.predicted else placement_of(run, catalogue.identify(run.gpu_model))
        model = load_model(site_registry(settings).promoted())
        (prediction,) = predict(run.workload, [placement], model)
    except AdvisorError:
        return run
    return replace(run, predicted=prediction, model=model.identity)
