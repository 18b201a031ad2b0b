"""The plug-ins that put execution and grading into nbgrader's own pipeline.

``configure`` is all that an ``nbgrader_config.py`` calls; nbgrader's commands stay stock.
"""

from autograder.nbgrader.config import configure

__all__ = ["configure"]
