"""What a forked kernel finds imported. Nothing here computes: threads of OpenMP do not survive a fork."""

import ipykernel.debugger
import ipykernel.kernelapp
import matplotlib.pyplot
import matplotlib_inline.backend_inline
import mlflow.deployments
import mlflow.models
import mlflow.sklearn
import mlflow.utils.requirements_utils
import requests
import sklearn.ensemble
import sklearn.linear_model
import sklearn.metrics
import sklearn.model_selection
import sklearn.pipeline
import skops.io
import sqlalchemy.dialects.sqlite

import autograder.notebook
import autograder.workspace.data
import autograder.workspace.store

# which package a module is of: MLflow asks all that are installed, once a process
mlflow.utils.requirements_utils._init_modules_to_packages_map()
