"""The time column of a progress bar: the elapsed time, and the time left at the pace so far."""

from datetime import timedelta

from rich.progress import ProgressColumn, Task
from rich.text import Text


class TimeLeftColumn(ProgressColumn):
    """Shows the time left by the mean pace since a stage began, which includes pauses such as validations.

    The field `begun` of a task holds the number of steps that were done before it began. A resumed run does not count
    them in its pace.
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
