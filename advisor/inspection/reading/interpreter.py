"""Walk a script as Python would run it, knowing some values, and note every call of what is not the script's own.

Nothing of the script is executed. Both arms of an ``if`` that cannot be told are walked, a loop's body once; names that
then have two values are unknown. The walk is bounded, so that no script makes it slow.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path

from advisor.inspection.reading.calls import result_of
from advisor.inspection.reading.command_lines import with_command_line
from advisor.inspection.reading.expressions import attribute, evaluate, item_of, range_length
from advisor.inspection.reading.parameters import bound_names, field_default, is_generator, with_words
from advisor.inspection.reading.statements import walk_block
from advisor.inspection.reading.values import (
    MISSING,
    UNKNOWN,
    Branch,
    Call,
    Class,
    Dotted,
    Frame,
    Function,
    Instance,
    Loop,
    Made,
    Method,
    Partial,
    Scope,
    Value,
    merged,
)

_MOST_STEPS = 60_000
_MOST_MODULES = 60
_MOST_BYTES = 1024**2
_DEEPEST = 40
# Methods that change a list or a dictionary.
_CHANGES = frozenset(
    {".append", ".extend", ".insert", ".remove", ".pop", ".clear", ".reverse", ".sort", ".update", ".setdefault",
     ".popitem", ".__setitem__", ".__delitem__"}
)  # fmt: skip


class OutOfSteps(Exception):
    """The script is too long to be walked whole: what was noted so far stands, but there may be more."""


class Interpreter:
    """One walk. ``calls`` are what it met, in order; ``files`` the configuration files that it read."""

    def __init__(
        self,
        script: Path,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        module: str | None = None,
    ) -> None:
        """Prepare; ``folder`` is where relative paths lead, as in the job; ``module`` its name for ``python -m``."""
        self.script = script
        # Where Python looks for modules first: beside the script, or for "python -m" in the working folder.
        self.root = script.parent if module is None else folder
        self.arguments = tuple(arguments)
        self.environment = dict(environment)
        self.folder = folder
        self.calls: list[Call] = []
        self.files: list[Path] = []
        self.imported: set[str] = set()
        self.modules: dict[Path, Scope] = {}
        self.flags: list[Made] = []
        self.flag_values: dict[str, Value] = {}
        self.loops: list[Loop] = []
        self.branches: list[Branch] = []
        self._steps = 0
        self.stack: list[Frame] = []

    def walk(self) -> bool:
        """Walk the script; False where it could not be walked to its end."""
        try:
            return self.load(self.script, "__main__") is not None
        except (OutOfSteps, RecursionError):  # too long, or nested deeper than Python itself can follow
            return False

    def spend(self) -> None:
        """One step of the walk."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise OutOfSteps

    def load(self, path: Path, name: str) -> Scope | None:
        """Walk a module's own statements, once."""
        known = self.modules.get(path)
        if known is not None:
            return known
        if len(self.modules) >= _MOST_MODULES:
            return None
        try:
            tree = ast.parse(_read_script(path), filename=str(path))
        except (OSError, SyntaxError, ValueError, RecursionError):  # a mistake is Python's to name, in the job
            return None
        scope = Scope({"__name__": name, "__file__": str(path)}, None, name, path)
        self.modules[path] = scope
        walk_block(tree.body, scope, self)
        return scope

    # Modules

    def module(self, name: str, scope: Scope, *, level: int = 0) -> Value:
        """A module of the script's own, walked, or the name of one that is not."""
        here = (scope.path or self.script).parent
        roots = [self.root]
        if level:
            roots = [here if level == 1 else here.parents[level - 2]]
        for root in dict.fromkeys(roots):
            path = root.joinpath(*name.split(".")) if name else root
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.is_file() and file != self.script:
                    return self.load(file, name) or UNKNOWN
            if name and path.is_dir() and any(path.glob("*.py")):
                return Scope({}, None, name, path / "__init__.py")
        self.imported.add(name.split(".", maxsplit=1)[0])
        return self.named(name)

    # Names and values

    def named(self, name: str) -> Dotted:
        """Something imported; Keras is one library under its many names."""
        for prefix in ("tensorflow.keras", "tensorflow.python.keras", "tf_keras"):
            if name == prefix or name.startswith(f"{prefix}."):
                return Dotted("keras" + name[len(prefix) :])
        return Dotted(name)

    def attribute(self, owner: Value, name: str) -> Value:
        """``owner.name``."""
        return attribute(owner, name, self)

    def bound(self, found: Value, owner: Instance) -> Value:
        """An attribute of a class as its instance has it; a property is worth what it returns."""
        if not isinstance(found, Function):
            return found
        kinds = {decorator.name for decorator in found.decorators if isinstance(decorator, Dotted)}
        if kinds & {"builtins.property", "functools.cached_property"}:
            return self.call(found, Made(found.name, args=[owner]))
        return found if "builtins.staticmethod" in kinds else Method(found, owner)

    def environment_value(self, name: str, default: Value) -> Value:
        """A variable of the job's environment."""
        return self.environment.get(name, default)

    def bind(self, target: ast.expr, value: Value, scope: Scope) -> None:
        """Assign a value to a name, an attribute, an item, or several of them."""
        if isinstance(target, ast.Name):
            scope.assign(target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            items = list(value) if isinstance(value, list | tuple) else None
            if items is None or len(items) != len(target.elts):
                items = [item_of(value, index, self) for index in range(len(target.elts))]
            for element, item in zip(target.elts, items, strict=True):
                self.bind(element, item, scope)
        elif isinstance(target, ast.Attribute):
            self.set_item(evaluate(target.value, scope, self), target.attr, value)
        elif isinstance(target, ast.Subscript):
            self.set_item(evaluate(target.value, scope, self), evaluate(target.slice, scope, self), value)

    def set_item(self, owner: Value, key: Value, value: Value) -> None:
        """Set an attribute or an item, which under a condition may have happened or not."""
        if self.branches:
            value = (
                merged(value, MISSING)
                if self._current(owner, key) is MISSING
                else merged(value, self._current(owner, key))
            )
        if isinstance(owner, Dotted) and owner.name == "os.environ" and isinstance(key, str):
            if isinstance(value, str):
                self.environment[key] = value
        elif isinstance(owner, Made | Instance):
            owner.attributes[str(key)] = value
        elif isinstance(owner, Class | Scope) and isinstance(key, str):
            owner.names[key] = value
        elif isinstance(owner, dict) and isinstance(key, int | str | float | bool):
            owner[key] = value

    def _current(self, owner: Value, key: Value) -> Value:
        if isinstance(owner, Made | Instance):
            return owner.attributes.get(str(key), MISSING)
        if isinstance(owner, dict) and isinstance(key, int | str):
            return owner.get(key, MISSING)
        return owner.names.get(str(key), MISSING) if isinstance(owner, Class | Scope) else MISSING

    def items(self, value: Value) -> list[Value] | None:
        """The items of a known collection, None of any other."""
        if isinstance(value, list | tuple):
            return list(value)
        return list(value) if isinstance(value, dict) else None

    def length(self, value: Value) -> Value:
        """How many items a loop meets, None where that is unknown."""
        if isinstance(value, Made) and value.name == "builtins.range":
            return range_length(value)
        return len(value) if isinstance(value, list | tuple | dict) else None

    # Calls

    def call_node(self, node: ast.Call, scope: Scope) -> Value:
        """The value of a call, which is noted where it is of something that is not the script's own."""
        receiver: Value = None
        if isinstance(node.func, ast.Attribute):
            receiver = evaluate(node.func.value, scope, self)
            callee = attribute(receiver, node.func.attr, self)
            name = "." + node.func.attr
        else:
            callee = evaluate(node.func, scope, self)
            name = node.func.id if isinstance(node.func, ast.Name) else ""
        made = self._words(node, scope)
        made.name, made.receiver = (callee.name, None) if isinstance(callee, Dotted) else (name, receiver)
        if isinstance(callee, Partial):
            callee, made = callee.callee, with_words(callee.made, made)
            made.name, made.receiver = (callee.name, None) if isinstance(callee, Dotted) else (name, receiver)
        if isinstance(callee, Instance) and isinstance(callee.kind.find("__call__"), Function):
            callee = self.bound(callee.kind.find("__call__"), callee)
        if isinstance(callee, Function | Method | Class):
            return self.call(callee, made)
        if isinstance(node.func, ast.Attribute) and self._is_unclear_change(made):
            self.bind(node.func.value, UNKNOWN, scope)
            return UNKNOWN
        if made.name == "builtins.exec":
            return self._execute(made.word("source", 0), scope)
        if made.name in {"builtins.globals", "builtins.locals"}:
            return _module_of(scope).names if made.name == "builtins.globals" else scope.names
        self.calls.append(Call(made, tuple(self.loops), tuple(self.branches), node.lineno))
        return result_of(made, self)

    def _execute(self, source: Value, scope: Scope) -> None:
        """``exec`` of a file's text is walked here; of anything else, it may have set every name to something else."""
        path = source.attributes.get("path") if isinstance(source, Made) else None
        try:
            tree = ast.parse(_read_script(Path(self.folder, path))) if isinstance(path, str) else None
        except (OSError, SyntaxError, ValueError, RecursionError):
            tree = None
        if tree is not None:
            walk_block(tree.body, scope, self)
            return
        for name, value in scope.names.items():
            if isinstance(value, int | float | str | list | tuple | dict) and not name.startswith("__"):
                scope.names[name] = UNKNOWN

    def _is_unclear_change(self, made: Made) -> bool:
        """Whether a method changes a list or a dictionary in a way that is not followed, or perhaps not at all."""
        owner, name = made.receiver, made.name
        if not isinstance(owner, list | dict) or name not in _CHANGES:
            return False
        in_doubt = bool(self.loops or self.branches)
        followed = {".append", ".extend"} if isinstance(owner, list) else {".update", ".setdefault", ".pop"}
        readable = name not in {".update", ".extend"} or (
            made.complete and all(isinstance(item, list | dict) for item in made.args)
        )
        return in_doubt or name not in followed or not readable

    def _words(self, node: ast.Call, scope: Scope) -> Made:
        made = Made("")
        for argument in node.args:
            value = evaluate(argument, scope, self)
            if isinstance(argument, ast.Starred):
                made.complete = made.complete and isinstance(value, list | tuple)
                made.args += value if isinstance(value, list | tuple) else []
            else:
                made.args.append(value)
        for keyword in node.keywords:
            value = evaluate(keyword.value, scope, self)
            if keyword.arg is not None:
                made.kwargs[keyword.arg] = value
            elif isinstance(value, dict):
                made.kwargs.update({str(key): item for key, item in value.items()})
            else:
                made.complete = False
        return made

    def call(self, callee: Value, made: Made) -> Value:
        """Call something of the script's own."""
        if isinstance(callee, Class):
            return self._instance(callee, made)
        if isinstance(callee, Method):
            return self.call(
                callee.function, Made(made.name, None, [callee.owner, *made.args], made.kwargs, {}, made.complete)
            )
        return self._call_function(callee, made) if isinstance(callee, Function) else UNKNOWN

    def _instance(self, kind: Class, made: Made) -> Instance:
        words = Made(kind.name, None, list(made.args), dict(made.kwargs), {}, made.complete)
        found = Instance(kind, {}, words)
        if any(True for item in kind.lineage() if item.fields) and kind.find("__init__") is MISSING:
            fields = {name: value for item in reversed(list(kind.lineage())) for name, value in item.fields.items()}
            for position, (name, default) in enumerate(fields.items()):
                value = made.word(name, position, field_default(default, self))
                found.attributes[name] = UNKNOWN if value is MISSING else value
        for special in ("__init__", "__post_init__"):
            method = kind.find(special)
            if isinstance(method, Function):
                self.call(Method(method, found), made if special == "__init__" else Made(special))
        length = kind.find("__len__")
        if isinstance(length, Function):
            found.attributes["__len__"] = self.call(Method(length, found), Made("__len__"))
        return found

    def _call_function(self, function: Function, made: Made) -> Value:
        if len(self.stack) > _DEEPEST or sum(function.node is frame.function.node for frame in self.stack) > 1:
            return UNKNOWN
        made = with_command_line(function, made, self)
        scope = Scope(bound_names(function, made), function.scope, function.scope.module, function.scope.path)
        if isinstance(function.node, ast.Lambda):
            return evaluate(function.node.body, scope, self)
        if is_generator(function.node):
            return Made("generator", None, [function], dict(scope.names))
        frame = Frame(function, len(self.loops))
        self.stack.append(frame)
        try:
            walk_block(function.node.body, scope, self)
        finally:
            self.stack.pop()
        value = frame.returned[0] if frame.returned else None
        for other in frame.returned[1:]:
            value = merged(value, other)
        return value

    def defaults(self, arguments: ast.arguments, scope: Scope) -> dict[str, Value]:
        """The default values of a function's parameters."""
        positional = [*arguments.posonlyargs, *arguments.args]
        pairs = list(zip(reversed(positional), reversed(arguments.defaults), strict=False))
        pairs += [
            (parameter, value)
            for parameter, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if value is not None
        ]
        return {parameter.arg: evaluate(value, scope, self) for parameter, value in pairs}


def _read_script(path: Path) -> bytes:
    """A script's text.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger than any script is.
    """
    with path.open("rb") as file:
        text = file.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise ValueError(path)
    return text


def _module_of(scope: Scope) -> Scope:
    return scope if scope.parent is None else _module_of(scope.parent)
