"""Finds places of a Textual program where a text that is not ours could be read as markup.

Textual runs `[@click=…]` found in data, and dies of `[/INST]`. So wherever a widget takes markup, it may only be given
    a literal string of our source, None,
    `Content(…)` or `Text(…)` and what is built of them, also through a function annotated to return one,
    anything at all together with `markup=False`.
The check reads the source alone, so it asks for a form that can be seen to be safe and not for any safe form.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WITH_SWITCH = {"Static", "Label", "OptionList", "SelectionList", "RichLog", "Placeholder"}
"""Widgets with a `markup` parameter; lists show options that come later, so they always have to switch it off."""
LISTS = {"OptionList", "SelectionList", "RichLog"}
WITHOUT_SWITCH = {
    "Button", "Checkbox", "RadioButton", "ToggleButton", "Collapsible", "Tab", "TabPane", "Select", "Link", "Tree",
}  # fmt: skip
METHODS = {"add_row", "add_rows", "add_column", "add_columns", "add_leaf", "set_label", "add_tab"}
QUERIED = {"update", "set_options"}
"""Methods whose names others have, too: looked at where they are called on the result of a query."""
PALETTE = {"Hit": slice(1, 2), "DiscoveryHit": slice(0, 1), "SystemCommand": slice(0, 2)}
"""Entries of the command palette, with the arguments that are shown; it reads plain strings as markup."""
ATTRIBUTES = {"border_title", "border_subtitle", "tooltip"}
SAFE_TYPES = {"Content", "Text", "Strip", "Style"}
_TEXT_KEYWORDS = {"content", "label", "title", "renderable", "tooltip", "text", "match_display", "display", "help"}


def findings(files: Iterable[tuple[str, ast.Module]]) -> list[str]:
    """ "path:line: what" for every place that is not visibly safe."""
    trees = list(files)
    program = _Program([tree for _, tree in trees])
    return [f"{path}:{line}: {what}" for path, tree in trees for line, what in program.check(tree)]


class _Program:
    """What has to be known of all files to judge one."""

    def __init__(self, trees: list[ast.Module]) -> None:
        self.switched = set(WITH_SWITCH)
        self.lists = set(LISTS)
        self.others = set(WITHOUT_SWITCH)
        self.makers: set[str] = set()
        nodes = [node for tree in trees for node in ast.walk(tree)]
        classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
        for _ in classes:  # until subclasses of subclasses are known, too
            for node in classes:
                for group in (self.switched, self.lists, self.others):
                    if {_name(base) for base in node.bases} & group:
                        group.add(node.name)
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _returns(node) <= SAFE_TYPES | {"None"}:
                self.makers.add(node.name)
        self.own = {
            node.name
            for node in classes
            if any(isinstance(item, ast.FunctionDef) and item.name == "__init__" for item in node.body)
        }

    def check(self, tree: ast.Module) -> Iterator[tuple[int, str]]:
        self._foreign = {name for node in ast.walk(tree) for name in _imported_from_elsewhere(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name in self.switched | self.others:
                yield from self._check_widget(node)
        for scope in ast.walk(tree):
            if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
                known = self._safe_names(scope)
                for node in _own_nodes(scope):
                    yield from self._check_node(node, known)

    def _check_widget(self, widget: ast.ClassDef) -> Iterator[tuple[int, str]]:
        """What a widget of our own hands to the one it is made of."""
        calls = [node for node in ast.walk(widget) if isinstance(node, ast.Call)]
        starts = [call for call in calls if ast.unparse(call.func) == "super().__init__"]
        if any(_switched_off(call) for call in starts):
            return
        for method in widget.body:
            if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            known = self._safe_names(method)
            for node in _own_nodes(method):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in {"super().__init__", "self.update"}:
                    yield from self._unsafe(widget.name, node.args[:1], known)

    def _check_node(self, node: ast.AST, known: set[str]) -> Iterator[tuple[int, str]]:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                named = isinstance(target, ast.Attribute) and target.attr in ATTRIBUTES
                if named and node.value is not None and not self._safe(node.value, known):
                    yield node.lineno, f"{ast.unparse(target)} = {ast.unparse(node.value)}"
        elif isinstance(node, ast.Call) and not _switched_off(node):
            yield from self._check_call(node, known)

    def _check_call(self, node: ast.Call, known: set[str]) -> Iterator[tuple[int, str]]:
        name = _name(node.func)
        if name in self._foreign:
            return
        if name in self.lists and name not in self.own:
            yield node.lineno, f"{name}(…) without markup=False"
        given: list[ast.expr] = []
        if name in self.switched and name not in self.lists and name not in self.own:
            given = node.args[:1]
        elif name in self.others and name not in self.own:
            given = [argument for argument in node.args if not isinstance(argument, ast.Lambda)]
        elif name in METHODS or (name in QUERIED and "query" in ast.unparse(node.func)):
            given = node.args
        elif name in PALETTE:
            given = node.args[PALETTE[name]]
        else:
            if name == "Binding":
                return
            given = [keyword.value for keyword in node.keywords if keyword.arg == "tooltip"]
            yield from self._unsafe(name, given, known)
            return
        given = given + [keyword.value for keyword in node.keywords if keyword.arg in _TEXT_KEYWORDS]
        yield from self._unsafe(name, given, known)

    def _unsafe(self, name: str, given: list[ast.expr], known: set[str]) -> Iterator[tuple[int, str]]:
        for value in given:
            if not self._safe(value, known):
                yield value.lineno, f"{name}({ast.unparse(value)})"

    def _safe_names(self, scope: ast.AST) -> set[str]:
        """Names that hold nothing but safe values in a function."""
        known: set[str] = set()
        spoilt: set[str] = set()
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            every = [*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs]
            known = {a.arg for a in every if a.annotation and _types(a.annotation) <= SAFE_TYPES | {"None"}}
        for node in _own_nodes(scope):
            if isinstance(node, ast.For) and self._constants(node.iter):
                known |= {name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)}
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                (known if self._safe(node.value, known) else spoilt).add(node.targets[0].id)
        return known - spoilt

    def _safe(self, value: ast.expr, known: set[str]) -> bool:
        if isinstance(value, ast.Constant):
            return True
        if isinstance(value, ast.Name):
            return value.id in known or self._constants(value)
        if isinstance(value, ast.JoinedStr):
            parts = [part.value for part in value.values if isinstance(part, ast.FormattedValue)]
            return all(self._safe(part, known) for part in parts)
        if isinstance(value, ast.Attribute):
            return self._safe(value.value, known)
        if isinstance(value, ast.IfExp):
            return self._safe(value.body, known) and self._safe(value.orelse, known)
        if isinstance(value, ast.BoolOp):
            return all(self._safe(part, known) for part in value.values)
        if isinstance(value, ast.Starred):
            return self._safe(value.value, known)
        if isinstance(value, ast.List | ast.Tuple):
            return all(self._safe(part, known) for part in value.elts)
        if isinstance(value, ast.ListComp | ast.GeneratorExp):
            return self._safe(value.elt, known)
        return isinstance(value, ast.Call) and self._safe_call(value, known)

    def _constants(self, value: ast.expr) -> bool:
        """Whether it is a constant of our source by its name, or a tuple of such."""
        if isinstance(value, ast.Tuple):
            return all(self._constants(part) for part in value.elts)
        return isinstance(value, ast.Name) and value.id.isupper()

    def _safe_call(self, call: ast.Call, known: set[str]) -> bool:
        name = _name(call.func)
        if name == "from_markup":
            return all(isinstance(argument, ast.Constant) for argument in call.args)
        if isinstance(call.func, ast.Attribute):
            owner = call.func.value
            if _name(owner) in SAFE_TYPES or (isinstance(owner, ast.Call) and self._safe_call(owner, known)):
                return True
            if isinstance(owner, ast.Name) and owner.id in known:
                return True
        return name in SAFE_TYPES or name in self.makers


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a scope, in order, without those of the functions inside it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _own_nodes(child)


def _imported_from_elsewhere(node: ast.AST) -> list[str]:
    """Names that come from rooms without widgets, and may be spelt like one."""
    module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
    if isinstance(node, ast.ImportFrom) and module.startswith("holychat.") and not module.startswith("holychat.tui"):
        return [alias.asname or alias.name for alias in node.names]
    return []


def _name(node: ast.expr) -> str:
    """Last part of a dotted name; "" for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _types(annotation: ast.expr) -> set[str]:
    return {part.strip().rpartition(".")[2] for part in ast.unparse(annotation).strip("'\"").split("|")}


def _returns(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    found = _types(node.returns) if node.returns is not None else {"Any"}
    return {"Any"} if found == {"None"} else found


def _switched_off(call: ast.Call) -> bool:
    return any(
        keyword.arg == "markup" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        for keyword in call.keywords
    )
