"""The rubrics: one module an assignment."""
