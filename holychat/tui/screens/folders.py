"""Choose a file or a folder in a tree."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DirectoryTree, Static

from holychat.text import clean, clean_line
from holychat.tui.files import absolute, path_from
from holychat.tui.keymap import bindings
from holychat.tui.screens.dialog import Dialog
from holychat.tui.widgets.footer import KeyFooter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.style import Style
    from textual.app import ComposeResult
    from textual.widgets._directory_tree import DirEntry
    from textual.widgets.tree import TreeNode


class FolderTree(DirectoryTree, inherit_bindings=False):
    """A tree without hidden files, whose names are never markup; Enter is left to the screen."""

    BINDINGS: ClassVar = [
        binding
        for binding in DirectoryTree.BINDINGS
        if getattr(binding, "key", "") in ("up", "down", "home", "end", "pageup", "pagedown")
    ]
    ICON_NODE = "▸ "
    ICON_NODE_EXPANDED = "▾ "
    ICON_FILE = "  "
    guide_depth = 2

    def process_label(self, label: object) -> Text:
        """The name of a file as it is; a Text is left alone."""
        return label if isinstance(label, Text) else Text(clean_line(str(label), 200), no_wrap=True)

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Hidden ones stay out, as they do in a job."""
        return [path for path in paths if not path.name.startswith(".")]

    def render_label(self, node: TreeNode[DirEntry], base_style: Style, style: Style) -> Text:
        """Folders stand out by their sign alone."""
        label = node.label.copy() if isinstance(node.label, Text) else self.process_label(node.label)
        label.stylize(style)
        sign = self.ICON_FILE
        if node.allow_expand:
            sign = self.ICON_NODE_EXPANDED if node.is_expanded else self.ICON_NODE
            label.append("/", style)
        return Text.assemble((sign, base_style), label)


class FoldersScreen(Dialog[Path]):
    """Answers with the path of a file or a folder.

    Args:
        typed: Where to begin: what was typed as a path until now.
    """

    BINDINGS: ClassVar = bindings("folders")
    AUTO_FOCUS: ClassVar[str] = "FolderTree"

    def __init__(self, typed: str) -> None:
        super().__init__()
        self._root = _beginning(typed)

    def compose(self) -> ComposeResult:
        """Where the tree begins, and the tree."""
        with Vertical(classes="dialog wide", id="folders"):
            yield Static(Content("Files or a folder"), classes="dialog-title")
            yield Static(Content(clean(str(self._root))), id="folders-root")
            yield FolderTree(self._root)
        yield KeyFooter()

    def on_mount(self) -> None:
        """The folder itself is the first line."""
        self.query_one(FolderTree).root.expand()

    def on_directory_tree_file_selected(self, event: DirectoryTree.FileSelected) -> None:
        """A click on a file takes it."""
        event.stop()
        self.dismiss(event.path)

    def action_choose(self) -> None:
        """Take what is marked."""
        node = self.query_one(FolderTree).cursor_node
        if node is not None and node.data is not None:
            self.dismiss(node.data.path)

    def action_unfold(self) -> None:
        """Look into a folder, or close it."""
        node = self.query_one(FolderTree).cursor_node
        if node is not None and node.allow_expand:
            node.toggle()

    def action_parent(self) -> None:
        """To the folder around the marked file; from the root to the folder above it."""
        tree = self.query_one(FolderTree)
        node = tree.cursor_node
        if node is not None and node.parent is not None:
            node.parent.collapse()
            tree.move_cursor(node.parent)
            return
        if self._root.parent != self._root:
            self._root = self._root.parent
            tree.path = self._root
            self.query_one("#folders-root", Static).update(Content(clean(str(self._root))))


def _beginning(typed: str) -> Path:
    path = absolute(path_from(typed or "."))
    while not path.is_dir() and path.parent != path:
        path = path.parent
    return path if os.access(path, os.R_OK) else Path("/")
