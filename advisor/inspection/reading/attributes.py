"""Attributes of the script's own classes and objects, and whatever the program assigns to attributes and items."""

from __future__ import annotations

import ast

from advisor.inspection.reading.reader import Reader
from advisor.inspection.reading.structure import Change
from advisor.inspection.reading.values import (
    MISSING,
    UNKNOWN,
    Class,
    Dotted,
    Function,
    Instance,
    Made,
    Own,
    Value,
    agreed,
    plain,
    same,
)


class Attributes:
    """Attributes and items of one program, which may be assigned anywhere in it."""

    def __init__(self, reader: Reader) -> None:
        """Begin; ``reader`` knows the values outside of any call."""
        self._reader = reader

    def of_class(self, kind: Class, name: str) -> Value:
        """``kind.name``, MISSING where neither it nor its bases have that."""
        for item in kind.lineage():
            if name in item.scope.names:
                return self.changed(kind, name, self._reader.bound(item.scope, name))
        return MISSING

    def of_instance(self, owner: Instance, name: str) -> Value:
        """``owner.name`` of an object of one of the script's own classes."""
        changes = [item for item in self._reader.program.changes_of(name, is_item=False) if self._may_be(item, owner)]
        values = [found for item in changes if (found := self._assigned(item, owner)) is not MISSING]
        if values:
            return agreed(values)
        found = self.of_class(owner.kind, name)
        if isinstance(found, Function):
            decorators = {ast.unparse(item) for item in getattr(found.scope.node, "decorator_list", [])}
            is_property = decorators & {"property", "cached_property", "functools.cached_property"}
            method = Function(found.scope, owner)
            return self._reader.returned(method, Made("")) if is_property else method
        fields = self._fields(owner.kind)
        if name in fields:
            found = owner.made.word(name, fields.index(name), _field_default(found))
        return UNKNOWN if found is MISSING else found

    def _assigned(self, change: Change, owner: Instance) -> Value:
        """The value of ``self.name = value`` for this very object; MISSING where that is not reached."""
        scope = change.place.scope
        if isinstance(change.key, ast.expr) and self._reader.value(change.key, change.place) is UNKNOWN:
            return UNKNOWN
        made = owner.made if scope.name == "__init__" and owner.made.complete else None
        inside = self._reader.within(scope, made, owner) if scope.is_method else self._reader
        return MISSING if inside.holds(change.place.guards) is False else inside.value(change.value, change.place)

    def _may_be(self, change: Change, owner: Instance) -> bool:
        """Whether an assignment to an attribute may be to this object's."""
        target, kinds = self._reader.value(change.owner, change.place), list(owner.kind.lineage())
        return target is UNKNOWN or (
            isinstance(target, Instance) and (target.kind in kinds or owner.kind in target.kind.lineage())
        )

    def assigned_to(self, made: Made) -> dict[str, Value]:
        """The attributes of something made that the program assigns: ``model.fc = ...``."""
        changes = [
            (key, item)
            for (is_item, key), items in self._reader.program.changes.items()
            if not is_item
            for item in items
        ]
        return {
            key: self._reader.value(item.value, item.place)
            for key, item in changes
            if isinstance(key, str) and same_thing(self._reader.value(item.owner, item.place), made)
        }

    def _fields(self, kind: Class) -> list[str]:
        """The annotated names of a class and its bases, in order: a dataclass's fields."""
        nodes = [node for item in reversed(list(kind.lineage())) for node in getattr(item.scope.node, "body", ())]
        names = [
            node.target.id for node in nodes if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        ]
        return list(dict.fromkeys(names))

    def changed(self, owner: Value, key: Value, found: Value, *, is_item: bool = False) -> Value:
        """An attribute or item of something that may be assigned to elsewhere in the program."""
        values = [] if found is UNKNOWN else [found]
        changed = False
        for change in self._reader.program.changes_of(key, is_item=is_item):
            target = self._reader.value(change.owner, change.place)
            written = self._reader.value(change.key, change.place) if isinstance(change.key, ast.expr) else change.key
            is_other = not (same_thing(target, owner) or target is UNKNOWN) or (
                written is UNKNOWN and target is UNKNOWN
            )
            if is_other or (written is not UNKNOWN and plain(written) != plain(key)):
                continue
            if self._reader.holds(change.place.guards) is not False:
                values.append(UNKNOWN if written is UNKNOWN else self._reader.value(change.value, change.place))
                changed = True
        return agreed(values) if changed else found


def same_thing(one: Value, other: Value) -> bool:
    """Whether two values are one object, as far as the reader has objects."""
    if isinstance(one, Made) and isinstance(other, Made) and one.origin is not None:
        return one.origin is other.origin
    return one is other or (isinstance(one, Dotted | Own) and same(one, other))


def _field_default(value: Value) -> Value:
    if isinstance(value, Made) and value.name.rpartition(".")[2] in {"field", "Field"}:
        return value.word("default", 0, MISSING) if "default_factory" not in value.kwargs else UNKNOWN
    return value
