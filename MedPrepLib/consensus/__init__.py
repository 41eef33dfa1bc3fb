"""Consensus: several readings become one. ``vote`` is majority voting with a stated tie rule."""

from MedPrepLib.consensus.vote import Consensus, majority_vote, reading_hash

__all__ = ["Consensus", "majority_vote", "reading_hash"]
