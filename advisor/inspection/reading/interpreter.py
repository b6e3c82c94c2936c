"""Walk a script as Python would run it, knowing some values, and note every call of what is not the script's own.

Nothing of the script is executed. Both arms of an ``if`` that cannot be told are walked, a loop's body once; names that
then have two values are unknown. The walk is bounded, so that no script makes it slow.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path

from advisor.inspection.reading.calls import result_of
from advisor.inspection.reading.expressions import attribute, evaluate, item_of, truth
from advisor.inspection.reading.values import (
    MISSING,
    UNKNOWN,
    Branch,
    Call,
    Class,
    Dotted,
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
# Loops over so few known things are walked for each of them; a longer one is walked once and counted.
_UNROLLED = 12
_MOST_FIELDS = 200


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
        self._stack: list[tuple[Function, list[Value]]] = []

    def walk(self) -> bool:
        """Walk the script; False where it could not be walked to its end."""
        try:
            return self._load(self.script, "__main__") is not None
        except (OutOfSteps, RecursionError):  # too long, or nested deeper than Python itself can follow
            return False

    def spend(self) -> None:
        """One step of the walk."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise OutOfSteps

    def _load(self, path: Path, name: str) -> Scope | None:
        """Walk a module's own statements, once."""
        known = self.modules.get(path)
        if known is not None:
            return known
        if len(self.modules) >= _MOST_MODULES:
            return None
        try:
            if path.stat().st_size > _MOST_BYTES:
                return None
            tree = ast.parse(path.read_bytes(), filename=str(path))
        except (OSError, SyntaxError, ValueError, RecursionError):  # a mistake is Python's to name, in the job
            return None
        scope = Scope({"__name__": name, "__file__": str(path)}, None, name, path)
        self.modules[path] = scope
        self.block(tree.body, scope)
        return scope

    # Statements

    def block(self, body: Sequence[ast.stmt], scope: Scope) -> str | None:
        """Walk statements in order; how they end: None, ``return``, ``raise``, ``break`` or ``continue``."""
        for statement in body:
            self.spend()
            handler = getattr(self, "_do_" + type(statement).__name__.lower(), None)
            how = None if handler is None else handler(statement, scope)
            if how is not None:
                return str(how)
        return None

    def _do_expr(self, node: ast.Expr, scope: Scope) -> str | None:
        value = evaluate(node.value, scope, self)
        ends = isinstance(value, Made) and value.name in {"sys.exit", "builtins.exit", "builtins.quit", "os._exit"}
        return "raise" if ends else None

    def _do_assign(self, node: ast.Assign, scope: Scope) -> None:
        value = evaluate(node.value, scope, self)
        for target in node.targets:
            self.bind(target, value, scope)

    def _do_annassign(self, node: ast.AnnAssign, scope: Scope) -> None:
        if node.value is not None:
            self.bind(node.target, evaluate(node.value, scope, self), scope)

    def _do_augassign(self, node: ast.AugAssign, scope: Scope) -> None:
        load = ast.copy_location(ast.BinOp(_as_load(node.target), node.op, node.value), node)
        self.bind(node.target, evaluate(load, scope, self), scope)

    def _do_global(self, node: ast.Global, scope: Scope) -> None:
        scope.declared_global.update(node.names)

    def _do_return(self, node: ast.Return, scope: Scope) -> str:
        value = None if node.value is None else evaluate(node.value, scope, self)
        if self._stack:
            self._stack[-1][1].append(value)
        return "return"

    def _do_raise(self, _node: ast.Raise, _scope: Scope) -> str:
        return "raise"

    def _do_break(self, _node: ast.Break, _scope: Scope) -> str:
        return "break"

    def _do_continue(self, _node: ast.Continue, _scope: Scope) -> str:
        return "continue"

    def _do_if(self, node: ast.If, scope: Scope) -> str | None:
        known = truth(evaluate(node.test, scope, self))
        if known is not None:
            return self.block(node.body if known else node.orelse, scope)
        before = dict(scope.names)
        every = self._every(node.test, scope)
        ends, names = [], []
        for arm, body in enumerate((node.body, node.orelse)):
            scope.names = dict(before)
            self.branches.append(Branch(id(node), arm, every if arm == 0 else None))
            ends.append(self.block(body, scope))
            self.branches.pop()
            names.append(scope.names)
        first, second = ends
        if first is not None and second is not None:
            return first if first == second else "return"
        if first is not None or second is not None:
            scope.names = names[0] if second is not None else names[1]
            return None
        scope.names = {
            name: merged(names[0].get(name, UNKNOWN), names[1].get(name, UNKNOWN)) for name in {**names[0], **names[1]}
        }
        return None

    def _every(self, test: ast.expr, scope: Scope) -> Value:
        """N of ``x % N == 0``, also among others that are joined by ``or``."""
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
            return next((found for part in test.values if (found := self._every(part, scope)) is not None), None)
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            modulo = test.operand
        elif isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq):
            modulo = test.left
        else:
            return None
        if isinstance(modulo, ast.BinOp) and isinstance(modulo.op, ast.Mod):
            return evaluate(modulo.right, scope, self)
        return None

    def _do_for(self, node: ast.For | ast.AsyncFor, scope: Scope) -> str | None:
        over = evaluate(node.iter, scope, self)
        items = self.items(over)
        if items is not None and len(items) <= _UNROLLED and not _is_range(over):
            return self._unroll(node, items, scope)
        self._forget_changed(node.body, scope)
        self.bind(node.target, self._item(over), scope)
        self.loops.append(Loop(over, self.length(over)))
        how = self.block(node.body, scope)
        self.loops.pop()
        self._forget_changed(node.body, scope, counters_only=True)
        return "return" if how == "return" else None

    def _unroll(self, node: ast.For | ast.AsyncFor, items: Sequence[Value], scope: Scope) -> str | None:
        for item in items:
            self.bind(node.target, item, scope)
            how = self.block(node.body, scope)
            if how == "break":
                break
            if how in {"return", "raise"}:
                return how
        return None

    def _do_while(self, node: ast.While, scope: Scope) -> str | None:
        count, total = self._counted(node, scope)
        if truth(evaluate(node.test, scope, self)) is False:
            return None
        self._forget_changed(node.body, scope)
        self.loops.append(Loop(UNKNOWN, count, total))
        how = self.block(node.body, scope)
        self.loops.pop()
        self._forget_changed(node.body, scope, counters_only=True)
        return "return" if how == "return" else None

    def _counted(self, node: ast.While, scope: Scope) -> tuple[Value, Value]:
        """How often ``while i < N`` runs where its body counts ``i`` by one; N in all where an inner loop does."""
        test = node.test
        if not (isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Lt) and isinstance(test.left, ast.Name)):
            return None, None
        first, limit = scope.find(test.left.id), evaluate(test.comparators[0], scope, self)
        if not isinstance(first, int) or not isinstance(limit, int):
            return None, None
        if any(_counts(statement, test.left.id) for statement in node.body):
            return limit - first, None
        inner = [loop for loop in node.body if isinstance(loop, ast.For)]
        if any(_counts(statement, test.left.id) for loop in inner for statement in loop.body):
            return None, limit - first
        return None, None

    def _forget_changed(self, body: Sequence[ast.stmt], scope: Scope, *, counters_only: bool = False) -> None:
        """Names that a loop's body changes are worth something else in each round."""
        for node in (inner for statement in body for inner in ast.walk(statement)):
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                scope.assign(node.target.id, UNKNOWN)
            elif isinstance(node, ast.Assign) and not counters_only:
                for target in node.targets:
                    if isinstance(target, ast.Name) and target.id in scope.names:
                        scope.names[target.id] = UNKNOWN

    def _do_with(self, node: ast.With | ast.AsyncWith, scope: Scope) -> str | None:
        for item in node.items:
            value = evaluate(item.context_expr, scope, self)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value, scope)
        return self.block(node.body, scope)

    def _do_asyncwith(self, node: ast.AsyncWith, scope: Scope) -> str | None:
        return self._do_with(node, scope)

    def _do_asyncfor(self, node: ast.AsyncFor, scope: Scope) -> str | None:
        return self._do_for(node, scope)

    def _do_try(self, node: ast.Try, scope: Scope) -> str | None:
        how = self.block(node.body, scope)
        if how is None:
            how = self.block(node.orelse, scope)
        elif how == "raise" and node.handlers:
            how = self.block(node.handlers[0].body, scope)
        return self.block(node.finalbody, scope) or how

    def _do_match(self, node: ast.Match, scope: Scope) -> None:
        subject = evaluate(node.subject, scope, self)
        for case in node.cases:
            known = _matches(case.pattern, subject)
            if known is False or case.guard is not None:
                continue
            self.block(case.body, scope)
            if known:
                return

    def _do_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        function = Function(node, scope, self.defaults(node.args, scope))
        function.decorators = [evaluate(decorator, scope, self) for decorator in node.decorator_list]
        scope.assign(node.name, function)

    def _do_asyncfunctiondef(self, node: ast.AsyncFunctionDef, scope: Scope) -> None:
        self._do_functiondef(node, scope)

    def _do_classdef(self, node: ast.ClassDef, scope: Scope) -> None:
        inside = Scope({}, scope, scope.module, scope.path)
        self.block(node.body, inside)
        annotated = [
            item for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        ]
        names = [item.target.id for item in annotated[:_MOST_FIELDS] if isinstance(item.target, ast.Name)]
        scope.assign(
            node.name,
            Class(
                name=node.name,
                bases=[evaluate(base, scope, self) for base in node.bases],
                names=inside.names,
                fields={name: inside.names.get(name, MISSING) for name in names},
                annotations=dict(zip(names, (item.annotation for item in annotated), strict=False)),
                decorators=[evaluate(decorator, scope, self) for decorator in node.decorator_list],
                scope=scope,
            ),
        )

    def _do_import(self, node: ast.Import, scope: Scope) -> None:
        for alias in node.names:
            module = self._module(alias.name, scope)
            if alias.asname is not None:
                scope.assign(alias.asname, module)
            else:
                first = alias.name.split(".")[0]
                scope.assign(first, module if alias.name == first else self._module(first, scope))

    def _do_importfrom(self, node: ast.ImportFrom, scope: Scope) -> None:
        base = self._module(node.module or "", scope, level=node.level)
        for alias in node.names:
            if alias.name == "*":
                scope.names.update(base.names if isinstance(base, Scope) else {})
                continue
            found = attribute(base, alias.name, self)
            if isinstance(base, Scope) and alias.name not in base.names:
                found = self._module(f"{node.module or ''}.{alias.name}".strip("."), scope, level=node.level)
            scope.assign(alias.asname or alias.name, found)

    def _module(self, name: str, scope: Scope, *, level: int = 0) -> Value:
        """A module of the script's own, walked, or the name of one that is not."""
        here = (scope.path or self.script).parent
        roots = [self.root]
        if level:
            roots = [here if level == 1 else here.parents[level - 2]]
        for root in dict.fromkeys(roots):
            path = root.joinpath(*name.split(".")) if name else root
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.is_file() and file != self.script:
                    return self._load(file, name) or UNKNOWN
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
            self._set(evaluate(target.value, scope, self), target.attr, value)
        elif isinstance(target, ast.Subscript):
            self._set(evaluate(target.value, scope, self), evaluate(target.slice, scope, self), value)

    def _set(self, owner: Value, key: Value, value: Value) -> None:
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

    def _item(self, over: Value) -> Value:
        if isinstance(over, Made) and over.name == "builtins.enumerate" and over.args:
            return (UNKNOWN, self._item(over.args[0]))
        return UNKNOWN

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
        self.calls.append(Call(made, tuple(self.loops), tuple(self.branches), node.lineno))
        return result_of(made, self)

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
        if len(self._stack) > _DEEPEST or sum(function.node is item.node for item, _ in self._stack) > 1:
            return UNKNOWN
        from advisor.inspection.reading.command_lines import with_command_line  # noqa: PLC0415 (they call each other)

        made = with_command_line(function, made, self)
        scope = Scope(bound_names(function, made), function.scope, function.scope.module, function.scope.path)
        if isinstance(function.node, ast.Lambda):
            return evaluate(function.node.body, scope, self)
        if is_generator(function.node):
            return Made("generator", None, [function], dict(scope.names))
        returned: list[Value] = []
        self._stack.append((function, returned))
        try:
            self.block(function.node.body, scope)
        finally:
            self._stack.pop()
        value = returned[0] if returned else None
        for other in returned[1:]:
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


def with_words(before: Made, after: Made) -> Made:
    """The words of a call together with those that ``functools.partial`` keeps."""
    return Made(
        after.name,
        after.receiver,
        [*before.args, *after.args],
        {**before.kwargs, **after.kwargs},
        complete=before.complete and after.complete,
    )


def bound_names(function: Function, made: Made) -> dict[str, Value]:
    """A function's parameters with what a call gave them."""
    arguments = function.node.args
    positional = [parameter.arg for parameter in (*arguments.posonlyargs, *arguments.args)]
    unsaid = MISSING if made.complete else UNKNOWN
    names: dict[str, Value] = {}
    for position, name in enumerate(positional):
        names[name] = made.word(name, position, unsaid)
    for parameter in arguments.kwonlyargs:
        names[parameter.arg] = made.kwargs.get(parameter.arg, unsaid)
    for name, value in names.items():
        names[name] = function.defaults.get(name, UNKNOWN) if value is MISSING else value
    if arguments.vararg is not None:
        names[arguments.vararg.arg] = list(made.args[len(positional) :]) if made.complete else UNKNOWN
    if arguments.kwarg is not None:
        rest = {name: value for name, value in made.kwargs.items() if name not in names}
        names[arguments.kwarg.arg] = rest if made.complete else UNKNOWN
    return names


def field_default(value: Value, reader: Interpreter) -> Value:
    """The default of a dataclass's field, which ``field()`` may state in two ways."""
    if isinstance(value, Made) and value.name.rpartition(".")[2] in {"field", "Field", "MutableField", "ib", "attrib"}:
        factory = value.kwargs.get("default_factory", MISSING)
        if isinstance(factory, Function | Class):
            return reader.call(factory, Made(""))
        if isinstance(factory, Dotted):
            return {"builtins.list": [], "builtins.dict": {}}.get(factory.name, UNKNOWN)
        return value.word("default", 0, MISSING)
    return value


def range_length(made: Made) -> Value:
    """How many numbers a ``range`` has, None where that is unknown."""
    if not made.args or not all(isinstance(item, int) for item in made.args):
        return None
    from advisor.inspection.reading.expressions import with_source  # noqa: PLC0415

    try:
        return with_source(len(range(*made.args)), *made.args)
    except (ValueError, OverflowError, TypeError):
        return None


def is_generator(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function yields; what functions inside it do is theirs."""
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        current = waiting.pop()
        if isinstance(current, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(current, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(current)
    return False


def _as_load(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.copy_location(ast.Name(target.id, ast.Load()), target)
    return target


def _counts(statement: ast.stmt, name: str) -> bool:
    """Whether a statement is ``name += 1``."""
    return (
        isinstance(statement, ast.AugAssign)
        and isinstance(statement.target, ast.Name)
        and statement.target.id == name
        and isinstance(statement.op, ast.Add)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value == 1
    )


def _is_range(value: Value) -> bool:
    return isinstance(value, Made)


def _matches(pattern: ast.pattern, subject: Value) -> bool | None:
    if isinstance(pattern, ast.MatchAs) and pattern.pattern is None:
        return True
    if isinstance(pattern, ast.MatchValue) and isinstance(pattern.value, ast.Constant) and subject is not UNKNOWN:
        return bool(pattern.value.value == subject)
    return None
