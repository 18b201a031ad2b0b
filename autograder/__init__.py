"""The MLflow Teaching Kit: open an exercise, read what it left behind, grade it.

The rooms and the direction of their imports:
``cli, nbgrader, notebook → grading, execution, reports → rubrics → evidence → workspace``.
"""

__version__ = "0.1.0"
