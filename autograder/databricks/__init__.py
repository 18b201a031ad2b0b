"""The part of a Databricks workspace that answers over HTTP, on the student's own machine.

Serving endpoints with bearer tokens, their request log, and MLflow's own UI, at one address. All that
lasts is in one SQLite file and in Delta tables beside the notebook; a process that serves them keeps
nothing of its own. Shapes are those of Databricks' REST API:
https://docs.databricks.com/api/workspace/servingendpoints and https://docs.databricks.com/api/workspace/tokens.
"""
