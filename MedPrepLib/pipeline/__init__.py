"""The pipeline: runs the stages over a study, in worker processes, resumably.

``order`` says what to run and what came of it, ``run`` does it: scan to ``tasks``, then every case
(``casework``, in the ``workers``), then split and ``commit``.
"""

from MedPrepLib.pipeline.order import STAGES, Order, Summary, order_of
from MedPrepLib.pipeline.run import run

__all__ = ["STAGES", "Order", "Summary", "order_of", "run"]
