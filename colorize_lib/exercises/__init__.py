"`from colorize_lib.exercises import check`"
from colorize_lib.exercises.checker import check # noqa: F401
