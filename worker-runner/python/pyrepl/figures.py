"""The matplotlib backend of a session: figures become display messages. Imported by matplotlib, as `pyrepl_figures`."""

from __future__ import annotations

import builtins as _builtins

from matplotlib._pylab_helpers import Gcf  # pyright: ignore[reportMissingImports]
from matplotlib.backend_bases import FigureManagerBase  # pyright: ignore[reportMissingImports]
from matplotlib.backends.backend_agg import FigureCanvasAgg  # pyright: ignore[reportMissingImports]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

builtins: Any = _builtins
FigureCanvas = FigureCanvasAgg
FigureManager = FigureManagerBase


def show(*_arguments: Any, **_options: Any) -> None:
    """Display all open figures, and close them."""
    for manager in Gcf.get_all_fig_managers():
        figure = manager.canvas.figure
        Gcf.destroy(manager)
        if figure.axes or figure.lines or figure.texts or figure.images:
            builtins.display(figure)


FigureCanvas.required_interactive_framework = None
