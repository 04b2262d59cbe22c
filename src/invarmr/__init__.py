"""Mendelian randomization when the genetic instruments are themselves confounded with the outcome."""

from invarmr.data.cohort import Cohort
from invarmr.instruments.stationary import StationaryInstruments

__version__ = "0.1.0"
