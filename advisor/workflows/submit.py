"""Submission: advise, write the script, call sbatch, keep a ticket. A failure of ours does not stop the submission."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from advisor.errors import AdvisorError, SlurmError, SlurmNotFound
from advisor.inspection.workload import Workload
from advisor.rendering.picks import Pick
from advisor.request.command_line import CommandLine
from advisor.request.job import Job, load_script, read_job
from advisor.request.sbatch_options import arguments_without_quiet
from advisor.request.script import Script, ScriptKind, interpreter_command
from advisor.submission.environment import submission_environment
from advisor.submission.quiet import quiet_outputs
from advisor.submission.real_sbatch import sbatch_call
from advisor.submission.submit import BatchScript, Outputs, Submission, run_sbatch, submit
from advisor.submission.ticket import write_ticket
from advisor.workflows.advise import Advice, advise_in_time
from advisor.workflows.choices import Choice, choices
from advisor.workflows.listener import Listener
from advisor.workflows.new_ticket import new_ticket
from advisor.workflows.submission_form import SubmissionForm, submission_form
from advisor.workflows.write_script import new_ticket_id, recorder_of

_NO_SLURM_HINT = "Without Slurm: --advise, --print-script or --local, with --inventory FILE."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call of gsbatch. ``stdin_data`` is None where the script does not come on standard input."""

    line: CommandLine
    environment: Mapping[str, str]
    stdin_data: bytes | None
    outputs: Outputs
    listener: Listener
    is_plain: bool

    @property
    def stdin_text(self) -> str | None:
        """Standard input as text, in which bytes that are no UTF-8 are surrogates."""
        return None if self.stdin_data is None else self.stdin_data.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """What could be found out before the submission; None where it could not."""

    job: Job | None
    advice: Advice | None
    ticket_id: str


def submit_job(
    line: CommandLine,
    environment: Mapping[str, str],
    *,
    read_stdin: Callable[[], bytes],
    outputs: Outputs,
    listener: Listener,
    is_plain: bool = False,
) -> Submission:
    """Submit with advice where there is any; what sbatch answered.

    Args:
        line: what was typed.
        environment: what the job inherits.
        read_stdin: called where the script comes on standard input.
        outputs: where sbatch's output goes as it comes.
        listener: hears the advice before the job is submitted, and what went wrong.
        is_plain: ask for no advice and keep no record, because that ended an earlier attempt.

    Raises:
        SlurmNotFound: there is no sbatch to submit with.
    """
    try:
        sbatch_call(environment)
    except SlurmNotFound as missing:
        missing.hint = _NO_SLURM_HINT
        raise
    call = _Call(
        line=line,
        environment=environment,
        stdin_data=None,
        outputs=outputs,
        listener=listener,
        is_plain=is_plain,
    )
    if line.is_left_to_sbatch:
        if line.is_heterogeneous:
            listener.tell("a heterogeneous job goes to sbatch as it is, without advice")
        return _submit_unchanged(call)
    call = replace(call, stdin_data=read_stdin() if line.reads_stdin else None)
    try:
        script = load_script(line, environment, call.stdin_data)
    except Exception as exc:  # noqa: BLE001 (if reading the script fails, sbatch gets it unchanged and reports the error)
        listener.tell(f"{exc} It goes to sbatch as it is.")
        return _submit_unchanged(call)
    if script.kind is ScriptKind.UNTOUCHED:
        listener.tell(f"submitted as it is, without advice or record: {script.note}")
        return _submit_unchanged(call)
    if script.note:
        listener.tell(script.note)
    return _submit_script(call, script)


def _submit_script(call: _Call, script: Script) -> Submission:
    """Submit as advised, else to the next placements, else as the user typed it."""
    line, tell = call.line, call.listener.tell
    prepared = _prepare(call, script)
    # Where sbatch tells no job id, --wait's failed job cannot be told from a refused one: nothing is tried twice.
    is_silent = line.has("quiet") and not _is_quiet(line)
    can_retry = not (is_silent and (line.has("wait") or "SBATCH_WAIT" in call.environment))
    refused: Choice | None = None
    for choice in _choices(prepared, tell):
        if refused is not None:
            tell(f"trying the next choice: {choice.where}")
        answer = _submit_form(call, script, _form(call, script, prepared, choice.picks), hold_refusal=can_retry)
        if answer.returncode == 0 or answer.job_id is not None or not can_retry:
            _keep_ticket(call, prepared, answer, choice)
            return answer
        refused = choice
        reason = answer.held_stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        tell(f"sbatch refused the job as advised, {choice.where} ({reason[-1]})")
    if refused is not None:
        tell("trying without what advice added")
    answer = _submit_form(call, script, _form(call, script, prepared, ()))
    _keep_ticket(call, prepared, answer, None)
    if answer.job_id is not None and refused is not None and any(pick.name == "gres" for pick in refused.picks):
        tell(
            f"WARNING: job {answer.job_id} has NO GPU. No placement with a GPU was accepted, so it was submitted as "
            f"you typed it, which asks for none. To end it: scancel {answer.job_id}"
        )
    return answer


def _choices(prepared: _Prepared, tell: Callable[[str], None]) -> Iterator[Choice]:
    if prepared.advice is None:
        return
    try:
        yield from choices(prepared.advice)
    except Exception as exc:  # noqa: BLE001 (a bug of ours must not cost the user a job; the line below reports it)
        tell(f"no further choice: internal error, {type(exc).__name__}: {exc}")


def _prepare(call: _Call, script: Script) -> _Prepared:
    """Read settings and ask for advice; whatever fails is told in one line and left out."""
    tell = call.listener.tell
    job = advice = None
    if call.is_plain:
        return _Prepared(job=None, advice=None, ticket_id=new_ticket_id())
    try:
        job = read_job(call.line, script, call.environment)
        call.listener.advice_may_take(job.settings.advice_timeout_s)
        advice = advise_in_time(job, tell=tell, watch=call.listener.watch)
        call.listener.advised(job, advice)
    except AdvisorError as exc:
        tell(f"no advice: {exc.with_hint}")
    except Exception as exc:  # noqa: BLE001 (a bug of ours must not cost the user a job; the line below reports it)
        tell(f"no advice: internal error, {type(exc).__name__}: {exc}")
    return _Prepared(job=job, advice=advice, ticket_id=new_ticket_id())


def _form(call: _Call, script: Script, prepared: _Prepared, picks: tuple[Pick, ...]) -> SubmissionForm | None:
    """How the job is handed to sbatch; None where sbatch gets what the user typed."""
    job, tell = prepared.job, call.listener.tell
    python: tuple[str, ...] = ()
    try:
        if script.kind is ScriptKind.PYTHON:
            chosen = job.settings.python if job else None
            python = interpreter_command(script, environment=call.environment, chosen=chosen)
        if job is not None:
            workload = prepared.advice.recommendation.workload if prepared.advice else Workload()
            recorder = recorder_of(job, workload, ticket_id=prepared.ticket_id)
            form = submission_form(job, picks, recorder, python=python)
            if form.note is not None:
                tell(form.note)
            return form
    except AdvisorError as exc:
        tell(f"submitted without record: {exc.with_hint}")
    except Exception as exc:  # noqa: BLE001 (a bug of ours must not cost the user a job; the line below reports it)
        tell(f"submitted without record: internal error, {type(exc).__name__}: {exc}")
    if not python:
        return None
    from advisor.rendering.render import plain_python_script  # noqa: PLC0415 (loads Jinja2: slow, rarely needed)

    return SubmissionForm(text=plain_python_script(script, python))


def _submit_unchanged(call: _Call) -> Submission:
    """Call sbatch with the user's own arguments."""
    return run_sbatch(
        call.line.sbatch_arguments,
        environment=submission_environment(call.environment),
        outputs=call.outputs,
        stdin_text=call.stdin_text,
    )


def _submit_form(call: _Call, script: Script, form: SubmissionForm | None, *, hold_refusal: bool = False) -> Submission:
    """Submit in this form; ``hold_refusal`` is as in ``submit``."""
    if form is None:
        return _submit_unchanged(call)
    line = call.line
    is_quiet = _is_quiet(line)
    outputs = quiet_outputs(call.outputs) if is_quiet else call.outputs
    typed = arguments_without_quiet(line.sbatch_options) if is_quiet else line.option_arguments
    options = (*form.options, *typed)
    environment = {**submission_environment(call.environment), **form.variables}
    if form.text is not None:
        return _submit_text(call, script, form.text, options, outputs, hold_refusal=hold_refusal)
    return run_sbatch(
        (*options, *(("--wrap", form.wrap) if form.wrap is not None else line.script_arguments)),
        environment=environment,
        outputs=outputs,
        stdin_text=call.stdin_text,
        hold_refusal=hold_refusal,
    )


def _submit_text(
    call: _Call, script: Script, text: str, options: tuple[str, ...], outputs: Outputs, *, hold_refusal: bool
) -> Submission:
    """Submit generated text: as a file that gives the job its name, or on standard input where none may be written."""
    on_stdin = script.from_stdin or call.line.has("test-only")
    batch = BatchScript(
        options=options,
        text=text,
        name=None if on_stdin else script.name,
        arguments=script.arguments if script.kind is not ScriptKind.PYTHON else (),
    )
    environment = submission_environment(call.environment)
    try:
        return submit(batch, environment=environment, outputs=outputs, hold_refusal=hold_refusal)
    except SlurmError as exc:
        if isinstance(exc, SlurmNotFound) or batch.name is None:
            raise
        if batch.arguments:
            call.listener.tell(f"{exc} The script goes to sbatch as it is.")
            return _submit_unchanged(call)
        call.listener.tell(f"{exc} It goes to sbatch on standard input.")
        return submit(replace(batch, name=None), environment=environment, outputs=outputs, hold_refusal=hold_refusal)


def _is_quiet(line: CommandLine) -> bool:
    """Whether --quiet is handled here, because sbatch would not print the job id with it.

    Twice --quiet silences errors too, and sbatch refuses it beside --verbose: those are left to sbatch.
    """
    return [option.name for option in line.options if option.name in {"quiet", "verbose"}] == ["quiet"]


def _keep_ticket(call: _Call, prepared: _Prepared, answer: Submission, choice: Choice | None) -> None:
    """Write the ticket; without one the job is still measured, only not held against a prediction.

    ``choice`` is what sbatch took of the advice, None where that was nothing.
    """
    job, advice = prepared.job, prepared.advice
    if job is None or advice is None or answer.job_id is None or call.line.has("test-only"):
        return
    # Without picks the job is where the user's own options put it; with picks that were refused nobody knows.
    submitted = choice.ranked if choice is not None else None if advice.picks else advice.recommendation.recommended
    try:
        ticket = new_ticket(
            job,
            advice,
            ticket_id=prepared.ticket_id,
            cluster=answer.cluster or advice.cluster_name(),
            job_id=answer.job_id,
            prediction=advice.submitted_prediction(submitted, () if choice is None else choice.picks),
            followed=choice is not None,
        )
        write_ticket(ticket, job.settings.spool_dir)
    except AdvisorError as exc:
        call.listener.tell(f"the prediction is not kept: {exc}")
    except Exception as exc:  # noqa: BLE001 (the job is submitted; nothing of ours may change its exit status now)
        call.listener.tell(f"the prediction is not kept: internal error, {type(exc).__name__}: {exc}")
