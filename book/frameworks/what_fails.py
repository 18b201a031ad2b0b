"""What MLflow refuses, and what it accepts and does not say: each tried, with what came of it."""

import textwrap
from pathlib import Path

import mlflow
import numpy as np
import torch
from autograder.workspace import load_flowers
from sklearn.ensemble import RandomForestClassifier
from xgboost import XGBClassifier

from steps import numbered
from with_pytorch import as_rows, fit

X, _, y, _ = load_flowers()
rows = as_rows(X)
net = fit(rows, numbered(y))


def tried(what, call):
    """Print what was tried and what came of it, or the beginning of that."""
    try:
        outcome = f"{call()}"
    except Exception as error:
        told = str(error).rpartition("Error: ")[2]
        outcome = f"{type(error).__name__}: {told}"
    print(f"{what}:")
    outcome = textwrap.shorten(outcome, 142, placeholder=" …")
    print(textwrap.indent(textwrap.fill(outcome, 70), "    "))


def logged_with(example):
    """The net, logged with an example, and loaded back."""
    info = mlflow.pytorch.log_model(
        net, name="net", input_example=example, pip_requirements=["torch"]
    )
    return mlflow.pyfunc.load_model(info.model_uri)


def needs_of_a_forest():
    """The packages that MLflow works out when none are named."""
    forest = RandomForestClassifier(n_estimators=5).fit(X, y)
    info = mlflow.sklearn.log_model(
        forest,
        name="forest",
        skops_trusted_types=["sklearn.tree._tree.Tree"],
    )
    needs = Path(mlflow.pyfunc.get_model_dependencies(info.model_uri))
    return ", ".join(line.partition("==")[0] for line in needs.open())


tried(
    "PyTorch, the older form",
    lambda: mlflow.pytorch.log_model(net, artifact_path="model"),
)
tried("a table as the example", lambda: logged_with(X.head(3)))
tried("a tensor", lambda: logged_with(torch.from_numpy(rows[:3])))

of_one_row = logged_with(rows[:1])
tried(
    "one row, and asked for one",
    lambda: of_one_row.predict(rows[:1]).shape,
)
tried(
    "one row, and asked for 3", lambda: of_one_row.predict(rows[:3]).shape
)

net_of_three = logged_with(rows[:3])
tried(
    "three, and asked for 900", lambda: net_of_three.predict(rows).shape
)
wide = rows.astype(np.float64)
tried("rows of 64 bits", lambda: net_of_three.predict(wide).shape)

tried("XGBoost with words as classes", lambda: XGBClassifier().fit(X, y))

tried("a forest's packages, not named", needs_of_a_forest)
