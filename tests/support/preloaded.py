"""What a forked process finds imported. Nothing here computes: threads of OpenMP do not survive a fork."""

import encodings.cp437
import gc

import alembic.command
import git.repo
import ipykernel.debugger
import ipykernel.kernelapp
import jsonschema
import matplotlib.pyplot
import matplotlib_inline.backend_inline
import mlflow.deployments
import mlflow.models
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.store.db.utils
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store
import mlflow.utils.requirements_utils
import nbgrader.apps
import PIL.Image
import pyarrow.pandas_compat
import requests
import sklearn.ensemble
import sklearn.linear_model
import sklearn.metrics
import sklearn.model_selection
import sklearn.pipeline
import skops.io
import sqlalchemy.dialects.sqlite
import sqlalchemy.orm
import typer.main

import autograder.data.seeded
import autograder.databricks.run_server
import autograder.evidence.answers
import autograder.nbgrader.exporter
import autograder.nbgrader.record
import autograder.notebook
import autograder.pipeline.rehearsal
import autograder.workspace.store
import tests.support.forked_work

PIL.Image.preinit()
sqlalchemy.orm.configure_mappers()  # MLflow's, with the first look at a store
# which package a module is of: MLflow asks all that are installed, once a process
mlflow.utils.requirements_utils._init_modules_to_packages_map()
gc.freeze()  # children then copy no page only because rubbish is looked for
