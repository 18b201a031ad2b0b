"""The one base class of every error that the kit raises."""


class KitError(Exception):
    """An error for people to read. Commands print its text and end with status 1.

    The text says what was found, what was expected and what to do next. Where reports and verdicts show
    the next step by itself, ``next_step`` has it and the text does not.
    """

    next_step = ""

    def __init__(self, message: str = "", next_step: str = "") -> None:
        super().__init__(message)
        if next_step:
            self.next_step = next_step
