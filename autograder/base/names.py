"""Names that several rooms share: of files, environment variables and tags."""

#: The store beside a notebook.
DATABASE = "mlflow.db"
#: Environment variable that holds the seed of the data; a whole number from 0 to 2**32 - 1.
SEED_VARIABLE = "MLFLOW_KIT_SEED"
#: The seed every student works under. Grading uses another, see autograder.data.seeded.grading_seed.
PUBLIC_SEED = 2026
#: The tag of the experiment "Default" in which a store notes the seed.
SEED_TAG = "kit.data_seed"
#: What a notebook's run leaves beside it. It is evidence, kept elsewhere: a submitted store is set
#: aside, and neither ``autograded/`` nor ``feedback/`` hands one out.
EVIDENCE_FILES = ("mlflow.db", "mlflow.db-*", "*.db", "mlruns", "mlartifacts", "workspace", "tables")
#: What of a submission's folder is nothing that was handed in.
NOT_TAKEN_IN = (".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback")
