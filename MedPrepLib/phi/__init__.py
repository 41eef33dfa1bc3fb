"""Looking for the identities of the sources in everything that was written."""

from MedPrepLib.phi.scan import Leak, PhiScan, scan_phi

__all__ = ["Leak", "PhiScan", "scan_phi"]
