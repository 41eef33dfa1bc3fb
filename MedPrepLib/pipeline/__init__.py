"""The pipeline: runs the stages over a study, in worker processes, resumably.

``order`` says what to run and what came of it, ``run`` does it: scan to ``tasks``, then ``cases``
(``casework``, done by a ``crew`` of ``workers`` here or on a ``cluster``, all or in ``shards``),
then split and ``commit``.
"""

from MedPrepLib.pipeline.order import STAGES, Order, Shard, Summary, order_of, shard_of
from MedPrepLib.pipeline.run import run

__all__ = ["STAGES", "Order", "Shard", "Summary", "order_of", "run", "shard_of"]
