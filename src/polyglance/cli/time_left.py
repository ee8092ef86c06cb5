"""The column of a progress bar that tells the time: what has passed, and what is left at the pace so far."""

from datetime import timedelta

from rich.progress import ProgressColumn, Task
from rich.text import Text


class TimeLeftColumn(ProgressColumn):
    """The time left by the mean pace since a stage began, pauses such as validations included.

    A task's field `begun` holds how many steps were done already when it began: a run that goes on does not take them
    for its own.
    """

    def render(self, task: Task) -> Text:
        passed = task.finished_time if task.finished_time is not None else task.elapsed or 0.0
        done = task.completed - task.fields["begun"]
        if task.finished or task.total is None or done <= 0:
            return Text(_clock(passed))
        return Text(f"{_clock(passed)}, {_clock(passed / done * (task.total - task.completed))} left")


def _clock(seconds: float) -> str:
    """`0:01:05`."""
    return str(timedelta(seconds=round(seconds)))
