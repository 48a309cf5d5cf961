"""Prediction in the organ of interest: sliding windows, lesions, files."""

from agcrc.predict.case import Prediction, predict_case
from agcrc.predict.files import predict_files
from agcrc.predict.lesions import Lesion

__all__ = ["Lesion", "Prediction", "predict_case", "predict_files"]
