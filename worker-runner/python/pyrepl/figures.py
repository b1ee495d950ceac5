"""The matplotlib backend of a session: figures become display messages. Imported by matplotlib, as `pyrepl_figures`."""

import builtins
from typing import Any

from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

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
