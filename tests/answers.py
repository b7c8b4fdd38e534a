"Answers to exercises: right ones, and wrong ones with the hint that they get."
from colorize_lib.exercises.checker import feedback


def refused(name, answer, why):
    found = feedback(name, answer)
    assert found.right is False, (name, found)
    assert why in found.hint, (name, found)


def right(name, *answers):
    for answer in answers: assert feedback(name, answer), feedback(name, answer)
