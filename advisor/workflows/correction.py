"""A job's prediction made anew, with the facts that a dry run beside its training found."""

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
    """The run with the prediction that all its facts allow, for where it runs; as it was where nothing was found.

    The corpus keeps the prediction that the job was submitted with: it is that one whose errors are counted.
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
