"""A script and its own modules as data: who binds which name, who calls what, in which loops and under which tests.

Nothing is executed or evaluated here. Statements that cannot be reached after a ``return`` keep the test that leads to
them: what follows ``if test: return`` stands under ``not test``. Handlers of exceptions are left out.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

from advisor.inspection.reading.structure import (
    Binding,
    CallSite,
    Change,
    FunctionNode,
    Guard,
    Import,
    Loop,
    Module,
    Place,
    Program,
    Scope,
)

_MOST_MODULES = 60
_MOST_BYTES = 1024**2
_MOST_NODES = 400_000

# An expression that nothing is known of.
UNKNOWABLE = ast.Set(elts=[])
# What a statement does to the ones after it.
_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)


class TooLong(Exception):
    """The script is larger than any that a person writes."""


def read_program(script: Path, root: Path) -> Program | None:
    """Read a script; None where it is not Python, or larger than any script is.

    Args:
        script: its path.
        root: the folder where its own modules are looked for.
    """
    main = Module("__main__", script)
    program = Program(root, main)
    try:
        _load(program, main)
    except (OSError, SyntaxError, ValueError, RecursionError, TooLong):  # a mistake is Python's to name, in the job
        return None
    return program


def own_module(program: Program, name: str, *, level: int, importer: Module) -> Module | None:
    """A module of the script's own by the name that an import gives, None where it is none of its own."""
    folder = program.root
    if level:
        folder = importer.path.parent if level == 1 else importer.path.parents[level - 1]
    base = folder.joinpath(*name.split(".")) if name else folder
    path = next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)
    if path is None or path == program.main.path:
        return None
    if path not in program.modules:
        if len(program.modules) >= _MOST_MODULES:
            return None
        try:
            _load(program, Module(name, path))
        except (OSError, SyntaxError, ValueError, RecursionError):
            return None
    return program.modules[path]


def _load(program: Program, module: Module) -> None:
    with module.path.open("rb") as file:
        text = file.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise ValueError(module.path)
    tree = ast.parse(text, filename=str(module.path))
    module.scope = Scope(tree, None, module)
    program.modules[module.path] = module
    program.scopes[tree] = module.scope
    _Collector(program, module).block(tree.body, Place(module.scope, (), (), (0, 0)))


class _Collector:
    """Goes through a module once, in order."""

    def __init__(self, program: Program, module: Module) -> None:
        self.program = program
        self.module = module
        self.nodes = 0

    def block(self, body: Sequence[ast.stmt], place: Place) -> bool:
        """Statements in order; whether the end of the block is never reached."""
        for statement in body:
            here = Place(place.scope, place.guards, place.loops, (statement.lineno, statement.col_offset))
            if isinstance(statement, _ENDS) or _exits(statement):
                self.leave(statement, here)
                return True
            if isinstance(statement, ast.If):
                place = self.branch(statement, here)
            else:
                self.statement(statement, here)
        return False

    def branch(self, node: ast.If, here: Place) -> Place:
        """``if``; what comes after it stands under its test where one arm does not go on."""
        self.expression(node.test, here)
        yes, no = Guard(node.test, True, here), Guard(node.test, False, here)
        ended = self.block(node.body, Place(here.scope, (*here.guards, yes), here.loops, here.position))
        otherwise = self.block(node.orelse, Place(here.scope, (*here.guards, no), here.loops, here.position))
        after = (*here.guards, *([no] if ended else []), *([yes] if otherwise else []))
        return Place(here.scope, after, here.loops, here.position)

    def leave(self, node: ast.stmt, here: Place) -> None:
        for expression in ast.iter_child_nodes(node):
            if isinstance(expression, ast.expr):
                self.expression(expression, here)
        if isinstance(node, ast.Return):
            here.scope.returns.append((node.value, here))
        left = here.loops if isinstance(node, ast.Return) else here.loops[-1:] if isinstance(node, ast.Break) else ()
        for loop in left:
            loop.ends.append(here.guards)

    def statement(self, node: ast.stmt, here: Place) -> None:
        handler = getattr(self, f"_{type(node).__name__.lower()}", None)
        if handler is not None:
            handler(node, here)
            return
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.expression(child, here)

    def expression(self, node: ast.expr | None, here: Place) -> None:
        """The calls, lambdas and bindings inside an expression."""
        waiting: list[ast.AST] = [node] if node is not None else []
        while waiting:
            current = waiting.pop()
            self.nodes += 1
            if self.nodes > _MOST_NODES:
                raise TooLong
            if isinstance(current, ast.Call):
                self.program.calls.append(
                    CallSite(current, Place(here.scope, here.guards, here.loops, (current.lineno, current.col_offset)))
                )
                self.changing_call(current, here)
            elif isinstance(current, ast.Lambda):
                self.program.scopes[current] = self.function_scope(current, here)
                self.expression(current.body, Place(self.program.scopes[current], (), (), here.position))
                continue
            elif isinstance(current, ast.NamedExpr):
                self.bind(current.target, current.value, here)
            elif isinstance(current, ast.Yield | ast.YieldFrom):
                here.scope.is_generator = True
            elif isinstance(current, ast.IfExp):
                self.expression(current.test, here)
                for wanted, arm in ((True, current.body), (False, current.orelse)):
                    guards = (*here.guards, Guard(current.test, wanted, here))
                    self.expression(arm, Place(here.scope, guards, here.loops, here.position))
                continue
            elif isinstance(current, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
                self.comprehension(current, here)
                continue
            waiting += ast.iter_child_nodes(current)

    def changing_call(self, node: ast.Call, here: Place) -> None:
        """``exec``, ``setattr`` and ``update`` change names, attributes and items, which are then not known."""
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in {"exec", "globals"}:
            self.program.opaque.add(self.module)
        elif name == "setattr" and node.args:
            self.change(node.args[0], UNKNOWABLE, None, here, is_item=False)
        elif name == "update" and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            self.change(owner, UNKNOWABLE, None, here, is_item=True)
            if isinstance(owner, ast.Attribute) and owner.attr == "__dict__":
                self.change(owner.value, UNKNOWABLE, None, here, is_item=False)
            elif isinstance(owner, ast.Call) and owner.args:  # vars(owner)
                self.change(owner.args[0], UNKNOWABLE, None, here, is_item=False)

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, here: Place) -> None:
        for generator in node.generators:
            self.expression(generator.iter, here)
            here = Place(here.scope, here.guards, (*here.loops, Loop(generator, here)), here.position)
            self.bind(generator.target, None, here)
            for test in generator.ifs:
                self.expression(test, here)
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.expression(part, here)

    def bind(
        self, target: ast.expr, value: ast.expr | None, here: Place, path: tuple[int, ...] = (), *, item: bool = False
    ) -> None:
        if isinstance(target, ast.Name):
            scope = here.scope
            if (target.id, "global") in _declared(scope):
                scope = self.module.scope
            scope.names.setdefault(target.id, []).append(Binding(value, here, path, is_item=item))
        elif isinstance(target, ast.Tuple | ast.List):
            for position, element in enumerate(target.elts):
                self.bind(
                    element, None if isinstance(element, ast.Starred) else value, here, (*path, position), item=item
                )
        elif isinstance(target, ast.Starred):
            self.bind(target.value, None, here)
        elif isinstance(target, ast.Attribute):
            self.change(target.value, ast.Constant(target.attr), None if path or item else value, here, is_item=False)
        elif isinstance(target, ast.Subscript):
            self.change(target.value, target.slice, None if path or item else value, here, is_item=True)

    def change(self, owner: ast.expr, key: ast.expr, value: ast.expr | None, here: Place, *, is_item: bool) -> None:
        constant = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str | int) else None
        found = Change(owner, key if constant is None else constant, value, here)
        self.program.changes.setdefault((is_item, constant), []).append(found)

    def function_scope(self, node: FunctionNode | ast.Lambda, here: Place) -> Scope:
        scope = Scope(node, here.scope, self.module)
        arguments = node.args
        for parameter in (
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        ):
            if parameter is not None:
                scope.names[parameter.arg] = []
        for default in (*arguments.defaults, *arguments.kw_defaults):
            self.expression(default, here)
        return scope

    # Statements, by the names of their nodes

    def _assign(self, node: ast.Assign, here: Place) -> None:
        self.expression(node.value, here)
        for target in node.targets:
            self.expression(target, here)
            self.bind(target, node.value, here)

    def _annassign(self, node: ast.AnnAssign, here: Place) -> None:
        self.expression(node.value, here)
        if node.value is not None:
            self.bind(node.target, node.value, here)

    def _augassign(self, node: ast.AugAssign, here: Place) -> None:
        self.expression(node.value, here)
        loaded = ast.copy_location(ast.BinOp(_loaded(node.target), node.op, node.value), node)
        self.bind(node.target, None if here.loops else loaded, here)

    def _for(self, node: ast.For | ast.AsyncFor, here: Place) -> None:
        self.expression(node.iter, here)
        loop = Loop(node, here)
        inside = Place(here.scope, here.guards, (*here.loops, loop), here.position)
        self.bind(node.target, node.iter, inside, item=True)
        self.block(node.body, inside)
        self.block(node.orelse, here)

    _asyncfor = _for

    def _while(self, node: ast.While, here: Place) -> None:
        inside = Place(
            here.scope, (*here.guards, Guard(node.test, True, here)), (*here.loops, Loop(node, here)), here.position
        )
        self.expression(node.test, inside)
        self.block(node.body, inside)

    def _with(self, node: ast.With | ast.AsyncWith, here: Place) -> None:
        for item in node.items:
            self.expression(item.context_expr, here)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, item.context_expr, here)
        self.block(node.body, here)

    _asyncwith = _with

    def _try(self, node: ast.Try, here: Place) -> None:
        for body in (node.body, node.orelse, node.finalbody):
            self.block(body, here)

    def _match(self, node: ast.Match, here: Place) -> None:
        self.expression(node.subject, here)
        for case in node.cases:
            test = ast.copy_location(ast.Set(elts=[]), node)
            self.block(case.body, Place(here.scope, (*here.guards, Guard(test, True, here)), here.loops, here.position))

    def _functiondef(self, node: FunctionNode, here: Place) -> None:
        for decorator in node.decorator_list:
            self.expression(decorator, here)
        scope = self.function_scope(node, here)
        self.program.scopes[node] = scope
        here.scope.names.setdefault(node.name, []).append(Binding(node, here))
        self.block(node.body, Place(scope, (), (), here.position))

    _asyncfunctiondef = _functiondef

    def _classdef(self, node: ast.ClassDef, here: Place) -> None:
        scope = Scope(node, here.scope, self.module)
        self.program.scopes[node] = scope
        here.scope.names.setdefault(node.name, []).append(Binding(node, here))
        for expression in (*node.bases, *node.decorator_list):
            self.expression(expression, here)
        self.block(node.body, Place(scope, (), (), here.position))

    def _import(self, node: ast.Import, here: Place) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            wanted = Import(alias.name if alias.asname else name, 0, None)
            here.scope.names.setdefault(name, []).append(Binding(wanted, here))
            self.imports(alias.name, 0)

    def _importfrom(self, node: ast.ImportFrom, here: Place) -> None:
        source = self.imports(node.module or "", node.level)
        for alias in node.names:
            if alias.name == "*":
                for name, bindings in (source.scope.names if source is not None else {}).items():
                    here.scope.names.setdefault(name, []).extend(bindings)
                continue
            wanted = Import(node.module or "", node.level, alias.name)
            self.program.aliases[alias.asname or alias.name] = alias.name
            here.scope.names.setdefault(alias.asname or alias.name, []).append(Binding(wanted, here))
            if source is None or alias.name not in source.scope.names:
                self.imports(f"{node.module or ''}.{alias.name}".strip("."), node.level, silent=True)

    def imports(self, name: str, level: int, *, silent: bool = False) -> Module | None:
        found = own_module(self.program, name, level=level, importer=self.module)
        if found is None and not level and not silent:
            self.program.imported.add(name.split(".", maxsplit=1)[0])
        return found


def _declared(scope: Scope) -> set[tuple[str, str]]:
    body = (
        scope.node.body if scope.is_function and isinstance(scope.node, ast.FunctionDef | ast.AsyncFunctionDef) else []
    )
    return {(name, "global") for node in body if isinstance(node, ast.Global) for name in node.names}


def _exits(node: ast.stmt) -> bool:
    """Whether a statement is ``sys.exit()``, ``exit()`` or ``quit()``."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    return ast.unparse(node.value.func) in {"sys.exit", "exit", "quit", "os._exit"}


def _loaded(target: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Name(target.id, ast.Load()), target) if isinstance(target, ast.Name) else target
